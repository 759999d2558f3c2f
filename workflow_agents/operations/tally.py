"""What the metrics are made of: counts of the store, and of its feed, as named samples. Pure.

Nothing is counted where it happens. Whatever happens is an entry of the feed, so the counters are
counts of its entries; whatever is, is a row. The two come from one snapshot of the store and
therefore agree with it, and with each other.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from workflow_agents.core.lifecycle import Phase
from workflow_agents.protocol.history import EntryKind, StepKind
from workflow_agents.store.interface import Census


class Metric(NamedTuple):
    """A family of samples.

    Attributes:
        name: without what all names begin with.
        kind: "counter", "gauge" or "histogram".
        labels: of its samples.
        help: what it says.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str


PREFIX = "workflow_agents_"

COUNTED = (
    Metric("runs_started", "counter", (), "Runs that were stored."),
    Metric("runs_ended", "counter", ("state",), "Runs that have ended: success, failed, canceled."),
    Metric("run_retries", "counter", (), "Attempts at a function that failed and are repeated."),
    Metric("runs_recovered", "counter", (), "Runs that a process which died had in hand."),
    Metric("steps_ended", "counter", ("type", "outcome"), "Steps whose outcome was stored."),
    Metric("step_retries", "counter", ("type",), "Attempts at steps that failed and are repeated."),
    Metric("deliveries_ended", "counter", ("outcome",), "Messages: delivered, failed, canceled."),
    Metric("delivery_attempts", "counter", (), "Attempts to deliver messages."),
    Metric("delivery_retries", "counter", (), "Those that failed and are repeated."),
    Metric("failure_functions", "counter", ("outcome",), "Calls of failure functions."),
    Metric("dead_letters_added", "counter", (), "Runs that became dead letters."),
    Metric("dead_letters_removed", "counter", (), "Dead letters that somebody dealt with."),
    Metric("notifications", "counter", (), "Events that were notified from outside of runs."),
    Metric("discarded", "counter", (), "Outcomes that came second, and changed nothing."),
    Metric("feed_position", "gauge", (), "The place of the newest entry of the feed."),
    Metric("runs", "gauge", ("state",), "Runs in the store, by state."),
    Metric("waits", "gauge", ("kind",), "What steps wait for now."),
    Metric("deliveries", "gauge", ("state",), "Requests that are owed, by what holds them."),
    Metric("queue_depth", "gauge", ("queue",), "Messages of a queue that are owed."),
    Metric("dead_letters", "gauge", (), "Dead letters in the store."),
    Metric("overdue", "gauge", ("kind",), "What was due five seconds ago and is not taken up."),
    Metric("store_bytes", "gauge", (), "The size of the store."),
)  # fmt: skip
"""Of the store, whichever process looks."""

MEASURED = (
    Metric("runs_in_hand", "gauge", (), "Runs that this process advances or keeps."),
    Metric("deliveries_in_hand", "gauge", (), "Requests that this process is making."),
    Metric("stream_readers", "gauge", (), "Open streams of events."),
    Metric("stream_buffered_bytes", "gauge", (), "What their readers have before them."),
    Metric("commit_seconds", "histogram", (), "How long a commit takes."),
    Metric("commit_changes", "histogram", (), "How many changes share a commit."),
    Metric("http_request_seconds", "histogram", ("method", "route", "status"),
           "How long the server takes to answer; streams and waits for news are left out."),
)  # fmt: skip
"""Of this process."""

OVERDUE_MS = 5_000

Sample = tuple[str, dict[str, str], float]

