"""What is kept of runs that have ended, and for how long."""

import asyncio
import random
from pathlib import Path

import pytest

from workflow_agents import AsyncWorkflowContext, Engine, NotFound
from workflow_agents.testing.virtual_time import VirtualClock, VirtualTime, run_virtually

MINUTE_S = 60


def test_what_ended_long_ago_goes_with_all_its_data(tmp_path: Path) -> None:
    """The engine cleans by itself; what a younger run shares with an older one stays."""
    time = VirtualTime()
    draw = random.Random(1)
    texts = [" ".join(draw.choices(["abc", "def", "ghi"], k=3_000)) for _ in range(3)]

    async def main() -> None:
        engine = Engine(str(tmp_path / "x.db"), clock=VirtualClock(time), retention="1h")

        @engine.workflow("/echo")
        async def echo(context: AsyncWorkflowContext) -> list[str]:
            return await context.run("echo", lambda: context.request_payload)

        async with engine:
            old = await engine.client.trigger(echo, texts[:2])
            await old.result()
            await asyncio.sleep(50 * MINUTE_S)
            young = await engine.client.trigger(echo, texts[1:])
            await young.result()
            both = engine.core.store.size()["payloads"]
            await asyncio.sleep(15 * MINUTE_S)

            with pytest.raises(NotFound):
                await old.log()
            assert await young.result() == texts[1:]
            assert 0 < engine.core.store.size()["payloads"] < both
            assert engine.core.store.check() == []

            await asyncio.sleep(65 * MINUTE_S)
            assert engine.core.store.size()["payloads"] == 0

    run_virtually(main(), time)
