"""Rows of the tables of headers: each is a header with a value, and the check that tries it.

The check is the row: what the documentation tells of a header is the first line of its docstring,
and the example is the value that is sent, or found.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.official.outside import Received
from tests.rest.place import Answer, Place
from workflow_agents.server.settings import DEV_TOKEN

SDK = {"upstash-workflow-sdk-version": "1", "upstash-workflow-sdk": "v1.3.2"}
"""By what the answer of an endpoint says that it serves workflows."""


class Trial:
    """What a check may do with the server.

    Attributes:
        name: of the header.
        value: that is sent, or that is to be found.
    """

    def __init__(self, place: Place, name: str, value: str) -> None:
        self.place = place
        self.name = name
        self.word = place.new_name("header")
        told = {"{token}": DEV_TOKEN, "{url}": f"{place.outside.url}/sink/{self.word}-told"}
        self.value = value
        for mark, text in told.items():
            self.value = self.value.replace(mark, text)

    @property
    def sent(self) -> dict[str, str]:
        """The header."""
        return {self.name: self.value}

    def url(self, status: int = 200, answered: Mapping[str, str] | None = None) -> str:
        """An address outside, which answers as told. `came` tells what it was sent."""
        query = "&".join(f"-{name}={quote(value)}" for name, value in (answered or {}).items())
        address = f"{self.place.outside.url}/answer/{self.word}/{status}"
        return f"{address}?{query}" if query else address

    def publish(
        self, headers: Mapping[str, str] | None = None, body: Any = b"x", url: str = ""
    ) -> Answer:
        """A message with the header, and more."""
        asked = f"/v2/publish/{url or self.url()}"
        answer = self.place.ask("POST", asked, body, {**self.sent, **(headers or {})})
        assert answer.status in (200, 202), answer
        return answer

    def came(self, count: int = 1) -> list[Received]:
        """What the address was sent, as soon as there are so many requests."""
        return self.place.received(self.word, count)

    def told(self) -> Received:
        """What was sent to the address of a callback."""
        return self.place.received(f"{self.word}-told")[0]

    def delivered(self, headers: Mapping[str, str] | None = None, body: Any = b"x") -> Received:
        """The delivery of a message with the header."""
        self.publish(headers, body)
        return self.came()[0]

    def waiting(self, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """A message with the header, as the server shows it while it waits."""
        sent = self.publish({"Upstash-Delay": "1h", **(headers or {})}).json
        return self.place.done("GET", f"/v2/messages/{sent['messageId']}")

    def log(self, state: str) -> dict[str, Any]:
        """What was told of the message to the address, as soon as it is in a state."""
        path = f"/v2/logs?url={self.url(500)}&state={state}"
        return self.place.until(lambda: self.place.done("GET", path)["logs"], len)[0]

    def begin(
        self,
        headers: Mapping[str, str] | None = None,
        *,
        url: str = "",
        body: Any = b"{}",
    ) -> str:
        """Begin a run as an SDK does; its id."""
        told = {
            "Upstash-Workflow-RunId": f"wfr_{self.word}",
            "Upstash-Workflow-Init": "true",
            "Upstash-Feature-Set": "InitialBody,WF_TriggerOnConfig",
            "Upstash-Retries": "0",
            **(headers or {}),
        }
        self.place.done("POST", f"/v2/publish/{url or self.url(answered=SDK)}", body, told)
        return told["Upstash-Workflow-RunId"]

    def submit(
        self, run_id: str, headers: Mapping[str, str] | None = None, *, step: int = 1
    ) -> None:
        """The result of a step of a run."""
        done = {"stepId": step, "stepName": "s", "stepType": "Run", "out": "1", "concurrent": 1}
        told = {
            "Upstash-Workflow-RunId": run_id,
            "Upstash-Workflow-Init": "false",
            "Upstash-Feature-Set": "InitialBody,WF_TriggerOnConfig",
            **(headers or {}),
        }
        self.place.done("POST", f"/v2/publish/{self.url(answered=SDK)}", done, told)


Check = Callable[[Trial], None]


@dataclass(frozen=True)
class Header:
    """A row."""

    name: str
    value: str
    check: Check

    @property
    def means(self) -> str:
        """One sentence."""
        return (inspect.getdoc(self.check) or "").split("\n\n")[0].replace("\n", " ")


class Table:
    """The rows of one kind of headers, in the order of their writing."""

    def __init__(self) -> None:
        self.rows: list[Header] = []

    def header(self, name: str, value: str) -> Callable[[Check], Check]:
        """Make a row of a check."""

        def add(check: Check) -> Check:
            self.rows.append(Header(name, value, check))
            return check

        return add
