"""An invocation whose function is called elsewhere: what stands for it here.

To the run (`LiveRun`) it is an invocation like any other. Behind it are an endpoint, which says
what the code comes to in frames, and the visit that this answers. What is stored is kept as
news until the endpoint has seen it.

Where the endpoint is not heard of any more, or its visit ends before the run has parked or
ended, the attempt has failed, and the run is tried again by its own rules.
"""

import asyncio
import logging
from typing import TYPE_CHECKING

from workflow_agents.core.checkpoints import (
    Cancel,
    End,
    Frame,
    News,
    Notified,
    Planned,
    Recall,
    Recalled,
    Record,
    Refused,
    Remember,
    Rest,
    Said,
    Taken,
    Told,
    Withdrawn,
    Yield,
)
from workflow_agents.core.checks import checked_size
from workflow_agents.core.failures import failure_of
from workflow_agents.core.journal import Completed, Failed, Failure
from workflow_agents.errors import WorkflowAgentsError
from workflow_agents.protocol.history import Recorded, StepKey, Waiting

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine
    from workflow_agents.engine.live import LiveRun

logger = logging.getLogger(__name__)

PATIENCE_S = 30.0
"""How long nothing may be heard of an endpoint that has an invocation."""

IMPATIENCE_S = 7.0
"""The same, once its visit has broken off: a proxy may have cut it, or the process has died."""

_REST_S = 0.1
"""How long an endpoint that wants to park waits for the answer in the same request."""

_GONE_MS = 500
"""How long an endpoint that says that it stops may still take visits, which nobody would answer."""

_SOON_S = 0.001
"""Less than this is over: what is left of a time may be too little to wait for."""

_ADOPTION = 0
"""Stands for it among the numbers of frames, which begin at 1."""

_UNHEARD = Failure("NoAnswer", "the endpoint was not heard of any more", 504)
GONE = Failure("NoAnswer", "the endpoint's process is gone", 504)


