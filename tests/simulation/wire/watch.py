"""What is watched while messages are delivered: every request, and what was known before it."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.simulation.processes import Disturbances, Processes
from tests.simulation.wire import records
from tests.simulation.wire.records import Entry, Message
from workflow_agents import FlowControl
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.engine.http_out import HttpRequest, HttpResponse
from workflow_agents.testing.faults import Faults

NO_ANSWER = HttpResponse(504)
"""What stands for an answer that has not come."""


@dataclass
class Sent:
    """A request that was sent.

    Attributes:
        process: that sent it.
        retries_before: of its message, as the feed told them then.
        answer: that its process was given; None: none yet, or its process has ended.
        abandoned: its process has taken it back.
    """

    message: Message
    process: int
    retried: int
    retries_before: int
    answer: HttpResponse | None = None
    abandoned: bool = False


class Watch:
    """Outlives the processes, like the eyes of somebody who looks at them.

    Attributes:
        problems: what was not as it must be.
        fired: how often each thing happened that was not a fault of the store or network.
        sent: the requests that were sent for each message.
        canceled: messages whose cancellation was acknowledged.
        paused: ("queue" or "key", name) of what is paused, by all that was acknowledged.
    """

    def __init__(
        self,
        disturbances: Disturbances,
        processes: Processes[DurableEngine],
        faults: Faults,
        *,
        queues: Mapping[str, int],
        limits: Mapping[str, FlowControl],
    ) -> None:
        self.problems = processes.problems
        self.fired = processes.fired
        self.sent: defaultdict[int, list[Sent]] = defaultdict(list)
        self.canceled: set[int] = set()
        self.paused: set[tuple[str, str]] = set()
        self._processes = processes
        self._database = processes.database
        self._faults = faults
        self._queues = queues
        self._limits = limits
        self._steps_back = any(what == "step" and ms < 0 for _, what, ms in disturbances.clock)
        self._steady = not disturbances.clock
        self._starts: defaultdict[str, list[float]] = defaultdict(list)

    def most_requests(self) -> dict[str, int]:
        """How often each endpoint was sent the message that it was sent most often."""
        most: dict[str, int] = {}
        for sents in self.sent.values():
            url = sents[0].message.url
            most[url] = max(most.get(url, 0), len(sents))
        return most

    def violated(self, what: str, message: int) -> None:
        self.problems.append(f"message {message}: {what}")

    # Each request.

    def request_starts(self, row: int, request: HttpRequest) -> Sent | None:
        """The engine sends a request, whatever becomes of it on the way."""
        message = records.message(self._database, row)
        if message is None:
            self.violated("it is sent before it is durable (P1)", row)
            return None
        told = records.entries(self._database, row)
        retries = [entry for entry in told if entry.kind in records.RETRIES]
        sent = Sent(
            message,
            self._processes.number,
            int(request.headers["Upstash-Retried"]),
            len(retries),
        )
        if any(entry.kind in records.ANSWERED for entry in told):
            self.violated("it is sent though it has ended (I4)", row)
        if row in self.canceled:
            # Until whoever cancels is told so, an attempt may still start.
            self.violated("it is sent after the cancel was acknowledged (I10)", row)
        self._once_at_a_time(sent)
        self._not_early(message, retries)
        self._in_turn(message)
        self._not_paused(message)
        self.unchanged(message, request)
        self.sent[row].append(sent)
        if message.flow_key is not None:
            self._under_limits(message.flow_key)
        return sent

    def _once_at_a_time(self, sent: Sent) -> None:
        """Within a process, an attempt follows another one whose end is known (I4)."""
        before = self.sent[sent.message.id]
        if not before:
            return
        last = before[-1]
        if sent.retried <= last.retried:
            self.violated(f"retried {sent.retried} follows {last.retried}", sent.message.id)
        if last.process == sent.process and sent.retries_before <= last.retries_before:
            self.violated("it is sent again before its last attempt is recorded", sent.message.id)

    def _not_early(self, message: Message, retries: list[Entry]) -> None:
        """Neither before its time nor before that of its next attempt (I6)."""
        if self._steps_back:
            # What was due may not be so any more when the clock has just been set back.
            return
        now = self._processes.clock.now_ms()
        due_at = max([message.due_at, *(entry.told["until"] for entry in retries[-1:])])
        if now < due_at:
            self.violated(f"it is sent {due_at - now} ms too early (I6)", message.id)
        if message.due_at > message.at and not self.sent[message.id]:
            self.fired["delayed"] += 1

    def _in_turn(self, message: Message) -> None:
        """No more turns of a queue are taken than it has, in the order of publishing (I16)."""
        if message.queue is None:
            return
        earlier = records.earlier_turns(self._database, message)
        if earlier >= self._queues.get(message.queue, 1):
            self.violated(f"{earlier} messages before it in its queue are open (I16)", message.id)
        else:
            self.fired["in a queue, side by side" if earlier else "in a queue"] += 1

    def _not_paused(self, message: Message) -> None:
        """What is paused begins nothing."""
        for paused in (("queue", message.queue), ("key", message.flow_key)):
            if paused in self.paused:
                self.violated(f"it is sent while {paused} is paused", message.id)

    def _under_limits(self, key: str) -> None:
        """No more of a key are under way, or start in a period, than may (I9)."""
        limit = self._limits[key]
        under_way = [
            sent
            for sents in self.sent.values()
            for sent in sents[-1:]
            if sent.message.flow_key == key and self._is_under_way(sent)
        ]
        if limit.parallelism is not None and len(under_way) > limit.parallelism:
            self.problems.append(f"{len(under_way)} of {key} at a time (I9)")
        if limit.rate is None or not self._steady or self._faults.errors:
            return
        now, starts = self._processes.time.ms, self._starts[key]
        starts.append(now)
        within = [at for at in starts if at > now - limit.period_ms]
        if len(within) > limit.rate:
            self.problems.append(f"{len(within)} starts of {key} in a period: {within} (I9)")

    def _is_under_way(self, sent: Sent) -> bool:
        of_now = sent.process == self._processes.number
        return of_now and sent.answer is None and not sent.abandoned

    def unchanged(self, message: Message, request: HttpRequest) -> None:
        """What is sent is what was published; those who know what it was say so."""

    # What comes back.

    def request_ends(self, sent: Sent, answer: HttpResponse | None) -> None:
        """An answer is given to the engine; None: it has taken the request back."""
        sent.answer = answer
        sent.abandoned = answer is None


RowOf = Callable[[str], int]
