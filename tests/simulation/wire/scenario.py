"""What is to happen to messages, and what came of it."""

import random
from collections import Counter
from dataclasses import dataclass, field

from tests.simulation.processes import Disturbances
from workflow_agents import FlowControl

TIMEOUT_MS = 2_000
"""How long an attempt of a message may take."""


@dataclass(frozen=True)
class Endpoint:
    """How whoever is sent a message answers.

    Attributes:
        fails: so many of the first requests for each message; -1: all of them.
        how: "error" (500), "later" (429 with Retry-After), "final" (489), "hang" (no answer).
        ms: how long it takes.
    """

    fails: int = 0
    how: str = "error"
    ms: int = 0

    @property
    def always_fails(self) -> bool:
        return self.fails < 0


OK = Endpoint()


@dataclass
class Told:
    """A callback: who is told, and how its message is configured."""

    endpoint: Endpoint = OK
    retries: int | None = None
    retry_ms: int = 50
    delay_ms: int = 0
    flow: FlowControl | None = None


@dataclass
class Post:
    """A message that somebody publishes.

    Attributes:
        name: of its body, its address and what it forwards.
        at_ms: when it is published.
        endpoint: where it goes.
        group: the URL group where it goes instead.
        retries: None: as many as by default.
        retry_ms: constant delay between attempts; None: the default, which grows.
        delay_ms: before the first attempt.
        not_before_s: virtual second before which it must not be made.
        dedup: its deduplication id.
        by_content: it is deduplicated by its content, which all of these have in common.
        cancel_at_ms: when somebody cancels it.
        size: of its body.
        retried: its dead letter is retried when its endpoint has healed.
    """

    name: str
    at_ms: int = 0
    endpoint: Endpoint = OK
    group: str | None = None
    retries: int | None = 1
    retry_ms: int | None = 50
    delay_ms: int = 0
    not_before_s: int | None = None
    callback: Told | None = None
    failure_callback: Told | None = None
    queue: str | None = None
    flow: FlowControl | None = None
    dedup: str | None = None
    by_content: bool = False
    cancel_at_ms: int | None = None
    size: int = 20
    retried: bool = False

    @property
    def url(self) -> str:
        return f"http://service/post/{'content' if self.by_content else self.name}"

    @property
    def body(self) -> bytes:
        """Bytes of all kinds, the same each time."""
        named = "content" if self.by_content else self.name
        return random.Random(f"body of {named}").randbytes(self.size)


@dataclass(frozen=True)
class Pause:
    """A queue or a flow control key that somebody pauses for a while.

    Attributes:
        what: "queue" or "key".
    """

    what: str
    name: str
    at_ms: int
    until_ms: int


@dataclass(frozen=True)
class Sweep:
    """Somebody cancels many messages: those of a queue or of a flow control key."""

    what: str
    name: str
    at_ms: int


@dataclass
class Scheduled:
    """A post that a schedule publishes every minute, until it is deleted.

    Attributes:
        pause: it is paused then, and resumed then.
        until_ms: when it is deleted.
    """

    post: Post
    at_ms: int
    until_ms: int
    pause: tuple[int, int] | None = None


@dataclass
class Scenario(Disturbances):
    """What is to happen.

    Attributes:
        posts: that are published.
        queues: the parallelism of each.
        groups: URL groups; how many endpoints each has.
        pauses: of queues and flow control keys.
        sweeps: that cancel many messages.
        schedules: that publish posts.
        at_once: how many messages the engine has on their way at the same time.
        begins_ms: when the first process begins.
    """

    posts: list[Post]
    queues: dict[str, int] = field(default_factory=dict[str, int])
    groups: dict[str, int] = field(default_factory=dict[str, int])
    pauses: list[Pause] = field(default_factory=list[Pause])
    sweeps: list[Sweep] = field(default_factory=list[Sweep])
    schedules: list[Scheduled] = field(default_factory=list[Scheduled])
    at_once: int = 500
    begins_ms: int = 0

    @property
    def all_posts(self) -> list[Post]:
        """Those of the schedules too."""
        return [*self.posts, *(schedule.post for schedule in self.schedules)]

    @property
    def last_ms(self) -> int:
        """When nobody does anything any more."""
        return max(
            self.begins_ms,
            *(post.at_ms for post in self.posts),
            *(pause.until_ms for pause in self.pauses),
            *(schedule.until_ms for schedule in self.schedules),
        )


@dataclass
class Report:
    """What came of a scenario.

    Attributes:
        requests: how often each endpoint was sent the message that it was sent most often.
        fired: how often each thing happened that was not a fault of the store or network.
    """

    requests: dict[str, int]
    fired: Counter[str]