class RemoteInvocation:
    """`core.journal.Deliveries` of an invocation that is elsewhere.

    Attributes:
        live: the run that it advances.
        endpoint: what the process that has it calls itself; "": it has not spoken yet.
        message: the first visit by which the run was adopted; 0: it was visited.
        closed: it is over.
        visit_broke_off: the visit ended without an answer.
        holds_thread: a parked run is visited again, and not kept.
        token: of the run, as this invocation knows it.
    """

    holds_thread = True

    def __init__(self, engine: "DurableEngine", live: "LiveRun", message: int = 0) -> None:
        self.live = live
        self.endpoint = ""
        self._line = 0
        self.message = message
        self.closed = False
        self.token = live.token
        self._engine = engine
        self._most = engine.limits.result_bytes
        self._taken = 0
        self._open: set[int] = set()
        self._sent: dict[StepKey, tuple[int, bytes | None]] = {}
        self._news: list[News] = []
        self._first = 1
        self._elsewhere = 0
        self._seen = 0
        self._rests = False
        self._waiting: list[asyncio.Future[None]] = []
        self._recalls: set[asyncio.Task[None]] = set()
        self.visit_broke_off = False
        self._patience_s = PATIENCE_S
        self._heard_at = engine.loop.time()
        self._watch: asyncio.TimerHandle | None = None
        self._look_after(PATIENCE_S)

    def adopting(self) -> None:
        """The run is being adopted: nobody is told so before that is stored."""
        self._open.add(_ADOPTION)

    def adopted(self) -> None:
        """That is stored."""
        self._done(_ADOPTION)

    # What the run tells it.

    def deliver(self, outcome: Recorded | Waiting) -> None:
        """See `Deliveries.deliver`."""
        if isinstance(outcome, Recorded):
            sent = self._sent.pop(outcome.key, None)
            if sent is not None:
                frame, told = sent
                self._open.discard(frame)
                self._add(Taken(frame) if outcome.data is told else outcome)
                return
        self._elsewhere = self._last + 1
        self._add(outcome)

    def close(self) -> None:
        """See `Deliveries.close`."""
        if self.closed:
            return
        self.closed = True
        if self._watch is not None:
            self._watch.cancel()
        for task in self._recalls:
            task.cancel()
        self._engine.wire.checkpoints.forget(self)
        self._wake()

    @property
    def idle(self) -> bool:
        """See `Deliveries.idle`: the endpoint says so, and nothing has come since."""
        return self._rests and not self._open

    @property
    def _last(self) -> int:
        return self._first + len(self._news) - 1

    def _add(self, news: News) -> None:
        self._rests = False
        self._news.append(news)
        self._engine.wire.checkpoints.has_news(self)
        self._wake()

    # What the endpoint says.

    def is_of(self, endpoint: str, line: int) -> bool:
        """Whether it is that one who advances the run here: whoever has spoken first."""
        return not self.endpoint or (self.endpoint, self._line) == (endpoint, line)

    def take(self, said: Said, endpoint: str) -> None:
        """Hand the frames that are new to the run."""
        self.endpoint, self._line = endpoint, said.line
        self.heard()
        if said.seen > self._seen:
            self._seen = min(said.seen, self._last)
            del self._news[: self._seen + 1 - self._first]
            self._first = self._seen + 1
        if said.first > self._taken + 1:
            # Frames in between were lost: it cannot be told any more what the code has done.
            self.failed(Failure("NoAnswer", "the endpoint left out checkpoints", 502))
            return
        for number, frame in enumerate(said.frames, said.first):
            if self.closed:
                return
            if number > self._taken:
                self._taken = number
                self._rests = isinstance(frame, Rest) and frame.seen == self._last
                try:
                    self._do(number, frame)
                except WorkflowAgentsError as error:
                    self.failed(failure_of(error))

    def _do(self, number: int, frame: Frame) -> None:
        live = self.live
        match frame:
            case Record(key, kind, name, ok, waited, data):
                checked_size(len(data), self._most, f"result of step {name!r}")
                self._expect(number, key, data)
                live.record(key, kind, name, data, ok=ok, waited=waited)
            case Planned():
                self._plan(number, frame)
            case Withdrawn(key, name):
                live.withdraw(key, name)
            case Notified(key, name, event_id, data, run_id):
                self._expect(number, key, None)
                live.notify(key, name, event_id, data, run_id)
            case Recall():
                self._open.add(number)
                task = self._engine.spawn(self._recall(number, frame))
                self._recalls.add(task)
                task.add_done_callback(self._recalls.discard)
            case Remember(key, name, conversation, messages):
                self._expect(number, key, None)
                live.remember(key, name, conversation, messages)
            case Cancel():
                live.cancel()
            case Rest():
                live.idle()
            case Yield():
                run_id = live.row.run_id
                logger.info("run %s: its endpoint stops", run_id, extra={"run_id": run_id})
                live.release(_GONE_MS)
            case End(ending):
                size = len(ending.data) if isinstance(ending, Completed) else 0
                checked_size(size, self._most, f"result of run {live.row.run_id}")
                self._open.add(number)
                live.ended(ending)

    def _expect(self, number: int, key: StepKey, data: bytes | None) -> None:
        self._sent[key] = (number, data)
        self._open.add(number)

    def _plan(self, number: int, frame: Planned) -> None:
        try:
            planned = self.live.plan(*frame)
        except WorkflowAgentsError as error:
            self._add(Refused(number, error.as_dict()))
            return
        self._open.add(number)
        planned.add_done_callback(lambda _planned: self._done(number))

    async def _recall(self, number: int, frame: Recall) -> None:
        conversation, up_to, last = frame
        newest, messages = await self.live.recall(conversation, up_to=up_to, last=last)
        self._open.discard(number)
        self._add(Recalled(number, newest, messages))

    def _done(self, number: int) -> None:
        self._open.discard(number)
        self._wake()

    # What the endpoint is told.

    async def settled(self) -> None:
        """Wait until everything that was taken is stored, or the invocation is over."""
        while self._open and not self.closed:
            await self._change()
        if self._rests and not self.closed and not self.unseen:
            try:
                async with asyncio.timeout(_REST_S):
                    await self._change()
            except TimeoutError:
                pass

    @property
    def is_silent(self) -> bool:
        """Whether nothing was heard of it yet, and it is not over."""
        return not self.endpoint and not self.closed

    @property
    def unseen(self) -> bool:
        """Whether there are news that did not come of what the endpoint itself has said."""
        return self._elsewhere > self._seen

    def told(self) -> Told:
        """What the endpoint is told now."""
        return Told(self.token, self._first, self._news, self.closed)

    def _change(self) -> "asyncio.Future[None]":
        changed: asyncio.Future[None] = self._engine.loop.create_future()
        self._waiting.append(changed)
        return changed

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    # Whether it still lives.

    def heard(self) -> None:
        """A sign of life."""
        self._heard_at = self._engine.loop.time()

    def broke_off(self) -> None:
        """Its visit ended without an answer; whether it lives has to show soon."""
        self.visit_broke_off = True
        self._patience_s = IMPATIENCE_S
        if not self.closed:
            self._look_after(IMPATIENCE_S)

    def failed(self, failure: Failure) -> None:
        """The attempt has failed, unless the run has parked or ended before."""
        if not self.closed:
            self.live.ended(Failed(failure))

    def _look_after(self, seconds: float) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._watch = self._engine.loop.call_later(seconds, self._look)

    def _look(self) -> None:
        left = self._heard_at + self._patience_s - self._engine.loop.time()
        if left > _SOON_S:
            self._look_after(left)
            return
        run_id = self.live.row.run_id
        logger.warning("run %s: its endpoint is not heard of", run_id, extra={"run_id": run_id})
        self.failed(_UNHEARD)
