"""What has to be true of messages when nothing is owed any more, whatever happened before."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

from tests.simulation.wire import records
from tests.simulation.wire.outside import Outside
from tests.simulation.wire.post_watch import PostWatch
from tests.simulation.wire.publishing import POST, TRY
from tests.simulation.wire.records import Entry, Message
from tests.simulation.wire.scenario import Scenario
from workflow_agents.engine.messages import DEDUPLICATION_MS
from workflow_agents.protocol.history import EntryKind
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.testing.faults import Database, Faults

_MINUTE_MS = 60_000
_LATE_MS = 5_000
"""How late a tick may be, because its process was down or the store did not answer."""


class Judgement:
    """See the module."""

    def __init__(
        self, scenario: Scenario, database: Database, watch: PostWatch, outside: Outside
    ) -> None:
        self._scenario = scenario
        self._database = database
        self._watch = watch
        self._outside = outside
        self._messages = records.messages(database)
        self._letters = records.letters(database)

    def problems(self) -> Iterator[str]:
        """Everything that is not as it must be."""
        yield from records.leftovers(self._database)
        for message in self._messages:
            for problem in self._ended(message):
                yield f"message {message.id}: {problem}"
        yield from self._taken()
        yield from self._deduplicated()
        for schedule in self._scenario.schedules:
            for problem in self._ticks(schedule.post.name):
                yield f"{schedule.post.name}: {problem}"

    # Each message.

    def _ended(self, message: Message) -> Iterator[str]:
        """It has ended once, as its endpoint and its people had it (I1, I4)."""
        told = records.entries(self._database, message.id)
        ends = [entry for entry in told if entry.kind in records.ENDS]
        if len(ends) != 1:
            yield f"it has {len(ends)} ends: {ends} (I4)"
            return
        [end] = ends
        if len(self._letters.get(message.id, [])) > (end.kind is EntryKind.MESSAGE_FAILED):
            yield f"it ended {end}, and has dead letters (I4)"
        if end.kind is EntryKind.MESSAGE_CANCELED:
            if not self._may_be_cancelled(message):
                yield "it was cancelled, and nobody has asked for it (I4)"
        else:
            yield from self._attempted(message, told, end)
        yield from self._retries(message, told)
        yield from self._followed(message, end)

    def _may_be_cancelled(self, message: Message) -> bool:
        swept = self._outside.operators.swept
        return (
            message.id in self._outside.to_cancel
            or ("queue", message.queue) in swept
            or ("key", message.flow_key) in swept
        )

    def _attempted(self, message: Message, told: list[Entry], end: Entry) -> Iterator[str]:
        """What is told of it is what it was answered."""
        if message.id in self._watch.canceled:
            yield f"its cancel was acknowledged, and it ended {end} (I10)"
        sents = self._watch.sent[message.id]
        last = sents[-1].answer if sents else None
        if last is None:
            yield f"it ended {end} without an answer"
            return
        delivered = end.kind is EntryKind.MESSAGE_DELIVERED
        if delivered != (200 <= last.status < 300):
            yield f"it ended {end}, and was answered {last} (I4)"
        final = last.status == 489
        attempts = end.told["attempts"]
        if not delivered and not final and attempts < message.attempts:
            yield f"it was given up after {attempts} of {message.attempts} attempts (P2)"
        retries = sum(entry.kind is EntryKind.MESSAGE_RETRY for entry in told)
        if retries > message.attempts - 1:
            yield f"it was tried again {retries} times"
        if len({sent.process for sent in sents}) == 1 and len(sents) != retries + 1:
            yield f"it was sent {len(sents)} times, and {retries} retries are told of"
        self._watch.fired["delivered" if delivered else "dead letter"] += 1

    def _retries(self, message: Message, told: list[Entry]) -> Iterator[str]:
        """Each retry comes when its endpoint asked for it, or when its message says."""
        for entry in told:
            if entry.kind is not EntryKind.MESSAGE_RETRY:
                continue
            waits = entry.told["until"] - entry.at
            if entry.told.get("status") == 429:
                expected = 1_000
                self._watch.fired["retry after"] += 1
            elif message.spec.retry_delay is None:
                continue
            else:
                expected = int(message.spec.retry_delay)
                self._watch.fired["retry"] += 1
            if waits != expected:
                yield f"it waits {waits} ms before it is tried again, not {expected}"

    def _followed(self, message: Message, end: Entry) -> Iterator[str]:
        """Who is to be told of its end is told once."""
        spec, failed = message.spec, end.kind is EntryKind.MESSAGE_FAILED
        answered = end.kind is not EntryKind.MESSAGE_CANCELED
        for kind, owed in (
            (MessageKind.CALLBACK, spec.callback is not None and answered),
            (MessageKind.FAILURE_CALLBACK, spec.failure_callback is not None and failed),
        ):
            following = [m for m in self._messages if m.source == message.id and m.kind is kind]
            if len(following) - self._again(following) != owed:
                yield f"it ended {end}, and its {kind.name} are {[m.id for m in following]}"
            self._watch.fired[kind.name] += owed

    # Each publish.

    def _taken(self) -> Iterator[str]:
        """What was acknowledged is there once, what was refused is not (I1)."""
        made: defaultdict[tuple[str, int], list[Message]] = defaultdict(list)
        for message in self._messages:
            if message.kind is MessageKind.PLAIN and TRY in message.spec.headers:
                headers = message.spec.headers
                made[headers[POST], int(headers[TRY])].append(message)
        for post in self._scenario.posts:
            taken = self._outside.taken[post.name]
            if post.by_content:
                continue
            for attempt in range(1, self._outside.attempts[post.name] + 1):
                found = made[post.name, attempt]
                first = [m.id for m in found[: len(found) - self._again(found)]]
                expected: list[list[int]] = [[]]
                if attempt == taken.attempt:
                    expected = [[one.message for one in taken.published if not one.deduplicated]]
                elif (post.name, attempt) not in self._outside.refused:
                    # Nobody knows: its process died before it said so.
                    size = self._scenario.groups.get(post.group or "", 1)
                    expected = [[], first[:size] if len(first) >= size else []]
                if first not in expected:
                    yield f"{post.name}, attempt {attempt} is {first}, expected {expected} (I1)"
                yield from self._sent_again(found)

    def _again(self, alike: list[Message]) -> int:
        """How many of them were made of dead letters: so many letters are gone."""
        return sum(message.id not in self._letters and self._failed(message) for message in alike)

    def _failed(self, message: Message) -> bool:
        told = records.entries(self._database, message.id)
        return told[-1].kind in {EntryKind.MESSAGE_FAILED, EntryKind.DEAD_LETTER_REMOVED}

    def _sent_again(self, alike: list[Message]) -> Iterator[str]:
        """A message of a dead letter is what it was, but for its delay (I12)."""
        unlike = {
            str(replace(m.spec, delay_ms=None, not_before=None, deduplication_id=None, url=""))
            for m in alike
        }
        if len(unlike) > 1 or len({(m.body, m.queue, m.group, m.flow_key) for m in alike}) > 1:
            yield f"they are not alike: {alike} (I12)"

    def _deduplicated(self) -> Iterator[str]:
        """Messages with the same deduplication id lie apart (I15)."""
        last: dict[Any, Message] = {}
        for message in self._messages:
            key: Any = message.spec.deduplication_id
            if key is None and message.spec.content_based_deduplication:
                key = ("content",)
            if key is None:
                continue
            before = last.get(key)
            if before is not None and message.group and message.spec.headers == before.spec.headers:
                # Published at once, to another endpoint.
                continue
            if before is not None and message.at < before.at + DEDUPLICATION_MS:
                yield f"{before.id} and {message.id} have the id {key} (I15)"
            last[key] = message

    # Schedules.

    def _ticks(self, name: str) -> Iterator[str]:
        """One message for each tick that a schedule came to (I8)."""
        ticks = [m.at // _MINUTE_MS * _MINUTE_MS for m in self._messages if m.schedule == name]
        self._watch.fired["tick"] += len(ticks)
        if any(tick <= before for before, tick in pairwise(ticks)):
            yield f"the ticks {ticks} come more than once (I8)"
        if self._scenario.clock:
            return
        active = self._outside.operators.active[name]
        begin, end = active[0].asked_at, active[-1].over_at or 0
        for tick in range(-(-begin // _MINUTE_MS) * _MINUTE_MS, end + 1, _MINUTE_MS):
            must = any(a.from_at < tick < (a.until_at or 0) - _LATE_MS for a in active)
            may = any(a.asked_at <= tick <= (a.over_at or 0) for a in active)
            if (must and tick not in ticks) or (tick in ticks and not may):
                yield f"the tick {tick} is not among {ticks}, or is: {active} (I8)"


def cleaned(database: Database) -> list[str]:
    """Whether nothing is left over beside what is kept (I13), and that is whole (I14)."""
    store = database.store(Faults())
    store.open()
    while store.sweep(100):
        pass
    problems = [f"store.check: {fault}" for fault in store.check()]
    store.close()
    return problems
