"""Runs whose function is called by an endpoint, and that are kept as the engine keeps its own.

Such a run begins as a remote one. Its first visit offers the endpoint to answer with
checkpoints; an SDK that knows nothing of it goes the way of the QStash protocol. One that does
*adopts* the run with the first thing that it says: from there on the run is leased, parked and
woken like any other, and whenever it is due, its endpoint is visited with its history.

An offer holds while the attempt lasts that made it. What is said of an invocation that is not
known here is answered with `closed`: its run goes on elsewhere, or not at all.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from workflow_agents.core.answers import is_final
from workflow_agents.core.checkpoint_json import write_visit
from workflow_agents.core.checkpoints import (
    HEADER,
    VISIT,
    Adoption,
    Batch,
    Offer,
    Said,
    Told,
    Visit,
)
from workflow_agents.core.journal import Failure, History
from workflow_agents.core.lifecycle import Phase
from workflow_agents.core.options import RunOptions
from workflow_agents.core.retry import retry_after_ms
from workflow_agents.engine.http_out import HttpResponse
from workflow_agents.engine.live import LiveRun
from workflow_agents.engine.remote_ends import failure_of
from workflow_agents.engine.remote_invocations import GONE, RemoteInvocation
from workflow_agents.engine.remote_known import KnownRun
from workflow_agents.engine.sending import Attempt
from workflow_agents.errors import StoreError
from workflow_agents.protocol.callbacks import compact_json
from workflow_agents.protocol.message import MessageSpec
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.protocol.run_messages import visit_of
from workflow_agents.store.changes import Applied, Change, Entry, Op, Outcome
from workflow_agents.store.interface import RunRow
from workflow_agents.store.message_changes import AddMessage, Adopt
from workflow_agents.store.message_rows import MessageRow

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine

logger = logging.getLogger(__name__)

POLL_S = 5.0
"""How long an endpoint that asks for news waits for them."""

_STORE_RETRY_S = 1.0
"""How soon it is tried again after the store has failed."""

_LONGEST_VISIT_MS = 7 * 86_400_000
"""A visit lasts as long as its invocation, whose signs of life come otherwise."""

_CLOSED = Told(0, 1, (), closed=True)


class _Offered(NamedTuple):
    """A first visit that is on its way."""

    message: int
    attempt: int


class Checkpoints:
    """See the module.

    Attributes:
        channels: how those end who take batches one after the other.
    """

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine
        self._invocations: dict[str, RemoteInvocation] = {}
        self._offers: dict[str, _Offered] = {}
        self._accepted: set[_Offered] = set()
        self._visits: set[asyncio.Task[None]] = set()
        self._polls: dict[str, asyncio.Event] = {}
        self._hung_up: set[str] = set()
        self.channels: set[Callable[[], None]] = set()

    def hang_up(self) -> None:
        """Whoever waits for news is answered, and channels are ended: the engine stops soon."""
        for end in [*self.channels]:
            end()
        for event in self._polls.values():
            event.set()

    async def close(self) -> None:
        """Abandon the visits: their runs are visited again when the engine starts."""
        self.hang_up()
        for task in self._visits:
            task.cancel()
        await asyncio.gather(*self._visits, return_exceptions=True)

    def forget(self, invocation: RemoteInvocation) -> None:
        """It is over."""
        run_id = invocation.live.row.run_id
        if self._invocations.get(run_id) is invocation:
            del self._invocations[run_id]
        self.has_news(invocation)

    def has_news(self, invocation: RemoteInvocation) -> None:
        """Whoever waits for news of its endpoint looks again."""
        event = self._polls.get(invocation.endpoint)
        if event is not None and (invocation.unseen or invocation.closed):
            event.set()

    # First visits.

    def offer(self, run: KnownRun, message: MessageRow, attempt: int) -> dict[str, str]:
        """What a visit says beside; nothing, unless it is the first one of its run."""
        if message.kind is not MessageKind.VISIT or message.step != 0:
            return {}
        self._offers[run.run_id] = _Offered(message.id, attempt)
        return {HEADER: _offer_of(run.options, attempt).to_text()}

    def offered(self, run: KnownRun, message: MessageRow, attempt: Attempt) -> bool:
        """The visit is over; whether the run was adopted by it."""
        offered = _Offered(message.id, attempt.number)
        if self._offers.get(run.run_id) == offered:
            del self._offers[run.run_id]
        invocation = self._invocations.get(run.run_id)
        if invocation is not None and invocation.message == message.id:
            self._over(invocation, attempt)
        if offered in self._accepted:
            self._accepted.remove(offered)
            return True
        now = self._engine.wire.known.find(run.run_id)
        return now is not None and now.options.checkpoints

    def _over(self, invocation: RemoteInvocation, attempt: Attempt) -> None:
        if attempt.answer is None and not attempt.final and not attempt.unsent:
            invocation.broke_off()
            self._if_dead(invocation)
        else:
            invocation.failed(_failure_of(attempt))

    def hung_up(self, endpoint: str) -> None:
        """An endpoint that waited for news has gone without an answer."""
        self._hung_up.add(endpoint)
        for invocation in [*self._invocations.values()]:
            if invocation.endpoint == endpoint:
                self._if_dead(invocation)

    def _if_dead(self, invocation: RemoteInvocation) -> None:
        """Where both of its requests broke off, the process is gone."""
        if invocation.visit_broke_off and invocation.endpoint in self._hung_up:
            invocation.failed(GONE)

    # What endpoints say.

    async def take(self, batch: Batch) -> list[Told]:
        """Take what an endpoint says of its invocations; what it is told is in the same order.

        Everything that it says is stored when this returns, or the invocation is over.
        """
        self._hung_up.discard(batch.endpoint)
        taken = [self._take(said, batch.endpoint) for said in batch.said]
        for invocation in taken:
            if invocation is not None:
                await invocation.settled()
        return [_CLOSED if found is None else found.told() for found in taken]

    def _take(self, said: Said, endpoint: str) -> RemoteInvocation | None:
        invocation = self._invocations.get(said.run_id)
        if isinstance(said.by, Adoption):
            message = self._engine.wire.messages.row_of(said.by.message_id)
            if invocation is None or invocation.message != message:
                invocation = self._adopted(said.run_id, _Offered(message, said.by.attempt))
        elif invocation is not None and invocation.token != said.by:
            invocation = None
        if invocation is not None and not invocation.is_of(endpoint, said.line):
            invocation = None
        if invocation is not None:
            invocation.take(said, endpoint)
        return invocation

    def _adopted(self, run_id: str, offered: _Offered) -> RemoteInvocation | None:
        """The run is kept by checkpoints from now on. What it says next shares the commit."""
        engine = self._engine
        run = engine.wire.known.find(run_id)
        if run is None or self._offers.get(run_id) != offered or not engine.running:
            return None
        row = engine.store.run(run.id)
        if row is None or row.phase is not Phase.REMOTE:
            return None
        options = self.options_of(run.config, run.options)
        stored = json.dumps(options.to_json())
        change = Change((Adopt(row.id, row.token, offered.message, stored),))
        row.phase, row.options, row.token = Phase.LEASED, stored, row.token + 1
        live = LiveRun(engine, row, options)
        engine.live[row.id] = live
        live.invocation = invocation = self._begun(live, offered.message)
        invocation.adopting()
        self._accepted.add(offered)

        def told(outcome: Outcome) -> None:
            engine.wire.known.forget(run_id)
            if isinstance(outcome, Applied):
                invocation.adopted()
            else:
                self._accepted.discard(offered)
                live.close()

        engine.commits.submit(change, told)
        return invocation

    def options_of(self, config: MessageSpec, given: RunOptions) -> RunOptions:
        """What holds for a run that is kept by checkpoints.

        Args:
            config: the message that began it.
            given: what holds for it as a remote run.
        """
        flow = self._engine.wire.messages.flow_of(config)
        if flow is None and config.flow_key is not None:
            flow = self._engine.flow_limits.of(config.flow_key)
        return replace(
            given,
            retries=config.retries,
            retry_delay=config.retry_delay,
            labels=config.labels,
            flow_control=flow,
            checkpoints=True,
        )

    async def poll(self, endpoint: str, seconds: float = POLL_S) -> None:
        """Wait until there are news for an endpoint's invocations, or for so long."""
        self._hung_up.discard(endpoint)
        mine = [one for one in self._invocations.values() if one.endpoint == endpoint]
        for invocation in mine:
            invocation.heard()
        if self._engine.stopping or any(invocation.unseen for invocation in mine):
            return
        event = self._polls.setdefault(endpoint, asyncio.Event())
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            self._polls.pop(endpoint, None)

    # Visits.

    def visit(self, live: LiveRun, history: History) -> RemoteInvocation:
        """Visit the endpoint of a run that was just leased."""
        invocation = self._begun(live)
        task = self._engine.spawn(self._visit(invocation, history))
        self._visits.add(task)
        task.add_done_callback(self._visits.discard)
        return invocation

    def _begun(self, live: LiveRun, message: int = 0) -> RemoteInvocation:
        invocation = RemoteInvocation(self._engine, live, message)
        self._invocations[live.row.run_id] = invocation
        return invocation

    async def _visit(self, invocation: RemoteInvocation, history: History) -> None:
        live = invocation.live
        while True:
            try:
                asked = self._asked(live, history)
                break
            except StoreError as error:
                logger.error("run %s cannot be visited: %s", live.row.run_id, error)
                await asyncio.sleep(_STORE_RETRY_S)
        attempt = await self._engine.wire.sending.request(
            *asked, live.row.attempt + 1, lambda: invocation.is_silent
        )
        self._over(invocation, attempt)

    def _asked(
        self, live: LiveRun, history: History
    ) -> tuple[MessageSpec, int, bytes, dict[str, str]]:
        """What a visit is sent with."""
        engine, row = self._engine, live.row
        wire = engine.wire
        run = wire.known.named(row.run_id)
        spec = replace(visit_of(run.config, run.config), timeout_ms=_LONGEST_VISIT_MS)
        offer = _offer_of(live.options, row.attempt + 1)
        body = write_visit(
            Visit(
                row.run_id, live.token, row.created_at, row.input or b"", offer,
                engine.store.labels(row.id), history,
            )
        )  # fmt: skip
        return spec, run.first, body, {**wire.visits.own_headers(run, spec), HEADER: VISIT}

    # Ends.

    def gave_up(
        self, row: RunRow, options: RunOptions, failure: dict[str, Any]
    ) -> tuple[list[Op], list[Entry]]:
        """The run failed for good: it is told as that of any other remote run."""
        engine = self._engine
        wire = engine.wire
        run = wire.known.named(row.run_id)
        message = engine.store.messages.message(run.first)
        assert message is not None  # noqa: S101  # it is the run's own, and `known` has joined it
        spec = visit_of(run.config, run.config)
        told = {name: failure[name] for name in ("error", "message") if name in failure}
        answer = HttpResponse(
            failure.get("status", 500), {"content-type": ["application/json"]}, compact_json(told)
        )
        attempt = Attempt(failure.get("attempts", 1), answer, at=engine.clock.now_ms())
        ops, entries, _ = wire.remote_ends.failed(run, message, spec, attempt)
        engine.ends.free(ops, options, attempt.at)
        return [_due(op) for op in ops], entries


def _offer_of(options: RunOptions, attempt: int) -> Offer:
    return Offer(attempt, options.retries, options.retry_delay, options.origin)


def _failure_of(attempt: Attempt) -> Failure:
    """What a visit comes to that ended before its run had parked or ended."""
    answer = attempt.answer
    if answer is None:
        return Failure("NoAnswer", attempt.error, attempt.status, final=attempt.final)
    if attempt.succeeded:
        return Failure("NoAnswer", "the endpoint left its run behind", 502)
    told = failure_of(attempt)
    later = retry_after_ms(answer.headers, attempt.at)
    final = is_final(answer.status, answer.headers)
    return Failure(told["error"], told["message"], answer.status, retry_after_ms=later, final=final)


def _due(op: Op) -> Op:
    """What was to be begun by whoever adds it is left to the dispatcher."""
    return op._replace(due_at=op.at) if isinstance(op, AddMessage) and op.due_at is None else op
