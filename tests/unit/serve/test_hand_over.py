"""A backend is called on the loop of its engine, wherever the call comes from."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from workflow_agents.errors import StateError, StoreError
from workflow_agents.serve.hand_over import OnItsLoop, hand_over
from workflow_agents.sync.loop_thread import LOOP_THREAD


class Backend:
    """Says on which loop it is called."""

    ended = 0

    def now_ms(self) -> int:
        return 5

    async def where(self, *, fail: bool = False) -> asyncio.AbstractEventLoop:
        if fail:
            raise ValueError("as it was raised")
        return asyncio.get_running_loop()

    async def items(self, count: int) -> AsyncIterator[asyncio.AbstractEventLoop]:
        try:
            for _ in range(count):
                await asyncio.sleep(0)
                yield asyncio.get_running_loop()
        finally:
            Backend.ended += 1

    async def for_ever(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            Backend.ended += 1


async def test_every_kind_of_method_is_handed_over() -> None:
    there = LOOP_THREAD.loop
    backend: Any = OnItsLoop(Backend(), lambda: there)  # type: ignore[arg-type]

    assert backend.now_ms() == 5
    assert await backend.where() is there
    assert [loop async for loop in backend.items(3)] == [there] * 3
    with pytest.raises(ValueError, match="as it was raised"):
        await backend.where(fail=True)


async def test_what_is_left_early_is_ended_there() -> None:
    backend: Any = OnItsLoop(Backend(), lambda: LOOP_THREAD.loop)  # type: ignore[arg-type]
    Backend.ended = 0

    items = backend.items(3)
    await anext(items)
    await items.aclose()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await backend.for_ever()
    async with asyncio.timeout(20):
        while Backend.ended < 2:
            await asyncio.sleep(0.002)


async def test_without_a_loop_or_on_it_nothing_is_handed_over() -> None:
    here = asyncio.get_running_loop()
    for loop in (None, here):
        backend: Any = OnItsLoop(Backend(), lambda loop=loop: loop)  # type: ignore[arg-type]
        assert await backend.where() is here


async def test_a_loop_that_is_held_up_is_not_waited_for() -> None:
    here = asyncio.get_running_loop()
    with pytest.raises(StateError, match="WA112"):
        LOOP_THREAD.wait(hand_over(Backend().where(), here))


async def test_a_loop_at_rest_is_not_waited_for() -> None:
    resting = asyncio.new_event_loop()
    with pytest.raises(StoreError, match="WA111"):
        await hand_over(Backend().where(), resting)
    resting.close()
