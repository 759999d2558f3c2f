"""What is watched while messages are delivered: every request, and what was known before it."""

import base64
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.simulation.processes import Processes
from tests.simulation.wire import records
from tests.simulation.wire.publishing import POST, SECRET, group_urls
from tests.simulation.wire.records import Entry, Message
from tests.simulation.wire.scenario import Post, Scenario
from workflow_agents import FlowControl
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.engine.http_out import HttpRequest, HttpResponse
from workflow_agents.protocol.history import EntryKind
from workflow_agents.protocol.message_kinds import MessageKind
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
        retried: posts whose dead letter is retried; their endpoints have healed.
    """

    def __init__(
        self, scenario: Scenario, processes: Processes[DurableEngine], faults: Faults
    ) -> None:
        self.problems = processes.problems
        self.fired = processes.fired
        self.sent: defaultdict[int, list[Sent]] = defaultdict(list)
        self.canceled: set[int] = set()
        self.paused: set[tuple[str, str]] = set()
        self.retried: set[str] = set()
        self._processes = processes
        self._database = processes.database
        self._faults = faults
        self._posts = {post.name: post for post in scenario.all_posts}
        self._queues = scenario.queues
        self._groups = scenario.groups
        self._limits = flows_of(scenario)
        self._steps_back = any(what == "step" and ms < 0 for _, what, ms in scenario.clock)
        self._steady = not scenario.clock
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
        retries = [entry for entry in told if entry.kind is EntryKind.MESSAGE_RETRY]
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
        self._unchanged(message, request)
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

    # What is sent.

    def post_of(self, message: Message) -> Post:
        """The post that it was published with, or that it is about."""
        while message.source is not None:
            source = records.message(self._database, message.source)
            assert source is not None
            message = source
        name = message.spec.headers[POST]
        return next(
            p for p in self._posts.values() if name == ("content" if p.by_content else p.name)
        )

    def _unchanged(self, message: Message, request: HttpRequest) -> None:
        """It arrives as it was published, byte for byte (I14)."""
        post = self.post_of(message)
        if (request.method, request.url) != ("POST", message.url):
            self.violated(f"it goes to {request.method} {request.url}", message.id)
        if message.group is not None:
            self.fired["to a group"] += 1
            if message.url not in group_urls(message.group, self._groups[message.group]):
                self.violated(f"{message.url} is not in {message.group}", message.id)
        if message.kind is MessageKind.PLAIN:
            expected = dict([SECRET, (POST, message.spec.headers[POST])])
            expected["Content-Type"] = "application/octet-stream"
            if expected.items() - request.headers.items():
                self.violated(f"headers {request.headers}, expected {expected} (I14)", message.id)
            if request.body != post.body:
                self.violated("another body is sent than was published (I14)", message.id)
        else:
            self._tells_of_its_source(message, post, json.loads(request.body))

    def _tells_of_its_source(self, message: Message, post: Post, told: dict[str, Any]) -> None:
        """A callback tells of the last answer, and of the message as it was sent."""
        assert message.source is not None
        last = self._last_answered(message.source)
        source = records.message(self._database, message.source)
        if last is None or source is None:
            self.violated("a callback tells of a message that has no answer", message.id)
            return
        answer = last.answer or NO_ANSWER
        expected = {
            "status": answer.status,
            "retried": last.retried,
            "maxRetries": source.attempts - 1,
            "sourceBody": base64.b64encode(post.body).decode(),
        }
        if answer is not NO_ANSWER:
            expected["body"] = base64.b64encode(answer.body).decode()
        if {name: told.get(name) for name in expected} != expected:
            self.violated(f"it tells {told}, expected {expected}", message.id)
        letters = records.letters(self._database).get(message.source, [])
        if message.kind is MessageKind.FAILURE_CALLBACK and [told.get("dlqId")] != [
            letter for letter, _ in letters
        ]:
            self.violated(f"it tells of {told.get('dlqId')}, not of {letters} (I12)", message.id)

    def _last_answered(self, row: int) -> Sent | None:
        return next((sent for sent in reversed(self.sent[row]) if sent.answer is not None), None)

    # What comes back.

    def request_ends(self, sent: Sent, answer: HttpResponse | None) -> None:
        """An answer is given to the engine; None: it has taken the request back."""
        sent.answer = answer
        sent.abandoned = answer is None


def flows_of(scenario: Scenario) -> dict[str, FlowControl]:
    """The limits of all keys."""
    flows: list[FlowControl | None] = []
    for post in scenario.all_posts:
        flows += [
            post.flow,
            *(told.flow for told in (post.callback, post.failure_callback) if told),
        ]
    return {flow.key: flow for flow in flows if flow is not None}


RowOf = Callable[[str], int]
