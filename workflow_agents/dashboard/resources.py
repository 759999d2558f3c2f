"""The pages of what runs share: schedules, queues, flow control keys, signing keys, the feed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.core.cron import Cron
from workflow_agents.dashboard.asking import Ask, Row, count_in, text_in
from workflow_agents.engine.flow_keys import PARALLELISM, RATE, KeyUse
from workflow_agents.store.resource_rows import ScheduleRow

FIRES = 5
_FEED = 200
_SHOWN_OF_A_KEY = 4


# Schedules.


async def schedules(ask: Ask) -> Any:
    """All schedules, with the times of their next ticks."""
    now = ask.engine.clock.now_ms()
    rows = ask.engine.wire.schedules.all()
    missed = str(ask.engine.wire.schedules.missed)
    return {"schedules": [_schedule(ask, row, now) for row in rows], "missed": missed}


def _schedule(ask: Ask, row: ScheduleRow, now: int) -> dict[str, Any]:
    cron, fires, after = Cron.parse(row.cron), list[int](), now
    while len(fires) < FIRES and (following := cron.next_tick(after)) is not None:
        fires.append(following)
        after = following
    return {
        "id": row.id,
        "cron": row.cron,
        "destination": row.destination,
        "paused": row.paused,
        "next": fires,
        "zone": cron.zone,
        "shift": clocks_change(cron.zone, [now, *fires]),
        "last": row.last_at,
        "lastStates": [*ask.engine.wire.schedules.states(row).values()],
        "error": row.error,
    }


def clocks_change(zone: str, instants: Sequence[int]) -> list[int] | None:
    """The first of the instants before which the clocks of a zone change, and by how many minutes.

    Args:
        zone: its name.
        instants: Unix milliseconds, in order.

    Returns:
        None: they do not change between them.
    """
    place = ZoneInfo(zone)
    offsets = [datetime.fromtimestamp(at // 1000, place).utcoffset() for at in instants]
    for at, before, after in zip(instants[1:], offsets, offsets[1:], strict=False):
        if before is not None and after is not None and before != after:
            return [at, int((after - before).total_seconds()) // 60]
    return None


async def change_schedule(ask: Ask) -> Any:
    """Run it now, pause it, go on, or remove it."""
    schedule, of = ask.part("id"), ask.engine.wire.schedules
    match action := (await ask.body()).get("action"):
        case "run":
            made = await of.run_now(schedule)
            return {"messages": [ask.engine.wire.messages.id_of(message) for message in made]}
        case "pause" | "resume":
            await of.pause(schedule, paused=action == "pause")
        case "delete":
            await of.delete(schedule)
        case _:
            raise wrong_option("action", "run, pause, resume or delete", action)
    return {}


# Queues.


async def queues(ask: Ask) -> Any:
    """All queues."""
    rows = ask.engine.wire.queues.all()
    return {"queues": [[r.name, r.parallelism, r.lag, r.paused] for r in rows]}


async def change_queue(ask: Ask) -> Any:
    """Pause it, or go on; or change how many go out at once."""
    given, of = await ask.body(), ask.engine.wire.queues
    name = text_in(given, "name")
    match action := given.get("action"):
        case "pause" | "resume":
            await of.pause(name, paused=action == "pause")
        case "change":
            of.get(name)
            await of.put(name, parallelism=count_in(given, "parallelism"))
        case _:
            raise wrong_option("action", "pause, resume or change", action)
    return {}


# Flow control.


async def flow(ask: Ask) -> Any:
    """All keys of flow control, and what is under way."""
    keys = ask.engine.wire.flow_keys
    named = {use.key: use for use in keys.all()}
    for key in ask.pages.flow_keys_in_use():
        named.setdefault(key, keys.use(key))
    shown = [_use(ask, named[key]) for key in sorted(named)]
    under_way = ask.engine.deliveries.on_their_way
    return {"keys": shown, "underWay": [under_way, ask.engine.limits.concurrent_deliveries]}


def _use(ask: Ask, use: KeyUse) -> dict[str, Any]:
    limits = use.state.limits
    return {
        "key": use.key,
        "parallelism": None if limits is None else limits.parallelism,
        "rate": None if limits is None else limits.rate,
        "periodMs": None if limits is None else limits.period_ms,
        "inFlight": use.in_flight,
        "starts": use.starts,
        "waiting": use.waiting,
        "oldest": ask.pages.oldest_held(use.key),
        "paused": use.state.paused,
        "pinned": sorted(use.state.pinned),
    }


async def change_flow(ask: Ask) -> Any:
    """Pause a key, go on, pin its limits, unpin them, or count its rate anew."""
    given, of = await ask.body(), ask.engine.wire.flow_keys
    key = text_in(given, "key")
    match action := given.get("action"):
        case "pause" | "resume":
            await of.pause(key, paused=action == "pause")
        case "pin":
            parallelism, rate = count_in(given, PARALLELISM), count_in(given, RATE)
            period = count_in(given, "periodMs")
            await of.pin(
                key, parallelism=parallelism, rate=rate, period=f"{(period or 1000) // 1000}s"
            )
        case "unpin":
            await of.unpin(key, parallelism=True, rate=True)
        case "reset":
            await of.reset_rate(key)
        case _:
            raise wrong_option("action", "pause, resume, pin, unpin or reset", action)
    return {}


# The rest.


async def keys(ask: Ask) -> Any:
    """The signing keys, all but their ends hidden."""
    signing = ask.engine.wire.signing
    if signing is None:
        return {"keys": None}
    return {"keys": {"current": _masked(signing.current), "next": _masked(signing.following)}}


def _masked(key: str) -> str:
    return f"{key[:_SHOWN_OF_A_KEY]}…{key[-_SHOWN_OF_A_KEY:]}"


async def feed(ask: Ask) -> Any:
    """What happened in all runs, the newest first; `before` asks for what was earlier."""
    overview = ask.engine.store.overview
    newest = overview.last_seq()
    before = min(ask.number("before") or newest + 1, newest + 1)
    after = max(0, before - _FEED - 1)
    found = overview.events(run=None, label=None, after=after, limit=_FEED)
    shown = [event.to_json(_message_id(ask, event.message)) for event in found]
    earlier = [one for one in shown if one["seq"] < before]
    return {"entries": earlier[::-1], "before": after + 1 if after else None, "seq": newest}


def _message_id(ask: Ask, message: int | None) -> str | None:
    return ask.engine.wire.messages.id_of(message) if message else None


routes = (
    Row("GET", "/api/schedules", schedules),
    Row("POST", "/api/schedules/{id:path}", change_schedule),
    Row("GET", "/api/queues", queues),
    Row("POST", "/api/queues", change_queue),
    Row("GET", "/api/flow", flow),
    Row("POST", "/api/flow", change_flow),
    Row("GET", "/api/keys", keys),
    Row("GET", "/api/feed", feed),
)
