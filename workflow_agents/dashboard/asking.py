"""What the rooms of the dashboard share: a request as they see it, and their tables of routes.

A room exports `routes`. A handler is given an `Ask`, asks the engine, and returns JSON data;
errors of ours that it raises become answers by themselves.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from starlette.requests import Request

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.dashboard.sessions import Session
from workflow_agents.store.sqlite_pages import SqlitePages

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine

MOST_BYTES = 2**20


class Refused(Exception):
    """A request that is not carried out."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers or {}


@dataclass(frozen=True, slots=True)
class Ask:
    """A request that has passed the guards.

    Attributes:
        engine: is asked.
        pages: of its store.
        request: as it came.
        session: whose it is; of what is public: None.
        server: what the server is configured with, for whom it may concern; None: it is none.
        sample: serves a workflow for whoever has none, and tells its path; None: there is none.
    """

    engine: "DurableEngine"
    pages: SqlitePages
    request: Request
    session: Session | None
    server: Mapping[str, Any] | None = None
    sample: Callable[[], str] | None = None

    @property
    def user(self) -> str | None:
        """Who asks, as the feed is to tell; None: nobody has signed in."""
        return None if self.session is None else self.session.user or None

    def part(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])

    def asked(self, name: str) -> str | None:
        """A parameter of the query; an empty one is none."""
        return self.request.query_params.get(name) or None

    def number(self, name: str) -> int | None:
        """A parameter of the query that is a whole number.

        Raises:
            ConfigurationError: WA102, it is none.
        """
        text = self.asked(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise wrong_option(name, "a whole number", text)
        return int(text)

    async def body(self) -> dict[str, Any]:
        """The JSON object that was sent.

        Raises:
            Refused: it is none, or too large.
        """
        data = b""
        async for part in self.request.stream():
            data += part
            if len(data) > MOST_BYTES:
                raise Refused(413, f"expected at most {MOST_BYTES} bytes")
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            raise Refused(400, "the body is no JSON") from None
        if not isinstance(found, dict):
            raise Refused(400, "expected an object")
        return cast("dict[str, Any]", found)


def text_in(given: dict[str, Any], name: str) -> str:
    """A member that must be text.

    Raises:
        ConfigurationError: WA102, it is none.
    """
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise wrong_option(name, "a text", value)
    return value


def count_in(given: dict[str, Any], name: str) -> int | None:
    """A member that may be a whole number from 1.

    Raises:
        ConfigurationError: WA102, it is something else.
    """
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10**9:
        raise wrong_option(name, "a whole number from 1", value)
    return value


Handler = Callable[[Ask], Awaitable[Any]]


class Row(NamedTuple):
    """A route. `public`: whoever asks need not have signed in."""

    method: str
    path: str
    handle: Handler
    public: bool = False
