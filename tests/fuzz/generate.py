"""The n-th request of a seed: to which route, and what becomes of it on the way.

Most are drawn by the shapes of the protocol; then some are damaged as bytes, and a few are
noise from the beginning. A route without a shape of its own gets a body of text.
"""

import random
import re
from collections.abc import Sequence
from typing import Any

from starlette.routing import Route

from tests.fuzz import nasty
from tests.fuzz.known import Known
from tests.fuzz.shapes import Maker, Pairs, as_bytes
from tests.fuzz.world import HOST, PAYLOAD_BYTES, READ_TOKEN, Asked, Headers
from workflow_agents.server.settings import DEV_TOKEN

_OFTEN = {
    "/v2/batch": 6,
    "/v2/publish/{destination:path}": 6,
    "/v2/trigger/{destination:path}": 4,
    "/v2/wait/{event:path}": 3,
}
"""What makes something is asked for more often than what looks at it."""

_SELDOM = {
    "/v2/messages": 0.05,
    "/v2/workflows/runs": 0.05,
    "/v2/dlq": 0.1,
    "/v2/workflows/dlq": 0.1,
    "/v2/workflows/runs/{run_id}": 0.5,
    "/v2/messages/{message_id}": 0.5,
}
"""To delete; else there would be nothing to ask for."""

_PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")


def weight_of(route: Route) -> float:
    deletes = route.methods == {"DELETE"}
    return (_SELDOM if deletes else _OFTEN).get(route.path, 1)


def asked_of(
    seed: int, number: int, routes: Sequence[Route], known: Known, origin: str
) -> tuple[Route, Asked]:
    """The request, and the route that it was drawn for: at first each once."""
    chance = random.Random(f"{seed}:{number}")
    make = Maker(chance, known, origin)
    [route] = chance.choices(routes, [weight_of(route) for route in routes])
    if number < len(routes):
        route = routes[number]
    if make.sometimes(0.05):
        return route, _noise(make)
    methods = sorted(route.methods or ())
    method = make.of(methods, nasty.METHODS)
    parts = {name: make.part(name, route.path) for name in _PARAMETER.findall(route.path)}
    pairs, body = _content(make, route.path, method)
    target = make.target(route.path, parts)
    headers = [*_access(make), *((as_bytes(n), as_bytes(v)) for n, v in pairs)]
    return route, _damaged(make, method, target, headers, body)


def _content(make: Maker, path: str, method: str) -> tuple[Pairs, bytes]:
    """Headers and body by what the route takes."""
    known_run = make.known("run", nasty.RUN_IDS)
    match path:
        case "/v2/batch" | "/v2/batch/trigger":
            return [], make.json([make.item() for _ in range(make.chance.randrange(1, 4))])
        case "/v2/workflows/checkpoints":
            return [], make.json({"endpoint": make.name(), "runs": [_said(make, known_run)]})
        case "/v2/queues":
            name, most = make.name(), make.chance.randrange(1, 5)
            return [], make.json({"queueName": name, "parallelism": most, "paused": False})
        case _ if path.endswith("/endpoints"):
            ends = [{"url": make.url(), "name": make.name()}, {"url": make.url()}]
            return [], make.json({"endpoints": ends})
        case "/v2/wait/{event:path}":
            return make.of_run(known_run, init=False), make.json(make.wait())
        case "/v2/messages":
            ids = [make.known("message", nasty.MESSAGE_IDS)]
            return [], make.json({"messageIds": ids}) if method == "DELETE" else b""
        case "/v2/dlq" | "/v2/workflows/dlq" | "/v2/dlq/retry":
            return [], make.json({"dlqIds": [make.known("letter", nasty.LETTER_IDS)]})
        case "/v2/schedules/{destination:path}":
            cron = [("Upstash-Cron", make.of(nasty.CRONS[:4], nasty.CRONS))]
            named = [("Upstash-Schedule-Id", make.name())]
            return [*cron, *named, *make.settings()], make.text()
        case "/v2/trigger/{destination:path}":
            given = [("Upstash-Workflow-RunId", make.new_run_id())] if make.sometimes(0.5) else []
            return [*given, *make.settings()], make.text()
        case "/v2/publish/{destination:path}" if make.sometimes(0.3):
            return _of_a_run(make, known_run)
        case _:
            return [*_content_type(make), *make.settings()], make.text()


