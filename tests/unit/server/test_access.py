"""Who may do what: every route of the server, with every form of credentials.

The outcome follows from two tables, `PUBLIC` and `CREDENTIALS`, and from the method. Routes are
taken from the app: a new one is asked for here by itself, and is closed unless `PUBLIC` names it.
"""

import re
from enum import Enum, auto
from pathlib import Path
from typing import Any

from tests.fuzz.world import HOST, READ_TOKEN, Asked, Headers, World, ask, open_world
from workflow_agents.dashboard import PATH
from workflow_agents.server.settings import DEV_TOKEN

PUBLIC = {
    "/health",
    "/ready",
    "/openapi.json",
    "/v2/openapi.json",
    "/v2/workflows/hooks/{user}/{run_id}/{event_id}",
}
READING = {"GET", "HEAD", "OPTIONS"}


class Who(Enum):
    """Whom credentials stand for."""

    NOBODY = auto()
    READER = auto()
    ADMIN = auto()


def bearer(*tokens: str) -> Headers:
    return [(b"authorization", f"Bearer {token}".encode("latin-1")) for token in tokens]


def authorization(value: str) -> Headers:
    return [(b"authorization", value.encode("latin-1"))]


NOBODY, READER, ADMIN = Who.NOBODY, Who.READER, Who.ADMIN
FULL, READ = DEV_TOKEN, READ_TOKEN
OVERRIDE = [(b"x-http-method-override", b"DELETE"), (b"x-forwarded-user", b"defaultUser")]

CREDENTIALS: dict[str, tuple[Who, Headers, str]] = {
    "none": (NOBODY, [], ""),
    "full": (ADMIN, bearer(FULL), ""),
    "read-only": (READER, bearer(READ), ""),
    "full, in the query": (ADMIN, [], f"qstash_token={FULL}"),
    "full, in the query, encoded": (ADMIN, [], f"qstash%5Ftoken={FULL.replace('=', '%3D')}"),
    "read-only, in the query": (READER, [], f"qstash_token={READ}"),
    "scheme in lower case": (ADMIN, authorization(f"bearer {FULL}"), ""),
    "more spaces": (ADMIN, authorization(f"Bearer   {FULL} "), ""),
    # Both forms at once: the header counts, and a wrong one is not made good by the query.
    "wrong in the header, full in the query": (NOBODY, bearer("x"), f"qstash_token={FULL}"),
    "full in the header, wrong in the query": (ADMIN, bearer(FULL), "qstash_token=x"),
    "read-only in the header, full in the query": (READER, bearer(READ), f"qstash_token={FULL}"),
    "another scheme, full in the query": (
        ADMIN,
        authorization("Basic eDp5"),
        f"qstash_token={FULL}",
    ),
    "wrong header before the right one": (NOBODY, bearer("x", FULL), ""),
    "right header before a wrong one": (ADMIN, bearer(FULL, "x"), ""),
    "wrong behind the right one in the query": (
        NOBODY,
        [],
        f"qstash_token={FULL}&qstash_token=x",
    ),
    # Wrong.
    "empty": (NOBODY, bearer(""), ""),
    "empty header": (NOBODY, authorization(""), ""),
    "scheme only": (NOBODY, authorization("Bearer"), ""),
    "token without scheme": (NOBODY, authorization(FULL), ""),
    "another scheme": (NOBODY, authorization(f"Basic {FULL}"), ""),
    "two schemes": (NOBODY, authorization(f"Bearer Bearer {FULL}"), ""),
    "a tab between": (NOBODY, authorization(f"Bearer\t{FULL}"), ""),
    "a list": (NOBODY, authorization(f"Bearer {FULL}, Bearer {FULL}"), ""),
    "quoted": (NOBODY, bearer(f'"{FULL}"'), ""),
    "a character less": (NOBODY, bearer(FULL[:-1]), ""),
    "a character more": (NOBODY, bearer(f"{FULL}="), ""),
    "in lower case": (NOBODY, bearer(FULL.lower()), ""),
    "NUL behind": (NOBODY, bearer(f"{FULL}\x00"), ""),
    "not ASCII": (NOBODY, bearer("\xe9"), ""),
    "very long": (NOBODY, bearer("x" * 60_000), ""),
    "the name of a user": (NOBODY, bearer("defaultUser"), ""),
    "another header": (NOBODY, [(b"x-qstash-token", FULL.encode())], ""),
    "a cookie": (NOBODY, [(b"cookie", f"qstash_token={FULL}".encode())], ""),
    "another parameter": (NOBODY, [], f"token={FULL}&QSTASH_TOKEN={FULL}"),
    "empty in the query": (NOBODY, [], "qstash_token="),
    "wrong in the query": (NOBODY, [], "qstash_token=x"),
    # No header gives more than the token does.
    "none, and more headers": (NOBODY, OVERRIDE, ""),
    "read-only, and more headers": (READER, [*bearer(READ), *OVERRIDE], ""),
}


