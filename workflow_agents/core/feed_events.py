"""An entry of the feed, as those are told who follow it from outside: as JSON, and in a stream.

A stream says that something happened and what it was called. What is long, such as the answer of
a model, is left out, and is in the log of its run: so an event is never larger than a page of
text, whatever the steps return. Pure.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from dataclasses import asdict
from typing import Any, NamedTuple, cast

from workflow_agents.core.stream_events import (
    ReplyEvent,
    StreamEnded,
    StreamGap,
    StreamRestarted,
    StreamStarted,
    TextDelta,
    ToolCallDelta,
)
from workflow_agents.protocol.approvals import PREFIX
from workflow_agents.protocol.callbacks import compact_json
from workflow_agents.protocol.codec import Undecodable, decode
from workflow_agents.protocol.history import EntryKind, StepKey, StepKind

ENTRY, OPEN, END, CLOSING = "entry", "open", "end", "closing"
"""Names of events beside those of `WORDS`: something happened; the stream is open; the run has
ended; the server stops or cannot go on, and is to be asked again."""

WORDS: dict[type[Any], str] = {
    StreamStarted: "reply-started",
    StreamRestarted: "reply-restarted",
    TextDelta: "text",
    ToolCallDelta: "tool-call",
    StreamEnded: "reply-ended",
    StreamGap: "gap",
}
"""Names of events that tell of a reply while it is written. They are never stored."""


class FeedEvent(NamedTuple):
    """An entry of the feed, with what its reader would otherwise have to look up.

    Attributes:
        seq: its place in the feed of the whole store.
        at: Unix milliseconds.
        kind: what happened.
        run: the row of its run; 0: it belongs to none.
        run_id: the id of its run.
        workflow: the path or address of the run's function.
        step: of a step: its key.
        type: of a step: what it does.
        name: of a step: its name.
        data: JSON, where it is short.
        left_out: there is more data than is told here.
        message: the row of the message that it is about.
    """

    seq: int
    at: int
    kind: EntryKind
    run: int
    run_id: str | None
    workflow: str | None
    step: StepKey | None
    type: StepKind | None
    name: str | None
    data: bytes | None
    left_out: bool
    message: int | None

    def to_json(self, message_id: str | None = None) -> dict[str, Any]:
        """As it is told: members that say nothing are left out.

        Args:
            message_id: what the wire calls its message.
        """
        told: dict[str, Any] = {
            "seq": self.seq,
            "at": self.at,
            "kind": self.kind.name,
            "workflowRunId": self.run_id,
            "workflow": self.workflow,
            "messageId": message_id,
            "stepId": self.step,
            "stepName": self.name,
            "stepType": None if self.type is None else self.type.wire,
            "data": _plain(self.data),
        }
        told = {name: value for name, value in told.items() if value is not None}
        return told | {"leftOut": True} if self.left_out else told


def outline(told: dict[str, Any]) -> dict[str, Any] | None:
    """What a visitor is told of an entry: that a step happened, and what a wait asks.

    Results, reasons and the ids of events, which let whoever knows them answer, are left out.

    Args:
        told: the entry as JSON.

    Returns:
        None: it is nothing for visitors.
    """
    kind = told["kind"]
    if not kind.startswith(("RUN_", "STEP_")):
        return None
    shown = {name: told[name] for name in _OUTLINED if name in told}
    data = told.get("data")
    if kind != EntryKind.STEP_WAITING.name or not isinstance(data, dict):
        return shown
    asks = cast("dict[str, Any]", data)
    wanted = ("until",) if str(asks.get("eventId", "")).startswith(PREFIX) else ("until", "details")
    return shown | {"data": {name: asks[name] for name in wanted if name in asks}}


_OUTLINED = ("seq", "at", "kind", "workflowRunId", "stepId", "stepName", "stepType")


def _plain(data: bytes | None) -> Any:
    if not data:
        return None
    try:
        return decode(data)
    except Undecodable:
        return data.decode("utf-8", "replace")


def frame(event: str, data: object, id: int | None = None) -> bytes:
    """An event of a stream; with `id`, what a reader who comes back has seen."""
    head = f"event: {event}\n" if id is None else f"id: {id}\nevent: {event}\n"
    return head.encode() + b"data: " + compact_json(data) + b"\n\n"


def mark(position: int) -> bytes:
    """A sign of life, which also says how far the reader has come."""
    return f": heartbeat\nid: {position}\n\n".encode()


def words_frame(said: ReplyEvent | StreamGap) -> bytes:
    """What is said in a reply. It has no id: whoever comes back is told anew what was said."""
    told: dict[str, Any] = {_CAMEL.get(name, name): value for name, value in asdict(said).items()}
    return frame(WORDS[type(said)], told)


_CAMEL = {"step": "stepId", "name": "stepName", "call_id": "callId"}
