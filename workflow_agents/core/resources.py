"""What is kept on a server beside runs, as clients are told of it: messages and what rules them.

Instants are Unix milliseconds (`*_at`), durations milliseconds (`*_ms`). Source: protocol 6.2-6.5.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PublishedMessage:
    """What became of a message that was published.

    Attributes:
        message_id: its id, or that of the one that was there.
        url: where it goes, if it went to a URL group or the server says so.
        deduplicated: a message with its deduplication id was there, and no other was made.
        error: of one in a batch that was not taken: why; it has no id then.
    """

    message_id: str
    url: str | None = None
    deduplicated: bool = False
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A message that is still owed.

    Attributes:
        message_id: its id.
        url: where it goes.
        url_group: through which it came there.
        method: of the delivery.
        headers: what is delivered, each name with its values.
        body: text, or bytes where it is no UTF-8; None: it is empty.
        max_retries: after the first attempt.
        created_at: when it was published.
        not_before_at: it is not delivered before.
        callback: is sent the answer.
        failure_callback: is told when all attempts have failed.
        queue: in which it waits.
        schedule_id: that published it.
        labels: as given.
        flow_control_key: whose limits it waits for.
        caller_ip: whoever published it.
    """

    message_id: str
    url: str
    url_group: str | None = None
    method: str = "POST"
    headers: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]])
    body: str | bytes | None = None
    max_retries: int = 0
    created_at: int = 0
    not_before_at: int = 0
    callback: str | None = None
    failure_callback: str | None = None
    queue: str | None = None
    schedule_id: str | None = None
    labels: tuple[str, ...] = ()
    flow_control_key: str | None = None
    caller_ip: str | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue: its messages go out one after the other, a few at a time.

    Attributes:
        name: its name.
        parallelism: how many of its messages are on their way at the same time.
        paused: none begins.
        lag: messages in it that have not ended.
        created_at: when it was made.
        updated_at: when it was changed last.
    """

    name: str
    parallelism: int = 1
    paused: bool = False
    lag: int = 0
    created_at: int = 0
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class GroupEndpoint:
    """One destination of a URL group; `name` is for people."""

    url: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class UrlGroup:
    """One name for several destinations.

    Attributes:
        name: its name.
        endpoints: where a message to it goes.
        created_at: when it was made.
        updated_at: when it was changed last.
    """

    name: str
    endpoints: tuple[GroupEndpoint, ...] = ()
    created_at: int = 0
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class Schedule:
    """What publishes a message again and again.

    Attributes:
        schedule_id: its id.
        cron: when, as "0 9 * * MON-FRI" or "CRON_TZ=Europe/Berlin 0 9 * * *".
        destination: an address or the name of a URL group.
        created_at: when it was made.
        method: of its deliveries.
        headers: of its deliveries, each name with its values.
        body: of its messages: text, or bytes where it is no UTF-8; None: it is empty.
        retries: of each message.
        delay_ms: between a tick and the first attempt.
        timeout_ms: of each attempt.
        callback: is sent the answer.
        failure_callback: is told when all attempts have failed.
        queue: in which its messages wait.
        flow_control_key: whose limits they wait for.
        labels: of its messages.
        paused: no tick is made.
        last_at: the last tick that was made.
        next_at: the next one; None: it is paused.
        last_states: messages of the last tick: IN_PROGRESS, SUCCESS or FAIL.
        error: why the last tick has no message.
    """

    schedule_id: str
    cron: str
    destination: str
    created_at: int = 0
    method: str = "POST"
    headers: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]])
    body: str | bytes | None = None
    retries: int = 3
    delay_ms: int | None = None
    timeout_ms: int | None = None
    callback: str | None = None
    failure_callback: str | None = None
    queue: str | None = None
    flow_control_key: str | None = None
    labels: tuple[str, ...] = ()
    paused: bool = False
    last_at: int | None = None
    next_at: int | None = None
    last_states: Mapping[str, str] = field(default_factory=dict[str, str])
    error: str | None = None


@dataclass(frozen=True, slots=True)
class FlowControlKey:
    """A flow control key and how it is used now.

    Attributes:
        key: its name.
        waiting: runs, steps and messages that it holds back.
        parallelism: how many may be on their way at the same time; None: any number.
        in_flight: those that are.
        rate: how many may start in a period; None: any number.
        started: in the present period.
        period_ms: its length; 0: there is no rate.
        period_at: when it began; 0: nothing has started.
        paused: nothing starts.
        pinned_parallelism: messages do not change the parallelism.
        pinned_rate: messages do not change the rate and its period.
    """

    key: str
    waiting: int = 0
    parallelism: int | None = None
    in_flight: int = 0
    rate: int | None = None
    started: int = 0
    period_ms: int = 0
    period_at: int = 0
    paused: bool = False
    pinned_parallelism: bool = False
    pinned_rate: bool = False


@dataclass(frozen=True, slots=True)
class GlobalParallelism:
    """How much is on its way at all.

    Attributes:
        most: that may be.
        in_flight: that is.
    """

    most: int
    in_flight: int
