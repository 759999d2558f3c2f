"""The queries about flow control keys as SQL. `query` fetches every row: `SqliteReads.all`."""

from typing import Any

from workflow_agents.core.lifecycle import Phase
from workflow_agents.store.changes import WaiterKind
from workflow_agents.store.interface import FlowKeyRow
from workflow_agents.store.sqlite_payloads import Query

_KEY = "SELECT flow_key, value, paused, pinned FROM flow_keys WHERE"
_SLOTS = (
    f"SELECT (SELECT count(*) FROM runs WHERE flow_key = ?1 AND phase = {int(Phase.LEASED)})"
    " + (SELECT count(*) FROM deliveries WHERE flow_key = ?1 AND leased = 1)"
    f" + (SELECT count(*) FROM waiters WHERE flow_key = ?1 AND kind = {WaiterKind.READY})"
)
_STARTS = "SELECT at FROM flow_starts WHERE flow_key = ? AND at >= ? ORDER BY at, n"


def flow(query: Query, flow_key: str, since: int | None) -> tuple[int, list[int]]:
    """See `Store.flow`. Slots are counted from who holds them, never in a counter."""
    [(slots,)] = query(_SLOTS, (flow_key,))
    if since is None:
        return slots, []
    return slots, [at for (at,) in query(_STARTS, (flow_key, since))]


def one_flow_key(query: Query, flow_key: str) -> FlowKeyRow | None:
    """See `Store.flow_key`."""
    rows = query(f"{_KEY} flow_key = ?", (flow_key,))
    return _row(rows[0]) if rows else None


def ruled_flow_keys(query: Query) -> list[FlowKeyRow]:
    """See `Store.ruled_flow_keys`."""
    return [_row(row) for row in query(f"{_KEY} paused OR pinned != ''", ())]


def known_flow_keys(query: Query, search: str | None) -> list[FlowKeyRow]:
    """See `Resources.flow_keys`."""
    rows = query(f"{_KEY} ?1 IS NULL OR instr(flow_key, ?1) ORDER BY flow_key", (search,))
    return [_row(row) for row in rows]


def _row(row: Any) -> FlowKeyRow:
    flow_key, value, paused, pinned = row
    return FlowKeyRow(flow_key, value, bool(paused), pinned)
