"""The words of approvals: what a person is shown, what the person decides, and what binds both.

A run that needs a person waits for an event. The details of that wait are a `Request`, the
event's data a `Decision`. A decision carries the hash of the arguments that were shown, so that
what was shown is what runs. Neither the engine nor the store knows of this: to them these are
an event with details.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast, get_args

PREFIX = "approval:"
"""What the ids of all these events begin with."""

Kind = Literal["approval", "unknown_outcome", "limit"]
"""Why a person is asked: before a tool runs; because nobody knows whether it did; or because a
usage limit is used up, and approval allows as much again."""

Verdict = Literal["approve", "reject", "respond", "resolve"]
"""Run it; do not; do not, and this is what the model is told in place of its result; it has
happened, and this is its result."""


def approval_id(run_id: str, place: object) -> str:
    """The event that a call waits for; `place` is unique within the run."""
    return f"{PREFIX}{run_id}:{str(place).replace('/', '-')}"


def run_of(approval: str) -> str | None:
    """The run that an approval belongs to; None: this is no id of one."""
    run_id, colon, _ = approval.removeprefix(PREFIX).rpartition(":")
    return run_id if colon and approval.startswith(PREFIX) else None


def arguments_hash(arguments: Mapping[str, Any]) -> str:
    """What two sets of arguments have in common only if they are the same JSON."""
    import hashlib

    text = json.dumps(arguments, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class OpenWait(NamedTuple):
    """A wait for an event, as those see it who may answer.

    Attributes:
        event_id: what it waits for.
        workflow_run_id: the run.
        workflow: the run's path.
        name: of the step.
        asked_at: when it began, Unix milliseconds.
        deadline: when it ends, Unix milliseconds.
        details: what the run tells.
    """

    event_id: str
    workflow_run_id: str
    workflow: str
    name: str
    asked_at: int
    deadline: int
    details: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a person is shown.

    Attributes:
        kind: why.
        agent: who wants the tool called.
        tool: its name.
        tool_call_id: the model's id of the call.
        description: of the tool, as the model reads it.
        arguments: of the call, as JSON data.
        schema: the JSON schema that arguments must fit, also edited ones.
        approvers: how many people have to approve these arguments.
        approved_by: those who have.
    """

    kind: Kind
    agent: str
    tool: str
    tool_call_id: str
    description: str
    arguments: Mapping[str, Any]
    schema: Mapping[str, Any]
    approvers: int = 1
    approved_by: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        """Of the arguments."""
        return arguments_hash(self.arguments)

    def to_json(self) -> dict[str, Any]:
        """As the details of a wait."""
        several = {"approvers": self.approvers, "approvedBy": [*self.approved_by]}
        return {
            "kind": self.kind,
            "agent": self.agent,
            "tool": self.tool,
            "toolCallId": self.tool_call_id,
            "description": self.description,
            "arguments": dict(self.arguments),
            "argumentsHash": self.hash,
            "schema": dict(self.schema),
            **(several if self.approvers > 1 else {}),
        }

    @classmethod
    def read(cls, data: Any) -> "Request | None":
        """From the details of a wait; None: they are something else."""
        try:
            request = cls(
                kind=data["kind"],
                agent=data["agent"],
                tool=data["tool"],
                tool_call_id=data["toolCallId"],
                description=data["description"],
                arguments=data["arguments"],
                schema=data["schema"],
                approvers=data.get("approvers", 1),
                approved_by=tuple(data.get("approvedBy", ())),
            )
            return request if request.kind in get_args(Kind) else None
        except (KeyError, TypeError, AttributeError):
            return None


def may_approve(request: Request, by: str | None) -> bool:
    """Whether it counts if this person approves: where several have to, each under a new name."""
    if request.approvers <= 1:
        return True
    return bool(by) and by not in request.approved_by


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a person decided.

    Attributes:
        verdict: what is to be done.
        arguments_hash: of the arguments that were shown.
        arguments: to run with in place of those; None: as shown.
        reason: for the model, of a rejection.
        result: of a call that has happened, or what the model is told in place of it.
        by: who decided.
        at: when, Unix milliseconds.
    """

    verdict: Verdict
    arguments_hash: str
    arguments: Mapping[str, Any] | None = None
    reason: str | None = None
    result: Any = None
    by: str | None = None
    at: int = 0

    def to_json(self) -> dict[str, Any]:
        """As the data of an event."""
        data: dict[str, Any] = {
            "verdict": self.verdict,
            "argumentsHash": self.arguments_hash,
            "by": self.by,
            "at": self.at,
        }
        if self.arguments is not None:
            data["arguments"] = dict(self.arguments)
        if self.reason is not None:
            data["reason"] = self.reason
        if self.verdict in {"resolve", "respond"}:
            data["result"] = self.result
        return data

    @classmethod
    def read(cls, data: Any) -> "Decision | None":
        """From the data of an event; None: somebody has sent something else."""
        if not isinstance(data, dict):
            return None
        given = cast("dict[str, Any]", data)
        verdict: Any = given.get("verdict")
        shown = given.get("argumentsHash")
        arguments = given.get("arguments")
        if verdict not in get_args(Verdict) or not isinstance(shown, str):
            return None
        if arguments is not None and not isinstance(arguments, dict):
            return None
        return cls(
            verdict=verdict,
            arguments_hash=shown,
            arguments=cast("dict[str, Any] | None", arguments),
            reason=given.get("reason"),
            result=given.get("result"),
            by=given.get("by"),
            at=given.get("at", 0),
        )
