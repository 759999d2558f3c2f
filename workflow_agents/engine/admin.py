"""Operator verbs: cancel, look, and what can be done with dead letters."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.core.lifecycle import Phase, wire_state
from workflow_agents.core.logs import RunLog
from workflow_agents.core.options import RunOptions
from workflow_agents.engine.ends import CALLBACK_FAIL, CALLBACK_IN_PROGRESS, DeliveryKind
from workflow_agents.engine.intake import Inheritance, Triggered
from workflow_agents.errors import NotFound, StateError
from workflow_agents.protocol.codec import Undecodable, decode, encode
from workflow_agents.protocol.history import EntryKind, Recorded, StepKey, StepKind
from workflow_agents.store.changes import (
    AddDelivery,
    Applied,
    Change,
    DeleteConversation,
    Entry,
    SetCallback,
    TakeDeadLetter,
)
from workflow_agents.store.interface import DeadLetterRow, FeedRow, RunRow

if TYPE_CHECKING:
    from workflow_agents.core.logs import Steps
    from workflow_agents.core.model_asks import ModelAsk
    from workflow_agents.core.step_logs import FeedEntry
    from workflow_agents.engine.engine import DurableEngine
    from workflow_agents.engine.searching import Searches

_PAGE = 1_000
_BODIES_SHOWN = 4 * 2**20
"""Bytes of requests in one log; of a long conversation, each holds all that was said before."""


class Admin:
    """What operators and clients ask of a running engine."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine

    def find(self, run_id: str) -> RunRow:
        """A run by its id, with or without the prefix.

        Raises:
            NotFound: WA606.
        """
        store = self._engine.store
        row = store.run(run_id) or store.run(f"wfr_{run_id}")
        if row is None:
            raise NotFound("WA606", found=f"run {run_id!r}")
        return row

    @cached_property
    def searches(self) -> "Searches":
        """Looks for texts in what runs were given and gave."""
        from workflow_agents.engine.searching import Searches

        return Searches(self._engine)

    def heir(self, row: RunRow) -> RunRow:
        """The run that was resumed from this one, and from that, and so on; or itself."""
        while row.phase is Phase.FAILED:
            entries = reversed(self.entries(row))
            removed = (e for e in entries if e.kind == EntryKind.DEAD_LETTER_REMOVED.name)
            taken = next(removed, None)
            found = None if taken is None or not taken.data else taken.data["workflowRunId"]
            following = None if found is None else self._engine.store.run(found)
            if following is None:
                return row
            row = following
        return row

    def webhooks(self, row: RunRow) -> set[str]:
        """The event ids of the webhooks that a run has made."""
        made = self._engine.store.history(row.id).recorded
        return {
            decode(r.data)["eventId"] for r in made if r.kind is StepKind.CREATE_WEBHOOK and r.ok
        }

    async def cancel(self, run_id: str) -> bool:
        """End a run as cancelled. False: it had ended before.

        When this returns, no step of it starts any more.
        """
        row = self.find(run_id)
        live = self._engine.live.get(row.id)
        outcome = await self._engine.commits.store(self._engine.ends.canceled(row))
        live = self._engine.live.get(row.id) or live
        if isinstance(outcome, Applied) and live is not None:
            live.close()
        self._engine.deliveries.abort_run(row.id)
        self._engine.poke()
        return isinstance(outcome, Applied)

    def entries(self, row: RunRow, after: int = 0) -> "list[FeedEntry]":
        """The feed of a run."""
        found: list[FeedEntry] = []
        while True:
            page = self._engine.store.feed(run=row.id, after=after, limit=_PAGE)
            found += [_entry(r) for r in page]
            if len(page) < _PAGE:
                return found
            after = page[-1].seq

    def entry(self, row: RunRow, seq: int) -> "FeedEntry":
        """What the feed of a run tells at a place, or next behind it."""
        return _entry(self._engine.store.feed(run=row.id, after=seq - 1, limit=1)[0])

    def steps(self, row: RunRow, entries: "Sequence[FeedEntry]") -> "Steps":
        """The steps that some entries of a run tell of."""
        from workflow_agents.core.step_logs import fold_steps

        return fold_steps(entries, self._bodies(row, self._engine.options_of(row)))

    def _run_id(self, run: int | None) -> str | None:
        row = None if run is None else self._engine.store.run(run)
        return None if row is None else row.run_id

    def log(self, row: RunRow, *, steps: bool = True) -> RunLog:
        """A run and its steps, with redacted what is to be redacted."""
        options = self._engine.options_of(row)
        log = RunLog(
            row.run_id,
            row.workflow,
            wire_state(row.phase),
            row.created_at,
            row.ended_at,
            self._engine.store.labels(row.id),
            _shown(row.input, options),
            invoker=self._run_id(row.parent),
        )
        if row.phase is Phase.SUCCESS:
            log.result = _plain(row.result)
        elif row.phase is Phase.FAILED:
            log.failure = _plain(row.result)
        if steps:
            entries = self.entries(row)
            log.steps = self.steps(row, entries)
            for entry in entries:
                if entry.kind == EntryKind.DEAD_LETTER_ADDED.name:
                    log.dlq_id = entry.data["dlqId"]
                elif entry.kind == EntryKind.RUN_STARTED.name and entry.data:
                    log.forked_from = entry.data.get("forkedFrom")
                    log.resumed_from = entry.data.get("resumedFrom")
        return log

    async def delete_conversation(self, key: str) -> bool:
        """Remove a conversation. False: there is none."""
        now = self._engine.clock.now_ms()
        entry = Entry(0, now, EntryKind.CONVERSATION_DELETED, data=encode({"conversation": key}))
        outcome = await self._engine.commits.store(Change((DeleteConversation(key),), (entry,)))
        return isinstance(outcome, Applied)

    def _bodies(self, row: RunRow, options: RunOptions) -> dict[int, tuple[int, Any]]:
        found = self._engine.store.bodies(row.id, _BODIES_SHOWN)
        return {
            seq: (body.size, _shown(body.data, options) if body.data else None)
            for seq, body in found.items()
        }

    # Dead letters.

    def letter(self, dlq_id: str) -> tuple[DeadLetterRow, RunRow]:
        """A dead letter and its run.

        Raises:
            NotFound: WA607.
        """
        letter = self._engine.store.dead_letter(dlq_id)
        row = None if letter is None else self._engine.store.run(letter.run)
        if letter is None or row is None:
            raise NotFound("WA607", found=f"dead letter {dlq_id!r}")
        return letter, row

    async def again(self, dlq_id: str, options: RunOptions, *, resume: bool) -> Triggered:
        """A new run of a dead letter: with the steps that it had done, or from the top."""
        _, row = self.letter(dlq_id)
        if row.is_remote:
            from workflow_agents.engine.remote_letters import override_of

            letters, over = self._engine.wire.run_letters, override_of(row.workflow, options)
            made = await letters.again(dlq_id, over, resume=resume)
            return Triggered(self.find(made.run_id).id, made.run_id, deduplicated=False)
        stored = RunOptions.from_json(json.loads(row.options)) if row.options else RunOptions()
        origin = (stored.origin or row.run_id) if resume else None
        return await self._engine.intake.trigger(
            row.workflow,
            row.input or b"",
            replace(options.over(stored), depth=stored.depth, url=stored.url, origin=origin),
            inherit=self._resumed(row) if resume else None,
            dead_letter=(dlq_id, row.id),
        )

    async def fork(
        self,
        run_id: str,
        options: RunOptions,
        *,
        step: StepKey | None,
        body: bytes | None,
        result: bytes | None,
        ask: "ModelAsk | None" = None,
    ) -> Triggered:
        """A new run that begins with what this one had recorded before a step.

        Args:
            run_id: of the run, ended or not.
            options: over those of the run.
            step: its key or name; None: from the top.
            body: another input; None: the same.
            result: is the outcome of the step, which then does not run; None: it runs again.
            ask: what this step, and what its agent asks of models later, is to ask otherwise.

        Raises:
            NotFound: WA606, no such run; WA212, no such step.
            StateError: WA608, its endpoint runs another SDK.
            ConfigurationError: WA102, the step asks no model.
        """
        from workflow_agents.core.forks import found, left_out_from

        row = self.find(run_id)
        stored = RunOptions.from_json(json.loads(row.options)) if row.options else RunOptions()
        if row.is_remote and not stored.checkpoints:
            raise StateError(
                "WA608",
                "a run whose endpoint keeps its code's place cannot be forked",
                run_id=row.run_id,
                where=f"run {row.run_id}",
                found="expected a run of this process or of our SDK, found one of another SDK",
                fix=("restart it: workflow-agents runs restart " + row.run_id,),
            )
        recorded = self._engine.store.history(row.id).recorded
        at = None if step is None else found(recorded, step, run_id=row.run_id)
        key = None if at is None else at.key
        instead = None
        if at is not None and result is not None:
            instead = Recorded(at.key, at.kind, at.name, ok=True, data=result)
        lineage: dict[str, Any] = {"forkedFrom": row.run_id, "step": key}
        asks: dict[str, Any] = {}
        if ask is not None:
            asks = self._asks(row, at, ask)
            lineage["asks"] = asks
        return await self._engine.intake.trigger(
            row.workflow,
            row.input or b"" if body is None else body,
            replace(
                options.over(stored),
                depth=stored.depth,
                url=stored.url,
                checkpoints=stored.checkpoints,
                asks={**stored.asks, **asks},
            ),
            inherit=Inheritance(row.id, left_out_from(recorded, key), lineage, instead),
        )

    def _asks(self, row: RunRow, at: Recorded | None, ask: "ModelAsk") -> dict[str, Any]:
        from workflow_agents.core.model_asks import agent_of, kept_ask

        if at is None:
            raise wrong_option("step", "the step from which on models are asked otherwise", None)
        entries = [e for e in self.entries(row) if e.step == at.key]
        request = self.steps(row, entries)[0].request
        where = f"{at.key!r} {at.name!r}"
        if request is None:
            raise wrong_option("step", "a step that asks a model", where)
        return {agent_of(request.headers): kept_ask(ask, request.body, where=where)}

    def _resumed(self, row: RunRow) -> Inheritance:
        from workflow_agents.core.resume import left_out

        failed = left_out(self._engine.store.history(row.id).recorded)
        return Inheritance(row.id, failed, {"resumedFrom": row.run_id})

    async def delete_letter(self, dlq_id: str) -> None:
        """Remove a dead letter; its run stays in the logs."""
        _, row = self.letter(dlq_id)
        entry = Entry(row.id, self._engine.clock.now_ms(), EntryKind.DEAD_LETTER_REMOVED)
        await self._engine.commits.store(Change((TakeDeadLetter(dlq_id),), (entry,)))

    async def retry_failure_function(self, dlq_id: str) -> None:
        """Call the failure function of a dead letter again.

        Raises:
            StateError: WA608, unless it has failed.
        """
        letter, row = self.letter(dlq_id)
        if row.is_remote:
            await self._engine.wire.run_letters.tell_again(dlq_id)
            return
        if letter.callback != CALLBACK_FAIL:
            raise StateError(
                "WA608",
                where=f"dead letter {dlq_id!r}",
                found=f"expected {CALLBACK_FAIL}, found {letter.callback or 'no failure function'}",
            )
        options = self._engine.options_of(row)
        kind = DeliveryKind.FAILURE_URL if options.failure_url else DeliveryKind.FAILURE_FUNCTION
        now = self._engine.clock.now_ms()
        ops = (
            SetCallback(row.id, CALLBACK_IN_PROGRESS, before=CALLBACK_FAIL),
            AddDelivery(row.id, None, kind, now, letter.failure.encode()),
        )
        entry = Entry(row.id, now, EntryKind.FAILURE_FUNCTION_RETRY)
        await self._engine.commits.store(Change(ops, (entry,)))
        self._engine.poke()


def _entry(row: FeedRow) -> "FeedEntry":
    from workflow_agents.core.step_logs import FeedEntry

    return FeedEntry(
        row.seq,
        row.at,
        row.kind.name,
        row.step,
        None if row.type is None else row.type.name,
        row.name,
        _plain(row.data),
    )


def _shown(data: bytes | None, options: RunOptions) -> Any:
    """What logs show of a body."""
    if not options.redact:
        return _plain(data)
    from workflow_agents.core.redaction import redacted

    return redacted(_plain(data), options.redact)


def _plain(data: bytes | None) -> Any:
    if not data:
        return None
    try:
        return decode(data)
    except Undecodable:
        from workflow_agents.protocol.results import read_body

        return read_body({"body": data.decode("utf-8", "replace")})
