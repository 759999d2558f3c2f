"""The APIs that a scripted model speaks: where each listens, what it takes, how it answers."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from workflow_agents.testing import (
    _chat_rules,
    _chat_wire,
    _messages_rules,
    _messages_wire,
    _responses_rules,
    _responses_wire,
)
from workflow_agents.testing._http import HttpAnswer
from workflow_agents.testing._replies import Broken, CallTools, Error, Say
from workflow_agents.testing._rules import Refused

ApiName = Literal["chat", "responses", "messages"]

_GARBAGE = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
_NONSENSE = {"status": "ok", "uptime": 12}


@dataclass(frozen=True, slots=True)
class Api:
    """One API.

    Attributes:
        name: what it is called here.
        check_headers: pass the headers and the only key that is accepted, or raise `Refused`.
        check: pass a request body, or raise `Refused`.
        whole: the JSON of a reply.
        events: the same as server-sent events.
        error: the JSON of an error.
        error_event: an error in the middle of a stream.
    """

    name: ApiName
    check_headers: Callable[[Mapping[str, str], str | None], None]
    check: Callable[[Any], None]
    whole: Callable[[Say | CallTools, dict[str, Any], str], dict[str, Any]]
    events: Callable[[Say | CallTools, dict[str, Any], str], Iterator[bytes]]
    error: Callable[[Error], dict[str, Any]]
    error_event: Callable[[Error], bytes]

    def refusal(self, refused: Refused) -> HttpAnswer:
        """The answer to a request that does not pass."""
        told = Error(
            refused.status, refused.message, refused.kind, refused.error_code, refused.param
        )
        return as_json(refused.status, self.error(told), {"x-should-retry": "false"})

    def failure(self, problem: Error) -> HttpAnswer:
        """The answer that is an error."""
        after = problem.retry_after
        headers = {} if after is None else {"retry-after": str(after)}
        return as_json(problem.status, self.error(problem), headers)

    def broken(self, kind: str, request: dict[str, Any], number: str) -> HttpAnswer | None:
        """No usable answer; see `Broken`."""
        match Broken(kind):  # pyright: ignore[reportArgumentType] -- it comes from one
            case Broken("dropped"):
                return None
            case Broken("html"):
                return HttpAnswer(200, _GARBAGE, {"content-type": "text/html"})
            case Broken("empty"):
                return HttpAnswer(200, b"", {"content-type": "application/json"})
            case Broken("nonsense"):
                return as_json(200, _NONSENSE)
            case _:
                whole = self.whole(Say("This sentence will never be"), request, number)
                return as_json(200, whole, cut=True)


def as_json(
    status: int, value: object, headers: Mapping[str, str] | None = None, *, cut: bool = False
) -> HttpAnswer:
    """A JSON response; `cut`: only the first half of it."""
    body = json.dumps(value).encode()
    if cut:
        body = body[: len(body) // 2]
    return HttpAnswer(status, body, {"content-type": "application/json", **(headers or {})})


def _check_bearer(headers: Mapping[str, str], key: str | None) -> None:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme != "Bearer" or not given.strip():
        raise Refused(
            "You didn't provide an API key. You need to provide your API key in an "
            "Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
            status=401,
        )
    if key not in (None, given):
        raise Refused("Incorrect API key provided.", error_code="invalid_api_key", status=401)


CHAT = Api(
    "chat",
    _check_bearer,
    _chat_rules.check,
    _chat_wire.whole,
    _chat_wire.events,
    _chat_wire.error,
    _chat_wire.error_event,
)
RESPONSES = Api(
    "responses",
    _check_bearer,
    _responses_rules.check,
    _responses_wire.whole,
    _responses_wire.events,
    _responses_wire.error,
    _responses_wire.error_event,
)
MESSAGES = Api(
    "messages",
    _messages_rules.check_headers,
    _messages_rules.check,
    _messages_wire.whole,
    _messages_wire.events,
    _messages_wire.error,
    _messages_wire.error_event,
)
BY_PATH = {
    "/v1/chat/completions": CHAT,
    "/v1/responses": RESPONSES,
    "/v1/messages": MESSAGES,
}