def _said(make: Maker, run_id: str) -> list[Any]:
    """What an endpoint says of a run that it has, or believes that it has, in hand."""
    by = make.chance.choice((0, 1, 2, -1, ["msg_1", 0], ["msg_2", 1], 2**70))
    frames = (["record", 1, "Run", "a", "1", True, False], ["rest"], ["cancel"], ["none"], [], 7)
    said = [make.chance.choice(frames) for _ in range(make.chance.randrange(3))]
    return [run_id, by, make.chance.choice((0, 1, 9)), make.chance.choice((0, 1, 9)), said]


def _of_a_run(make: Maker, run_id: str) -> tuple[Pairs, bytes]:
    """What SDKs publish one by one: a result, or the beginning of an invoked run."""
    if make.sometimes(0.5):
        return make.of_run(run_id, init=False), make.json(make.step())
    begins = [*make.of_run(make.new_run_id(), init=True), ("Upstash-Workflow-Invoke", "true")]
    return begins, make.json(make.invocation(run_id))


def _content_type(make: Maker) -> Pairs:
    if make.sometimes(0.5):
        return []
    return [("Content-Type", make.of(nasty.CONTENT_TYPES[:1], nasty.CONTENT_TYPES))]


def _access(make: Maker) -> Headers:
    """Host and token; rarely another one, or none."""
    host = HOST if not make.sometimes(0.01) else as_bytes(make.chance.choice(nasty.TEXTS))
    token = DEV_TOKEN if not make.sometimes(0.02) else make.chance.choice([READ_TOKEN, "", "é"])
    return [(b"host", host), (b"authorization", as_bytes(f"Bearer {token}"))]


def _damaged(make: Maker, method: str, target: bytes, headers: Headers, body: bytes) -> Asked:
    """The request in parts, and perhaps not whole."""
    chance = make.chance
    if make.sometimes(make.oddness / 2):
        body = _bent(chance, body)
    if make.sometimes(make.oddness / 10):
        target = _bent(chance, target).replace(b"?", b"", target.count(b"?") > 1)
    if make.sometimes(make.oddness / 10):
        headers = [(name, _bent(chance, value)) for name, value in headers]
    if make.sometimes(make.oddness / 10):
        headers = [*headers, *headers]
    if make.sometimes(make.oddness / 30):
        headers.append((b"content-length", as_bytes(chance.choice(nasty.NUMBERS))))
    parts = (body,) if make.sometimes(0.8) else _in_parts(chance, body)
    return Asked(method, target, headers, parts, make.sometimes(0.01))


def _in_parts(chance: random.Random, body: bytes) -> tuple[bytes, ...]:
    at = sorted(chance.randrange(len(body) + 1) for _ in range(chance.randrange(4)))
    return tuple(body[a:b] for a, b in zip([0, *at], [*at, len(body)], strict=True))


def _bent(chance: random.Random, data: bytes) -> bytes:
    """Cut, with bytes that are others, or with more of them."""
    at = chance.randrange(len(data) + 1)
    match chance.randrange(6):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + chance.randbytes(chance.randrange(1, 9)) + data[at:]
        case 2:
            return data[:at] + b"\x00" + data[at:]
        case 3:
            return data[:at] + b"\xff\xfe" + data[at + 1 :]
        case 4:
            return b"\xef\xbb\xbf" + data
        case _:
            return data + b" " * chance.choice([1, PAYLOAD_BYTES])


def _noise(make: Maker) -> Asked:
    """No route is meant."""
    chance = make.chance
    length = chance.choice([1, 10, 100, 20_000])
    target = chance.choice([b"/", b"/v2/", b"/v2/publish/", b"", b"*", b"/v2/workflows/hooks/"])
    target += chance.choice([chance.randbytes(length), b"/" * length, b"a" * length, b"%00"])
    names = [b"authorization", b"upstash-delay", b"", b"\xff", b"content-type", b"x-forwarded-for"]
    headers = [(chance.choice(names), chance.randbytes(chance.randrange(40))) for _ in range(4)]
    body = chance.randbytes(chance.choice([0, 100, 2 * PAYLOAD_BYTES]))
    access = _access(make) if make.sometimes(0.7) else []
    return Asked(chance.choice(nasty.METHODS), target, [*access, *headers], (body,))
