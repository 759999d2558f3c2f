"""Reading a provider's answer, strictly; and the words for what is wrong with it.

Gateways and other providers answer with much else than what was asked for, under status 200
too. Whatever cannot be read is WA703, with what was found.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from workflow_agents.errors import RemoteError
from workflow_agents.protocol.results import CallResponse

_SHOWN = 300
_SHOWN_IN_MESSAGE = 70


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is being read.

    Attributes:
        response: the answer.
        expected: what it should be: "a chat completion".
        model: the name of the model.
        agent: the name of the agent that asked.
    """

    response: CallResponse[Any]
    expected: str
    model: str
    agent: str

    def members(self) -> dict[str, Any]:
        """Its JSON object.

        Raises:
            RemoteError: WA703, if it is none, or an error.
        """
        body = self.response.body
        answer = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
        error = answer.get("error")
        if not 200 <= self.response.status < 300 or error:
            self._refused(error)
        if not answer:
            self.fail(f"expected a JSON object, found {kind(cast('object', body))}")
        return answer

    def mapping(self, name: str, value: Any) -> dict[str, Any]:
        """A part that must be an object."""
        if not isinstance(value, dict):
            self.fail(f"expected {name} to be an object, found {kind(value)}")
        return cast("dict[str, Any]", value)

    def array(self, name: str, value: Any) -> list[Any]:
        """A part that must be a list."""
        if not isinstance(value, list):
            self.fail(f"expected {name} to be a list, found {kind(value)}")
        return cast("list[Any]", value)

    def text(self, name: str, value: Any, *, empty: bool = True) -> str:
        """A part that must be text; not `empty`: of one character at least."""
        if not isinstance(value, str) or not (value or empty):
            self.fail(f"expected {name} to be text, found {kind(value)}")
        return value

    def count(self, holder: Mapping[str, Any], name: str, where: str = "usage") -> int:
        """A member that must be a number."""
        value = holder.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            self.fail(f"expected '{where}.{name}' to be a number, found {kind(value)}")
        return value

    def answered_as(self, members: Mapping[str, Any]) -> str:
        """The name that the provider answered under, "" if it gives none."""
        name = members.get("model")
        return name if isinstance(name, str) else ""

    def fail(self, found: str, said: object = "", fix: Sequence[str] = ()) -> NoReturn:
        """Tell what is wrong.

        Raises:
            RemoteError: WA703.
        """
        body = self.response.body
        text = body if isinstance(body, str) else json.dumps(body, default=repr)
        status = self.response.status
        raise RemoteError(
            "WA703",
            f"the model {self.model!r} gave no usable answer" + (f": {said}" if said else ""),
            status=status,
            body=text[:_SHOWN],
            where=f"agent {self.agent!r}",
            found=(found, f"status {status}, body {text[:_SHOWN_IN_MESSAGE]!r}"),
            fix=fix,
        )

    def _refused(self, error: Any) -> NoReturn:
        """The provider says no: with an error object, with a text, or with the status alone."""
        details = cast("dict[str, Any]", error) if isinstance(error, dict) else {}
        said = details.get("message") or (error if isinstance(error, str) else "")
        found = f"expected {self.expected}, found status {self.response.status}"
        if details.get("param") == "temperature":
            self.fail(found, said, fix=("pass temperature=None for models that choose it",))
        self.fail(found, said)


def detail(usage: Mapping[str, Any], holder: str, name: str) -> int:
    """A number of the details of a usage, which few providers give; 0 without it."""
    details: Any = usage.get(holder)
    value = cast("dict[str, Any]", details).get(name) if isinstance(details, dict) else None
    return value if isinstance(value, int) else 0


def kind(value: object) -> str:
    """What a value is, for a person."""
    names = {dict: "object", list: "list", str: "text", bytes: "bytes", bool: "boolean"}
    name = next((name for type_, name in names.items() if isinstance(value, type_)), "number")
    if value is None:
        return "nothing"
    return f"empty {name}" if value in ("", [], {}) else name
