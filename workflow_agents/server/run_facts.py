"""What the log of a run is made of, put in order: its messages, and what happened to each.

Read here, shown in `run_steps` and `run_json`. Pure but for `facts_of`, which asks the store.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http.client import responses
from typing import Any, cast

from workflow_agents.core.lifecycle import Phase, is_ended
from workflow_agents.core.retry import DEFAULT_DELAY, DEFAULT_RETRIES
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.protocol.headers import is_sensitive
from workflow_agents.protocol.history import EntryKind
from workflow_agents.protocol.message import MessageSpec
from workflow_agents.protocol.message_headers import header_map
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.protocol.run_messages import visit_of
from workflow_agents.store.interface import FeedRow
from workflow_agents.store.message_rows import MessageRow, Owed
from workflow_agents.store.remote_rows import LetterRow, RemoteRow

_FAMILIES = ("headers", "callback_headers", "failure_callback_headers")
_ENDS = frozenset({EntryKind.RUN_SUCCESS, EntryKind.RUN_FAILED, EntryKind.RUN_CANCELED})


@dataclass
class RunFacts:
    """Everything that the log of one run tells of.

    Attributes:
        run: the run.
        ended_at: Unix milliseconds.
        result: what it returned, as it was sent.
        labels: of the run.
        messages: its messages, in order.
        entries: its feed, in order.
        owed: what is still owed, by message.
        parent: the run that invoked it.
        children: the runs that it invoked, by step, each with its payload.
        letter: its dead letter.
        ids: what the wire calls its messages.
        kept: by checkpoints: its feed tells of its steps, and not its messages.
    """

    run: RemoteRow
    ended_at: int | None
    result: bytes | None
    labels: tuple[str, ...]
    messages: list[MessageRow]
    entries: list[FeedRow]
    owed: Mapping[int, Owed]
    parent: RemoteRow | None = None
    children: Mapping[Any, tuple[RemoteRow, bytes]] = field(
        default_factory=dict[Any, tuple[RemoteRow, bytes]]
    )
    letter: LetterRow | None = None
    ids: Mapping[int, str] = field(default_factory=dict[int, str])
    kept: bool = False

    @property
    def is_over(self) -> bool:
        """Whether the run has ended."""
        return is_ended(self.run.phase)

    @cached_property
    def first(self) -> MessageRow:
        """What the run was started with."""
        return next(row for row in self.messages if row.id == self.run.first)

    @cached_property
    def config(self) -> MessageSpec:
        """What holds for the whole run; values of secret headers are left out."""
        return shown_spec(self.first.spec)

    @cached_property
    def elements(self) -> list[MessageRow]:
        """Its results and plans, in order."""
        kinds = {MessageKind.VISIT, MessageKind.PLAN}
        return [m for m in self.messages if m.kind in kinds and m.id != self.run.first]

    def by_step(self, kind: MessageKind) -> dict[Any, MessageRow]:
        """Its messages of a kind, by the step that they are about."""
        return {row.step: row for row in self.messages if row.kind is kind}

    @cached_property
    def told(self) -> dict[int, list[FeedRow]]:
        """What happened to each message, in order."""
        found: defaultdict[int, list[FeedRow]] = defaultdict(list)
        for entry in self.entries:
            if entry.message is not None:
                found[entry.message].append(entry)
        return found

    @cached_property
    def end(self) -> FeedRow | None:
        """What ended the run."""
        return next((entry for entry in self.entries if entry.kind in _ENDS), None)

    def errors(self, message: int) -> list[dict[str, Any]]:
        """The failed attempts to deliver a message, as the log shows them."""
        kinds = {EntryKind.MESSAGE_RETRY, EntryKind.MESSAGE_FAILED}
        return [step_error(e) for e in self.told.get(message, ()) if e.kind in kinds]

    def failed(self, message: int) -> bool:
        """Whether it was given up."""
        return any(e.kind is EntryKind.MESSAGE_FAILED for e in self.told.get(message, ()))

    def delivered(self, message: int) -> bool:
        """Whether it was taken before the run ended."""
        end = self.end
        return any(
            e.kind is EntryKind.MESSAGE_DELIVERED and (end is None or e.seq < end.seq)
            for e in self.told.get(message, ())
        )

    def effective(self, row: MessageRow) -> MessageSpec:
        """How a message of the run is delivered."""
        return visit_of(self.config, shown_spec(row.spec))

    def retrying(self, spec: MessageSpec) -> dict[str, Any]:
        """How often a message is tried again, and when."""
        retries = DEFAULT_RETRIES if spec.retries is None else spec.retries
        if not retries:
            return {"retries": 0}
        return {"retries": retries, "retryDelay": spec.retry_delay or DEFAULT_DELAY}


def step_error(entry: FeedRow) -> dict[str, Any]:
    """A failed attempt. Source: protocol 7.2."""
    data = data_of(entry)
    status, text = data.get("status", 0), str(data.get("error") or "")
    if text.startswith("HTTP status "):
        text = f"{status} {responses.get(status, '')}".strip()
    pairs = [(n, v) for n, values in data.get("headers", {}).items() for v in values]
    return {
        "error": text,
        "status": status,
        "body": data.get("body", ""),
        "headers": header_map(pairs),
        "time": entry.at,
    }


def data_of(entry: FeedRow) -> dict[str, Any]:
    """What an entry tells beside."""
    try:
        data = json.loads(entry.data) if entry.data else None
    except ValueError:  # what came too late is kept in part
        return {}
    return cast("dict[str, Any]", data) if isinstance(data, dict) else {}


def shown_spec(stored: bytes) -> MessageSpec:
    """How a message is delivered, without the values of headers that carry credentials."""
    data: dict[str, Any] = json.loads(stored)
    for family in _FAMILIES:
        given: dict[str, Any] = data.get(family, {})
        data[family] = {
            n: v if isinstance(v, str) and not is_sensitive(n) else "[hidden]"
            for n, v in given.items()
        }
    return MessageSpec.from_json(data)


def facts_of(engine: DurableEngine, run: RemoteRow) -> RunFacts:
    """Everything about a run that its log tells of."""
    reads, store = engine.store.messages, engine.store
    messages = reads.of_run(run.id)
    row = store.run(run.id)
    children = {c.parent_step: (c, _payload(engine, c.id)) for c in reads.remote.children(run.id)}
    return RunFacts(
        run,
        None if row is None else row.ended_at,
        row.result if row is not None and run.phase is Phase.SUCCESS else None,
        store.labels(run.id),
        messages,
        reads.remote.entries(run.id),
        reads.owed([message.id for message in messages]),
        parent=None if run.parent is None else reads.remote.run(run.parent),
        children=children,
        letter=reads.remote.letter_of(run.id),
        ids={message.id: engine.wire.messages.id_of(message.id) for message in messages},
        kept=row is not None and engine.options_of(row).checkpoints,
    )


def _payload(engine: DurableEngine, run: int) -> bytes:
    row = engine.store.run(run)
    return (row.input if row else None) or b""