def refusal_of(path: str, method: str, who: Who) -> int | None:
    """The status with which it is refused; None: it is let in."""
    if path in PUBLIC or who is ADMIN:
        return None
    if who is NOBODY:
        return 401
    return None if method in READING else 403


def asked(world: World, path: str, method: str, headers: Headers, query: str) -> Asked:
    destination = f"{world.origin}/ok"
    target = re.sub(r"\{(\w+)(:path)?\}", lambda m: destination if m[2] else "a", path)
    whole = f"{target}?{query}" if query else target
    return Asked(method, whole.encode(), [(b"host", HOST), *headers], (b"[]",))


Table = list[tuple[str, str, str]]


def table(world: World) -> Table:
    """Route, method and name of credentials: all but the dashboard's, which has its own tests."""
    every: Any = world.app._app.routes
    routes = [route for route in every if route.path != PATH]
    pairs = [(route.path, method) for route in routes for method in sorted(route.methods)]
    return [(path, method, name) for path, method in pairs for name in CREDENTIALS]


async def answers(world: World, rows: Table) -> dict[tuple[str, str, str], int]:
    """The statuses that are not those of the tables."""
    wrong: dict[tuple[str, str, str], int] = {}
    for path, method, name in rows:
        who, headers, query = CREDENTIALS[name]
        status = (await ask(world.app, asked(world, path, method, headers, query))).status
        refused = refusal_of(path, method, who)
        fits = status == refused if refused else status < 500 and status not in {401, 403}
        if not fits:
            wrong[path, method, name] = status
    return wrong


async def test_whoever_may_not_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async with open_world(tmp_path / "server.db") as world:
        before = world.engine.store.size()
        keys = world.engine.wire.credentials.keys
        rows = [row for row in table(world) if refusal_of(*row[:2], CREDENTIALS[row[2]][0])]
        assert len(rows) > 1_500
        assert await answers(world, rows) == {}
        assert world.engine.store.size() == before
        assert world.engine.wire.queues.all() == []
        assert world.engine.wire.credentials.keys == keys
        assert world.sink.bodies == []


async def test_whoever_may_is_let_in(tmp_path: Path) -> None:
    """Everywhere with the usual form; with every form where nothing is changed."""
    async with open_world(tmp_path / "server.db") as world:
        rows = [row for row in table(world) if not refusal_of(*row[:2], CREDENTIALS[row[2]][0])]
        usual = {"none", "full", "read-only"}
        rows = [row for row in rows if row[2] in usual or row[:2] == ("/v2/keys", "GET")]
        assert await answers(world, rows) == {}
        assert world.troubles.found == []


async def test_an_address_that_is_written_otherwise_opens_nothing(tmp_path: Path) -> None:
    """The router and the check see the same path: there is no spelling that only one knows."""
    spellings = [
        *("/v2/%6Beys", "/v2/keys/", "//v2/keys", "/v2//keys", "/v2/./keys", "/V2/KEYS"),
        *("/v2/x/../keys", "/v2/x/%2e%2e/keys", "/v2/keys%00", "/v2/keys;a=b", "/v2/keys%2F"),
        *(
            "/health/../v2/keys",
            "/health%2f..%2fv2%2fkeys",
            "/openapi.json/../v2/keys",
            "/v2\\keys",
        ),
        *("/v2/workflows/hooks/a/b/../../../keys", "/v2/workflows/hooks/a/b/%2e%2e/../keys"),
        *("/v2/keys?/health", "/v2/keys#/health", "http://127.0.0.1/v2/keys", "/v2/keys\x00"),
    ]
    async with open_world(tmp_path / "server.db") as world:
        for spelling in spellings:
            for method in ("GET", "POST"):
                request = Asked(method, spelling.encode(), [(b"host", HOST)])
                assert (await ask(world.app, request)).status in {401, 404, 405}, spelling
