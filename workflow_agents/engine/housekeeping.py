"""What is done now and then while the engine turns: what is old or left behind is deleted."""

import asyncio
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine

logger = logging.getLogger(__name__)

_CLEAN_EVERY_S = 60.0
_CLEAN_BATCH = 200
_CLEAN_PAUSE_S = 0.05
_SWEEP_BATCH = 200


async def keep_house(engine: "DurableEngine", retention_ms: int | None) -> None:
    """Until it is cancelled.

    Args:
        engine: turns.
        retention_ms: how long ended runs are kept; None: for ever.
    """
    await asyncio.sleep(0.2)
    grow = getattr(engine.store, "grow_wal", None)
    if grow is not None:
        try:
            await engine.loop.run_in_executor(None, grow)
        except Exception:  # it is only for speed
            logger.exception("the log of the store could not be made large")
    while True:
        await asyncio.sleep(_CLEAN_EVERY_S)
        try:
            await _clean(engine, retention_ms)
        except Exception:  # housekeeping outlives whatever one round met
            logger.exception("cleaning failed; the next round follows")


async def _clean(engine: "DurableEngine", retention_ms: int | None) -> None:
    store, now = engine.store, engine.clock.now_ms()
    cleaned = 0 if retention_ms is None else _CLEAN_BATCH
    while cleaned == _CLEAN_BATCH and retention_ms is not None:
        cleaned = store.clean(now - retention_ms, now, _CLEAN_BATCH)
        await asyncio.sleep(_CLEAN_PAUSE_S)
    # Only where there is a server: its queries are loaded with it.
    cleaned = 0 if retention_ms is None or "wire" not in vars(engine) else _CLEAN_BATCH
    while cleaned == _CLEAN_BATCH and retention_ms is not None:
        cleaned = store.messages.forget(now - retention_ms, now, _CLEAN_BATCH)
        await asyncio.sleep(_CLEAN_PAUSE_S)
    swept = _SWEEP_BATCH
    while swept:
        swept = store.sweep(_SWEEP_BATCH)
        await asyncio.sleep(_CLEAN_PAUSE_S)
