"""Payloads in SQLite: large data stored as ropes of shared parts, read back, and let go.

Rows of other tables refer to a payload by its id; `REFERRERS` names their columns, and a table
that is added later adds its own. Lists count in `payload_uses`. Whoever drops a reference calls
`loosen`; what nothing refers to is deleted by `sweep`, a few at a time.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from typing import Any

from workflow_agents.store.ropes import Node, list_digest, pack, rope, unpack

PAYLOAD_BYTES = 4_096
"""Data above this is stored apart from the row, as a payload."""

INLINE_BYTES = 1_024
"""Data up to this is never stored apart; what lies between is if it has a long text."""

REFERRERS = (
    ("feed", "payload"),
    ("feed", "body"),
    ("runs", "payload"),
    ("runs", "result_payload"),
    ("deliveries", "payload"),
    ("conversation_messages", "payload"),
    ("messages", "payload"),
    ("schedules", "payload"),
)
"""Tables and columns, each with an index, that hold ids of payloads."""

Query = Callable[[str, tuple[Any, ...]], list[Any]]
"""Runs a query and fetches everything."""

_AT_ONCE = 500
_KEPT_BYTES = 8 * 2**20
_UNREFERRED = " AND ".join(
    [
        *(f"NOT EXISTS (SELECT 1 FROM {table} WHERE {column} = ?1)" for table, column in REFERRERS),
        "NOT EXISTS (SELECT 1 FROM payload_uses WHERE payload = ?1)",
    ]
)
_LOOSEN = f"INSERT OR IGNORE INTO loose_payloads SELECT ?1 WHERE {_UNREFERRED}"
_DELETE = f"DELETE FROM payloads WHERE id = ?1 AND {_UNREFERRED} RETURNING depth, data"
_FIND = "SELECT id FROM payloads WHERE hash = ?"
_INSERT = "INSERT INTO payloads (hash, data, depth) VALUES (?, ?, ?)"
_USE = (
    "INSERT INTO payload_uses VALUES (?, ?)"
    " ON CONFLICT (payload) DO UPDATE SET uses = uses + excluded.uses"
)
_READ = "SELECT id, depth, data FROM payloads WHERE id IN (SELECT value FROM json_each(?))"
_READ_ALL = (
    "SELECT id, hash, depth, data FROM payloads WHERE id IN (SELECT value FROM json_each(?))"
)
_MEASURE = (
    "SELECT id, depth, CASE depth WHEN 0 THEN length(data) ELSE data END FROM payloads"
    " WHERE id IN (SELECT value FROM json_each(?))"
)

_MISSING = " UNION ".join(
    f"SELECT '{table}', {column} FROM {table} WHERE {column} IS NOT NULL"
    f" AND {column} NOT IN (SELECT id FROM payloads)"
    for table, column in REFERRERS
)
_REFERRED = " UNION ALL ".join(
    f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL" for table, column in REFERRERS
)
_LEFT_OVER = (
    f"SELECT id FROM payloads WHERE id NOT IN ({_REFERRED}) AND id NOT IN"
    " (SELECT payload FROM payload_uses UNION ALL SELECT payload FROM loose_payloads)"
)


def apart(db: sqlite3.Connection, data: bytes | None) -> tuple[bytes | None, int | None]:
    """What goes into the row itself, or the payload that stands for it."""
    if data is None or len(data) <= INLINE_BYTES:
        return data, None
    if len(data) <= PAYLOAD_BYTES:
        from workflow_agents.core.parts import has_long_text

        if not has_long_text(data):
            return data, None
    return None, store_payload(db, data)


def store_payload(db: sqlite3.Connection, data: bytes) -> int:
    """Store data, and of it only what is not stored yet; its id."""
    from workflow_agents.core.parts import split

    return _stored(db, rope(split(data) if len(data) > INLINE_BYTES else [data]))


def _stored(db: sqlite3.Connection, node: Node) -> int:
    found = db.execute(_FIND, (node.digest,)).fetchone()
    if found is not None:
        return found[0]
    if not node.below:
        return db.execute(_INSERT, (node.digest, node.data, 0)).lastrowid or 0
    ids = [_stored(db, part) for part in node.below]
    packed = pack(node.length, ids)
    added = db.execute(_INSERT, (node.digest, packed, node.depth)).lastrowid or 0
    db.executemany(_USE, [*Counter(ids).items()])
    return added


def read_payloads(query: Query, ids: Collection[int]) -> dict[int, bytes]:
    """The data of payloads; of one that is not there whole none. A query for each level."""
    lists: dict[int, list[int]] = {}
    leaves: dict[int, bytes] = {}
    wanted = {*ids}
    while wanted:
        below: set[int] = set()
        for payload, depth, data in _rows(query, _READ, wanted):
            if depth:
                _, lists[payload] = unpack(data)
                below.update(lists[payload])
            else:
                leaves[payload] = data
        wanted = below - lists.keys() - leaves.keys()
    whole: dict[int, bytes] = {}
    for payload in ids:
        with suppress(KeyError):
            whole[payload] = b"".join([leaves[leaf] for leaf in _leaves(lists, payload)])
    return whole


class Reader:
    """Reads payloads, and keeps the last ones for a while: a run's input is asked for often.

    What is kept stays right, because payloads do not change; `forget` goes with deleting them.
    """

    def __init__(self) -> None:
        self._kept: dict[int, bytes] = {}
        self._size = 0

    def read(self, query: Query, payloads: Collection[int]) -> dict[int, bytes]:
        """See `read_payloads`."""
        found = {one: self._kept.pop(one) for one in payloads if one in self._kept}
        self._kept.update(found)  # last, so that it goes last
        if len(found) < len(payloads):
            fresh = read_payloads(query, [one for one in payloads if one not in found])
            for one, data in fresh.items():
                self._keep(one, data)
            found |= fresh
        return found

    def _keep(self, payload: int, data: bytes) -> None:
        if len(data) > _KEPT_BYTES // 2:
            return
        self._kept[payload] = data
        self._size += len(data)
        while self._size > _KEPT_BYTES:
            self._size -= len(self._kept.pop(next(iter(self._kept))))

    def forget(self) -> None:
        """Numbers of payloads may be given again."""
        self._kept.clear()
        self._size = 0


def payload_sizes(query: Query, ids: Collection[int]) -> dict[int, int]:
    """How long the data of payloads are, without reading them."""
    rows = _rows(query, _MEASURE, ids)
    return {payload: unpack(found)[0] if depth else found for payload, depth, found in rows}


def _rows(query: Query, sql: str, ids: Collection[int]) -> Iterator[Any]:
    wanted = sorted(ids)
    for at in range(0, len(wanted), _AT_ONCE):
        yield from query(sql, (str(wanted[at : at + _AT_ONCE]),))


def _leaves(lists: dict[int, list[int]], payload: int) -> Iterator[int]:
    if payload not in lists:
        yield payload
    else:
        for below in lists[payload]:
            yield from _leaves(lists, below)


def loosen(db: sqlite3.Connection, ids: Iterable[int]) -> None:
    """References to these payloads were dropped, or not made in the end."""
    db.executemany(_LOOSEN, [(payload,) for payload in ids])


def sweep(db: sqlite3.Connection, limit: int) -> int:
    """Delete loose payloads that nothing refers to; how many were looked at.

    What only a deleted list has named is loose from then on, and its turn comes.
    """
    seen = 0
    while seen < limit:
        loose = db.execute(
            "SELECT payload FROM loose_payloads LIMIT ?", (min(_AT_ONCE, limit - seen),)
        ).fetchall()
        if not loose:
            break
        seen += len(loose)
        db.executemany("DELETE FROM loose_payloads WHERE payload = ?", loose)
        for one in loose:
            deleted = db.execute(_DELETE, one).fetchone()
            if deleted is not None and deleted[0]:
                _drop_uses(db, unpack(deleted[1])[1])
    return seen


def _drop_uses(db: sqlite3.Connection, ids: list[int]) -> None:
    dropped = [(times, payload) for payload, times in Counter(ids).items()]
    db.executemany("UPDATE payload_uses SET uses = uses - ? WHERE payload = ?", dropped)
    names = [(payload,) for _, payload in dropped]
    db.executemany("DELETE FROM payload_uses WHERE payload = ? AND uses = 0", names)
    loosen(db, [payload for _, payload in dropped])


def payload_faults(query: Query) -> list[str]:
    """What is wrong with the payloads: what is missing, not what its hash says, or left over."""
    missing = query(_MISSING, ())
    faults = [f"a reference of {table} to a payload that is not there: {m}" for table, m in missing]
    faults += _wrong_ropes(query)
    left_over = query(_LEFT_OVER, ())
    return faults + [f"a payload that nothing refers to: {payload}" for (payload,) in left_over]


def _wrong_ropes(query: Query) -> Iterator[str]:
    hashes: dict[int, tuple[int, bytes, int]] = {}
    uses: Counter[int] = Counter()
    for payload, digest, depth, data in _all_payloads(query):
        if not depth:
            node = rope([data])
            found, length = node.digest, node.length
        else:
            length, ids = unpack(data)
            uses.update(ids)
            below = [hashes.get(payload) for payload in ids]
            if any(part is None or part[0] != depth - 1 for part in below):
                yield f"a payload that names what is not there, or not one level below: {payload}"
            parts = [part for part in below if part is not None]
            found = list_digest(depth, [part[1] for part in parts])
            if length != sum(part[2] for part in parts):
                yield f"a payload that is not as long as its parts: {payload}"
        if found != digest:
            yield f"a payload that is not what its hash says: {payload}"
        hashes[payload] = depth, digest, length
    counted = dict(query("SELECT payload, uses FROM payload_uses", ()))
    for payload in {*uses} | {*counted}:
        if uses[payload] != counted.get(payload, 0):
            found = counted.get(payload, 0)
            yield f"a payload in {uses[payload]} lists, counted as {found}: {payload}"


def _all_payloads(query: Query) -> Iterator[Any]:
    """All of them, a few at a time; what is named comes before what names it."""
    depths: dict[int, list[int]] = {}
    for payload, depth in query("SELECT id, depth FROM payloads", ()):
        depths.setdefault(depth, []).append(payload)
    for depth in sorted(depths):
        yield from _rows(query, _READ_ALL, depths[depth])