_ENDED = {
    EntryKind.RUN_SUCCESS: "success",
    EntryKind.RUN_FAILED: "failed",
    EntryKind.RUN_CANCELED: "canceled",
}
_STEP_OUTCOMES = {EntryKind.STEP_SUCCESS: "success", EntryKind.STEP_FAILED: "failed"}
_DELIVERED = {
    EntryKind.MESSAGE_DELIVERED: "delivered",
    EntryKind.MESSAGE_FAILED: "failed",
    EntryKind.MESSAGE_CANCELED: "canceled",
}
_ATTEMPTS = (EntryKind.MESSAGE_DELIVERED, EntryKind.MESSAGE_FAILED, EntryKind.MESSAGE_RETRY)
_FUNCTIONS = {
    EntryKind.FAILURE_FUNCTION_SUCCESS: "success",
    EntryKind.FAILURE_FUNCTION_FAILED: "failed",
    EntryKind.FAILURE_FUNCTION_RETRY: "retry",
}
_PLAIN = {
    EntryKind.RUN_STARTED: "runs_started",
    EntryKind.RUN_RETRY: "run_retries",
    EntryKind.RUN_RECOVERED: "runs_recovered",
    EntryKind.MESSAGE_RETRY: "delivery_retries",
    EntryKind.DEAD_LETTER_ADDED: "dead_letters_added",
    EntryKind.DEAD_LETTER_REMOVED: "dead_letters_removed",
    EntryKind.NOTIFIED: "notifications",
    EntryKind.DISCARDED: "discarded",
}
_WAITS = ("timer", "call", "event", "invoke", "retry", "admission", "ready", "remote")
_OWED = ("due", "on_its_way", "flow_control", "paused", "queued")


class Tally:
    """Entries of the feed since it was begun, counted in steps.

    Args:
        position: where it begins.
        recovered: runs that were recovered when the process started, which was before.

    Attributes:
        position: up to where they are counted.
    """

    def __init__(self, position: int, recovered: int = 0) -> None:
        self.position = position
        self._entries: Counter[tuple[EntryKind, StepKind | None]] = Counter()
        self._entries[EntryKind.RUN_RECOVERED, None] = recovered

    def add(self, census: Census) -> Iterator[Sample]:
        """Count what is new, and tell all there is."""
        self._entries.update(census.entries)
        self.position = census.last_seq
        return samples(census, self._entries)


def samples(
    census: Census, entries: Mapping[tuple[EntryKind, StepKind | None], int]
) -> Iterator[Sample]:
    """The samples of `COUNTED`; of what has not happened yet, 0, so that it is seen to grow."""
    kinds: Counter[EntryKind] = Counter()
    for (kind, _), count in entries.items():
        kinds[kind] += count
    for kind, name in _PLAIN.items():
        yield name, {}, kinds[kind]
    for kind, state in _ENDED.items():
        yield "runs_ended", {"state": state}, kinds[kind]
    for kind, outcome in _DELIVERED.items():
        yield "deliveries_ended", {"outcome": outcome}, kinds[kind]
    for kind, outcome in _FUNCTIONS.items():
        yield "failure_functions", {"outcome": outcome}, kinds[kind]
    yield "delivery_attempts", {}, sum(kinds[kind] for kind in _ATTEMPTS)
    for does in StepKind:
        for kind, outcome in _STEP_OUTCOMES.items():
            labels = {"type": does.label, "outcome": outcome}
            yield "steps_ended", labels, entries.get((kind, does), 0)
        yield "step_retries", {"type": does.label}, entries.get((EntryKind.STEP_RETRY, does), 0)
    yield from _rows(census)


def _rows(census: Census) -> Iterator[Sample]:
    yield "feed_position", {}, census.last_seq
    for phase in Phase:
        yield "runs", {"state": phase.name.lower()}, census.runs.get(phase, 0)
    for kind in _WAITS:
        yield "waits", {"kind": kind}, census.waits.get(kind, 0)
    for state in _OWED:
        yield "deliveries", {"state": state}, census.deliveries.get(state, 0)
    for queue, depth in census.queues.items():
        yield "queue_depth", {"queue": queue}, depth
    yield "dead_letters", {}, census.dead_letters
    for kind, count in census.overdue.items():
        yield "overdue", {"kind": kind}, count
    yield "store_bytes", {}, census.bytes
