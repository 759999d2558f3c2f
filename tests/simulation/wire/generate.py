"""From a seed to a scenario of messages, and to what goes wrong in it.

Everything random is drawn here, before anything happens, or by `WireFaults` as it happens;
the same seed does the same again.
"""

import random

from tests.simulation.generate import RandomFaults, disturbances
from tests.simulation.wire.scenario import (
    OK,
    Endpoint,
    Pause,
    Post,
    Scenario,
    Scheduled,
    Sweep,
    Told,
)
from workflow_agents import FlowControl
from workflow_agents.engine.http_out import HttpRequest
from workflow_agents.testing.faults import AtRequest

KEYS = (
    FlowControl("one", parallelism=1),
    FlowControl("two", parallelism=2),
    FlowControl("slow", rate=2, period="1s"),
    FlowControl("both", parallelism=1, rate=2, period="1s"),
)
BIG = 6_000
ELEVEN_MINUTES_MS = 660_000
_BEFORE_A_MINUTE_MS = 59_600


def scenario_of(seed: int) -> Scenario:
    """What happens under this seed."""
    draw = random.Random(f"messages {seed}")
    # A minute begins shortly after the first things have happened.
    base = _BEFORE_A_MINUTE_MS if draw.random() < 0.12 else 0
    posts = [_post(draw, f"p{i}", base) for i in range(draw.choice((1, 2, 4, 6)))]
    if draw.random() < 0.12:
        posts += _race(draw, base)
    scenario = Scenario(
        posts,
        queues={"q1": 1, "q2": 2} if any(post.queue for post in posts) else {},
        groups={"g2": 2} if any(post.group for post in posts) else {},
        at_once=draw.choice((500, 500, 500, 2, 1)),
        begins_ms=base,
        stops_ms=[base + draw.randint(1, 800) for _ in range(draw.choice((0, 0, 1, 2)))],
        crashes_ms=[base + draw.randint(1, 800) for _ in range(draw.choice((0, 0, 1, 2)))],
        clock=[(base + at_ms, what, ms) for at_ms, what, ms in disturbances(draw)],
    )
    if base:
        scenario.schedules = [_scheduled(draw, base)]
    for what, name in _limits_of(posts):
        if draw.random() < 0.15:
            at_ms = base + draw.randint(0, 200)
            scenario.pauses.append(Pause(what, name, at_ms, at_ms + draw.randint(1, 500)))
        if draw.random() < 0.07:
            scenario.sweeps.append(Sweep(what, name, base + draw.randint(0, 500)))
    return scenario


def _limits_of(posts: list[Post]) -> list[tuple[str, str]]:
    """The queues and keys of posts."""
    queues = {("queue", post.queue) for post in posts if post.queue is not None}
    keys = {("key", post.flow.key) for post in posts if post.flow is not None}
    return sorted(queues | keys)


def _scheduled(draw: random.Random, base: int) -> Scheduled:
    at_ms = base + draw.randint(0, 300)
    until_ms = draw.choice((base + 700, base + 1_500, base + 62_000))
    pause = None
    if draw.random() < 0.5:
        first = draw.randint(at_ms, base + 700)
        pause = (first, first + draw.choice((0, 100, 600)))
        until_ms = max(until_ms, pause[1])
    post = _post(draw, "s0", base)
    post.group = post.dedup = post.cancel_at_ms = post.not_before_s = None
    post.by_content = post.retried = False
    return Scheduled(post, at_ms, until_ms, pause)


def _post(draw: random.Random, name: str, base: int) -> Post:
    post = Post(
        name,
        at_ms=base + draw.randint(0, 300),
        endpoint=_endpoint(draw),
        retries=draw.choice((0, 1, 1, 2, 3, None)),
        retry_ms=draw.choice((1, 50, 300)),
        size=draw.choice((0, 1, 20, 20, 20, BIG)),
    )
    if draw.random() < 0.02:
        post.retries, post.retry_ms = 1, None
    if draw.random() < 0.2:
        post.delay_ms = draw.choice((1, 100, 500))
    elif draw.random() < 0.1:
        post.not_before_s = base // 1_000 + draw.choice((-10, 0, 1))
    if draw.random() < 0.25:
        post.callback = _told(draw)
    if draw.random() < 0.25:
        post.failure_callback = _told(draw)
    if draw.random() < 0.3:
        post.flow = draw.choice(KEYS)
    if draw.random() < 0.35:
        post.queue = draw.choice(("q1", "q1", "q2"))
    if draw.random() < 0.15:
        post.group = "g2"
    if draw.random() < 0.15:
        post.cancel_at_ms = post.at_ms + draw.choice((0, 1, 20, 200, 600))
    elif draw.random() < 0.2:
        post.retried = True
    if draw.random() < 0.12:
        post.dedup = draw.choice(("a", "b"))
    elif draw.random() < 0.06:
        _same_content(post)
    return post


def _race(draw: random.Random, base: int) -> list[Post]:
    """The same message, published by several at the same instant, and again when its id is free."""
    at_ms = draw.randint(0, 100)
    ats = [at_ms, at_ms, at_ms + draw.choice((0, 1, 50)), at_ms + ELEVEN_MINUTES_MS]
    posts = [
        Post(f"d{i}", at, _endpoint(draw)) for i, at in enumerate(ats[: draw.choice((2, 3, 4))])
    ]
    by_content = draw.random() < 0.3
    for post in posts:
        if by_content:
            _same_content(post)
        else:
            post.dedup = "race"
    return posts


def _same_content(post: Post) -> None:
    post.by_content, post.size, post.endpoint = True, 20, OK
    post.group = post.dedup = None


def _told(draw: random.Random) -> Told:
    told = Told(_endpoint(draw), draw.choice((0, 1, 2)), draw.choice((1, 50)))
    if draw.random() < 0.2:
        told.delay_ms = draw.choice((1, 200))
    if draw.random() < 0.2:
        told.flow = draw.choice(KEYS)
    return told


def _endpoint(draw: random.Random) -> Endpoint:
    return Endpoint(
        fails=draw.choice((0, 0, 0, 0, 1, 1, 2, -1)),
        how=draw.choice(("error", "error", "error", "later", "final", "hang")),
        ms=draw.choice((0, 0, 5, 60, 300)),
    )


class WireFaults(RandomFaults):
    """What goes wrong under a seed. Each request may fail: endpoints fail by themselves too."""

    def at_request(self, request: HttpRequest) -> AtRequest | None:  # all alike
        if self._requests <= 0 or self._draw.random() >= self._request_rate / 3:
            return None
        self._requests -= 1
        return self._fire(self._draw.choice([*AtRequest]))
