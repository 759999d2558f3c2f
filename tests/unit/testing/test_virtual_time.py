import asyncio

import pytest

from workflow_agents.testing.virtual_time import (
    Deadlock,
    VirtualClock,
    VirtualLoop,
    VirtualTime,
    run_virtually,
)

DAY_MS = 86_400_000


def test_days_pass_in_a_moment_and_in_order() -> None:
    time = VirtualTime()
    woke: list[tuple[int, float]] = []

    async def sleeper(days: int) -> None:
        await asyncio.sleep(days * 86_400)
        woke.append((days, time.ms / DAY_MS))

    async def main() -> str:
        await asyncio.gather(*(sleeper(days) for days in (3, 1, 2)))
        return "done"

    assert run_virtually(main(), time) == "done"
    assert woke == [(1, 1), (2, 2), (3, 3)]


def test_what_would_run_in_a_thread_runs_on_the_loop() -> None:
    async def main() -> str:
        with pytest.raises(KeyError):
            await asyncio.to_thread({}.__getitem__, "missing")
        return await asyncio.to_thread("{}!".format, "now")

    assert run_virtually(main()) == "now!"


def test_waiting_for_what_never_comes_is_told() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock):
        run_virtually(main())


def test_the_clock_follows_the_time_and_may_be_wrong() -> None:
    time = VirtualTime()
    clock = VirtualClock(time)
    began = clock.now_ms()
    time.advance(1_500)
    assert clock.now_ms() == began + 1_500
    clock.step(-3_600_000)
    assert clock.now_ms() == began + 1_500 - 3_600_000
    clock.freeze()
    time.advance(10_000)
    assert clock.now_ms() == began + 1_500 - 3_600_000
    clock.thaw()
    assert clock.now_ms() == began + 11_500 - 3_600_000


def test_an_abandoned_loop_ends_without_a_word() -> None:
    """As a killed process does; even where a `finally` block wants to wait."""
    loop = VirtualLoop(VirtualTime())
    ended: list[str] = []

    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("finally")
            assert asyncio.gather().get_loop() is loop
            await asyncio.sleep(1)
            ended.append("never")

    async def main() -> None:
        task = asyncio.ensure_future(stubborn())
        await asyncio.sleep(1)
        assert not task.done()
        raise SystemExit("killed")

    with pytest.raises(SystemExit):
        loop.run_until_complete(main())
    loop.abandon()
    assert ended == ["finally"]
