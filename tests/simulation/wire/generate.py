"""From a seed to a scenario of messages, and to what goes wrong in it.

Everything random is drawn here, before anything happens, or by `WireFaults` as it happens;
the same seed does the same again.
"""

import random

from tests.simulation.generate import RandomFaults, disturbances
from tests.simulation.wire.scenario import OK, Endpoint, Post, Scenario, Told
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


def scenario_of(seed: int) -> Scenario:
    """What happens under this seed."""
    draw = random.Random(f"messages {seed}")
    posts = [_post(draw, f"p{i}") for i in range(draw.choice((1, 3, 5, 8)))]
    if draw.random() < 0.15:
        posts += _race(draw)
    return Scenario(
        posts,
        at_once=draw.choice((500, 500, 500, 2, 1)),
        stops_ms=[draw.randint(1, 800) for _ in range(draw.choice((0, 0, 1, 2)))],
        crashes_ms=[draw.randint(1, 800) for _ in range(draw.choice((0, 0, 1, 2)))],
        clock=disturbances(draw),
    )


def _post(draw: random.Random, name: str) -> Post:
    post = Post(
        name,
        at_ms=draw.randint(0, 300),
        endpoint=_endpoint(draw),
        retries=draw.choice((0, 1, 1, 2, 3, None)),
        retry_ms=draw.choice((1, 50, 300)),
        size=draw.choice((0, 1, 20, 20, 20, BIG)),
    )
    if draw.random() < 0.03:
        post.retries, post.retry_ms = 1, None
    if draw.random() < 0.2:
        post.delay_ms = draw.choice((1, 100, 500))
    elif draw.random() < 0.1:
        post.not_before_s = draw.choice((-10, 0, 1))
    if draw.random() < 0.25:
        post.callback = _told(draw)
    if draw.random() < 0.25:
        post.failure_callback = _told(draw)
    if draw.random() < 0.3:
        post.flow = draw.choice(KEYS)
    if draw.random() < 0.2:
        post.cancel_at_ms = post.at_ms + draw.choice((0, 1, 20, 200, 600))
    if draw.random() < 0.12:
        post.dedup = draw.choice(("a", "b"))
    elif draw.random() < 0.06:
        _same_content(post)
    return post


def _race(draw: random.Random) -> list[Post]:
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
