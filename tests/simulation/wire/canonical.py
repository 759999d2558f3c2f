"""Canonical messages: each thing that can happen to one, in an order that is the same each time."""

from tests.simulation.wire.scenario import Endpoint, Pause, Post, Scenario, Scheduled, Sweep, Told
from workflow_agents import FlowControl

BIG = 6_000
"""Bytes that make a body a payload of its own."""

ONE = FlowControl("one", parallelism=1)
SLOW = FlowControl("slow", rate=1, period="1s")

DOWN = Endpoint(-1)
SLOWLY = Endpoint(ms=30)
TOLD_SLOWLY = Told(SLOWLY, flow=ONE)


def posts(*given: Post, **options: object) -> Scenario:
    return Scenario([*given], **options)  # type: ignore[arg-type]


CANONICAL: dict[str, Scenario] = {
    "one message": posts(Post("a")),
    "later": posts(Post("a", delay_ms=40)),
    "retried": posts(Post("a", endpoint=Endpoint(2), retries=2)),
    "retried when it is asked for": posts(Post("a", endpoint=Endpoint(1, "later"))),
    "callback": posts(Post("a", callback=Told())),
    "callback that is retried": posts(Post("a", callback=Told(Endpoint(1), retries=1))),
    "callback later": posts(Post("a", callback=Told(delay_ms=40))),
    "failure callback": posts(
        Post("a", endpoint=DOWN, callback=Told(), failure_callback=Told(Endpoint(1), retries=1))
    ),
    "never again": posts(Post("a", endpoint=Endpoint(-1, "final"), failure_callback=Told())),
    "no answer": posts(Post("a", endpoint=Endpoint(1, "hang"))),
    "big": posts(Post("a", size=BIG, endpoint=Endpoint(1), callback=Told())),
    "three publish the same": posts(*(Post(f"{i}", dedup="x", endpoint=SLOWLY) for i in range(3))),
    "two publish the same content": posts(
        Post("a", by_content=True), Post("b", at_ms=10, by_content=True)
    ),
    "published again when its id is free": posts(
        Post("a", dedup="x"), Post("b", at_ms=20, dedup="x"), Post("c", at_ms=660_000, dedup="x")
    ),
    "cancelled on its way": posts(Post("a", endpoint=SLOWLY, cancel_at_ms=15, callback=Told())),
    "cancelled as it is due": posts(Post("a", delay_ms=40, cancel_at_ms=40)),
    "cancelled before": posts(Post("a", delay_ms=400, cancel_at_ms=20)),
    "cancelled between attempts": posts(Post("a", endpoint=DOWN, cancel_at_ms=20)),
    "one at a time": posts(*(Post(f"{i}", endpoint=SLOWLY, flow=ONE) for i in range(3))),
    "one at a time, cancelled on its way": posts(
        Post("a", endpoint=SLOWLY, flow=ONE, cancel_at_ms=10),
        Post("b", at_ms=1, endpoint=SLOWLY, flow=ONE),
    ),
    "one a second": posts(*(Post(f"{i}", flow=SLOW) for i in range(3))),
    "one at a time, retried": posts(
        *(Post(f"{i}", endpoint=Endpoint(1, ms=10), flow=ONE) for i in range(2))
    ),
    "one at a time, with its callbacks": posts(
        *(
            Post(f"{i}", endpoint=SLOWLY, flow=ONE, callback=Told(SLOWLY, flow=ONE))
            for i in range(2)
        )
    ),
    "a queue of three": posts(
        *(Post(f"{i}", endpoint=SLOWLY, queue="q") for i in range(3)), queues={"q": 1}
    ),
    "a queue whose head is retried": posts(
        Post("a", endpoint=Endpoint(1), queue="q"), Post("b", at_ms=1, queue="q"), queues={"q": 1}
    ),
    "a queue with callbacks": posts(
        *(Post(f"{i}", queue="q", callback=Told(Endpoint(1, ms=5))) for i in range(2)),
        queues={"q": 1},
    ),
    "a queue whose head fails": posts(
        Post("a", endpoint=DOWN, queue="q", failure_callback=Told(SLOWLY)),
        Post("b", at_ms=1, queue="q"),
        queues={"q": 1},
    ),
    "a queue whose head is cancelled": posts(
        Post("a", endpoint=SLOWLY, queue="q", cancel_at_ms=10),
        Post("b", at_ms=1, queue="q"),
        queues={"q": 1},
    ),
    "a queue that is paused": posts(
        *(Post(f"{i}", endpoint=Endpoint(1, ms=5), queue="q") for i in range(2)),
        queues={"q": 1},
        pauses=[Pause("queue", "q", 3, 200)],
    ),
    "two turns at a time": posts(
        *(Post(f"{i}", endpoint=SLOWLY, queue="q") for i in range(4)), queues={"q": 2}
    ),
    "a queue that is swept": posts(
        *(Post(f"{i}", endpoint=SLOWLY, queue="q") for i in range(3)),
        queues={"q": 1},
        sweeps=[Sweep("queue", "q", 20)],
    ),
    "a key that is paused": posts(
        *(Post(f"{i}", endpoint=SLOWLY, flow=ONE) for i in range(2)),
        pauses=[Pause("key", "one", 10, 200)],
    ),
    "to a group": posts(Post("a", group="g", callback=Told()), groups={"g": 2}),
    "to a group, once": posts(
        *(Post(f"{i}", group="g", dedup="x") for i in range(2)), groups={"g": 2}
    ),
    "a dead letter is retried": posts(
        Post("a", endpoint=DOWN, retries=0, retried=True, size=BIG, callback=Told())
    ),
    "a schedule": posts(schedules=[Scheduled(Post("s"), 59_900, 61_000)], begins_ms=59_900),
    "a schedule, paused over its tick": posts(
        schedules=[Scheduled(Post("s"), 59_900, 61_000, (59_950, 60_050))], begins_ms=59_900
    ),
    "a schedule for a queue": posts(
        Post("a", 59_990, endpoint=SLOWLY, queue="q"),
        queues={"q": 1},
        schedules=[Scheduled(Post("s", queue="q"), 59_900, 61_000)],
        begins_ms=59_900,
    ),
    "no room": posts(*(Post(f"{i}", endpoint=SLOWLY) for i in range(3)), at_once=1),
}
