"""Flow control keys: looked at, paused, their limits pinned. Source: protocol 6.5."""

from typing import Any

from starlette.responses import Response

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.engine.flow_keys import PARALLELISM, RATE, KeyUse
from workflow_agents.server.answers import Json, empty, without_empty
from workflow_agents.server.filters import last_of
from workflow_agents.server.routing import Call, Endpoint


async def every(call: Call) -> Response:
    """All keys, or those with a text in their name."""
    search = last_of(call.query, "search") or None
    return Json([_shown(use) for use in call.engine.wire.flow_keys.all(search)])


async def show(call: Call) -> Response:
    """One key."""
    return Json(_shown(call.engine.wire.flow_keys.get(call.parameter("key"))))


async def pause(call: Call) -> Response:
    """Start nothing of a key for now."""
    await call.engine.wire.flow_keys.pause(call.parameter("key"), paused=True)
    return empty()


async def resume(call: Call) -> Response:
    """Go on."""
    await call.engine.wire.flow_keys.pause(call.parameter("key"), paused=False)
    return empty()


async def pin(call: Call) -> Response:
    """Set limits that messages leave alone."""
    period = _number(call, "period")
    await call.engine.wire.flow_keys.pin(
        call.parameter("key"),
        parallelism=_number(call, "parallelism"),
        rate=_number(call, "rate"),
        period=None if period is None else f"{period}s",
    )
    return empty()


async def unpin(call: Call) -> Response:
    """Let messages set these limits again."""
    await call.engine.wire.flow_keys.unpin(
        call.parameter("key"), parallelism=_asked(call, "parallelism"), rate=_asked(call, "rate")
    )
    return empty()


async def reset_rate(call: Call) -> Response:
    """Count what has started until now no more."""
    await call.engine.wire.flow_keys.reset_rate(call.parameter("key"))
    return empty()


async def everything(call: Call) -> Response:
    """How much is under way at all."""
    engine = call.engine
    return Json(
        {
            "parallelismMax": engine.limits.concurrent_deliveries,
            "parallelismCount": engine.deliveries.on_their_way,
        }
    )


def _shown(use: KeyUse) -> dict[str, Any]:
    limits = use.state.limits
    return {
        "flowControlKey": use.key,
        "waitListSize": use.waiting,
        "waitlistSize": use.waiting,  # as the API reference spells it
        **without_empty(
            {
                "parallelismMax": None if limits is None else limits.parallelism,
                "rateMax": None if limits is None else limits.rate,
            }
        ),
        "parallelismCount": use.in_flight,
        "rateCount": use.starts,
        "ratePeriod": 0 if limits is None else limits.period_ms // 1000,
        "ratePeriodStart": use.period_at // 1000,
        "isPaused": use.state.paused,
        "isPinnedParallelism": PARALLELISM in use.state.pinned,
        "isPinnedRate": RATE in use.state.pinned,
    }


def _number(call: Call, name: str) -> int | None:
    text = last_of(call.query, name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise wrong_option(name, "a whole number from 1", text)
    return int(text)


def _asked(call: Call, name: str) -> bool:
    return last_of(call.query, name).lower() == "true"


_KEY = "/v2/flowControl/{key}"
endpoints = (
    Endpoint("GET", "/v2/flowControl", every, "All flow control keys"),
    Endpoint("GET", _KEY, show, "A flow control key"),
    Endpoint("POST", f"{_KEY}/pause", pause, "Pause a key"),
    Endpoint("POST", f"{_KEY}/resume", resume, "Resume a key"),
    Endpoint("POST", f"{_KEY}/pin", pin, "Pin limits of a key"),
    Endpoint("POST", f"{_KEY}/unpin", unpin, "Unpin limits of a key"),
    Endpoint("POST", f"{_KEY}/resetRate", reset_rate, "Begin the rate of a key anew"),
    Endpoint("POST", f"{_KEY}/reset", reset_rate, "The same, by its older name"),
    Endpoint("GET", "/v2/globalParallelism", everything, "What is under way"),
)
