"""Recorded histories: what is kept, and what new code does with them."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from workflow_agents import ConfigurationError, Engine, StoreError
from workflow_agents.testing import (
    RecordedHistory,
    WorkflowEnvironment,
    check_store,
    record_history,
    recorded_histories,
    replay_history,
)

executed: list[str] = []


async def checkout(context: Any) -> Any:
    order = context.request_payload["order"]
    await context.run("reserve", lambda: executed.append("reserve"))

    async def branch(name: str) -> None:
        await context.run(name, lambda: name)

    await asyncio.gather(branch("mail"), branch("invoice"))
    await context.sleep("a month", "30d")
    await context.run("close", lambda: None)
    return order


async def renamed(context: Any) -> None:
    await context.run("book", lambda: executed.append("book"))


async def shorter(context: Any) -> None:
    await context.run("reserve", lambda: executed.append("reserve"))


async def longer(context: Any) -> Any:
    order = await checkout(context)
    await asyncio.gather(
        context.run("thank", lambda: executed.append("thank")),
        context.call("report", url="https://example.com/"),
    )
    return order


async def raising(context: Any) -> None:
    raise ValueError("cannot")


async def hanging(context: Any) -> None:
    await context.run("reserve", lambda: None)
    await asyncio.Event().wait()


async def polling(context: Any) -> None:
    await context.run("reserve", lambda: None)
    while True:
        await asyncio.sleep(1)


async def canceling(context: Any) -> None:
    await checkout(context)
    await context.cancel()


@pytest.fixture
async def halfway() -> RecordedHistory:
    async with WorkflowEnvironment() as env:
        run = await env.trigger(checkout, {"order": 7}, label="shop")
        await env.until_waiting(run, step="a month")
        return await record_history(run)


@pytest.fixture
async def ended() -> RecordedHistory:
    async with WorkflowEnvironment() as env:
        run = await env.trigger(checkout, {"order": 7})
        await env.result(run)
        return await record_history(run)


@pytest.fixture(autouse=True)
def _nothing_executed() -> None:
    executed.clear()


def test_a_history_holds_what_was_recorded_in_its_order(halfway: RecordedHistory) -> None:
    assert (halfway.workflow, halfway.state) == ("/checkout", "RUN_STARTED")
    assert (halfway.payload, halfway.labels) == ({"order": 7}, ("shop",))
    assert [(s.step, s.name) for s in halfway.steps] == [
        (1, "reserve"),
        ("1.0/1", "mail"),
        ("1.1/1", "invoice"),
    ]
    assert [(w.type, w.name) for w in halfway.waiting] == [("SleepFor", "a month")]


def test_a_history_survives_its_file(halfway: RecordedHistory, tmp_path: Path) -> None:
    path = halfway.save(tmp_path / "made" / "half.json")
    again = RecordedHistory.load(path)
    assert again.as_dict() == halfway.as_dict()
    assert again.__name__ == "half"
    assert json.loads(path.read_text())["format"] == "workflow_agents.history"


def test_the_code_that_recorded_it_fits(halfway: RecordedHistory, ended: RecordedHistory) -> None:
    executed.clear()
    half, full = replay_history(halfway, checkout), replay_history(ended, checkout)
    half.assert_fits(new_steps=False)
    assert half.waits_for == ["sleep 'a month'"]
    assert half.same
    assert not half.ended
    full.assert_fits(new_steps=False)
    assert (full.ended, full.result, full.same) == (True, 7, True)
    assert executed == []


def test_another_step_in_a_place_is_a_mismatch(halfway: RecordedHistory) -> None:
    executed.clear()
    report = replay_history(halfway, renamed)
    assert report.mismatch is not None
    assert (report.mismatch.where, report.mismatch.expected) == ("step 1", "run 'reserve'")
    assert report.mismatch.asked == "run 'book'"
    with pytest.raises(AssertionError, match="does not fit: WA201 at step 1"):
        report.assert_fits()
    assert executed == []


def test_a_step_that_is_left_out_is_a_mismatch(halfway: RecordedHistory) -> None:
    report = replay_history(halfway, shorter)
    assert report.mismatch is not None
    assert "without this step" in report.mismatch.asked


def test_new_steps_are_named_and_not_executed(ended: RecordedHistory) -> None:
    executed.clear()
    report = replay_history(ended, longer)
    report.assert_fits()
    assert report.new_steps == ["run 'thank'", "call 'report'"]
    assert not report.same
    with pytest.raises(AssertionError, match="would run run 'thank', call 'report'"):
        report.assert_fits(new_steps=False)
    assert executed == []


@pytest.mark.parametrize(
    ("code", "said"),
    [(raising, "ValueError: cannot"), (hanging, "no step"), (polling, "no step")],
)
def test_code_that_fails_or_hangs_does_not_fit(
    halfway: RecordedHistory, code: Any, said: str
) -> None:
    report = replay_history(halfway, code)
    assert not report.fits
    assert said in str(report)


def test_code_that_cancels_itself_fits(ended: RecordedHistory) -> None:
    assert replay_history(ended, canceling).fits


def test_another_result_is_told(ended: RecordedHistory) -> None:
    async def doubled(context: Any) -> Any:
        return 2 * await checkout(context)

    report = replay_history(ended, doubled)
    assert report.fits
    assert not report.same
    assert "another result: 14, recorded 7" in str(report)


async def test_a_failed_run_is_replayed_with_its_failure() -> None:
    async def failing(context: Any) -> None:
        def body() -> None:
            raise RuntimeError("no")

        await context.run("fail", body, retries=0)

    async with WorkflowEnvironment() as env:
        run = await env.trigger(failing)
        await env.ended(run)
        history = await record_history(run)
    report = replay_history(history, failing)
    assert (report.fits, report.ended) == (True, True)


@pytest.mark.parametrize(
    "data",
    [
        5,
        {},
        {"format": "workflow_agents.history", "version": 2},
        {"format": "workflow_agents.history", "version": 1},
    ],
)
def test_what_is_no_history_is_refused(data: Any) -> None:
    with pytest.raises(ConfigurationError, match="this is no recorded history"):
        RecordedHistory.from_dict(data)


def test_a_folder_without_histories_is_refused(tmp_path: Path) -> None:
    """Parameters that are none would make a test that passes always."""
    with pytest.raises(ConfigurationError, match="there are no recorded histories"):
        recorded_histories(tmp_path)


def test_a_folder_of_histories_by_name(halfway: RecordedHistory, tmp_path: Path) -> None:
    for name in ("b", "a"):
        halfway.save(tmp_path / f"{name}.json")
    assert [history.name for history in recorded_histories(tmp_path)] == ["a", "b"]


async def test_a_store_is_checked_while_its_engine_runs(tmp_path: Path) -> None:
    store = tmp_path / "shop.db"
    async with WorkflowEnvironment(store=str(store)) as env:
        ended = await env.trigger(checkout, {"order": 1})
        await env.result(ended)
        runs = [await env.trigger(checkout, {"order": n}) for n in range(3)]
        other = await env.trigger(shorter_wait, headers={"x-kind": "test"})
        await env.settle()
        executed.clear()
        before = store.read_bytes()

        engine = Engine(":memory:")
        engine.add("/checkout", checkout)
        engine.add("/shorter_wait", shorter_wait)
        good = check_store(store, engine)
        good.assert_fits()
        assert len(good.replays) == 4

        bad = check_store(store, {"/checkout": renamed})
        assert not bad.fits
        assert bad.unserved == {other.run_id: "/shorter_wait"}
        assert [r.history.run_id for r in bad.replays] == [run.run_id for run in runs]
        with pytest.raises(AssertionError, match=r"0 of 4 runs .* fit\n/checkout wfr_"):
            bad.assert_fits()
        assert executed == []
        assert store.read_bytes() == before


async def shorter_wait(context: Any) -> str:
    assert context.headers["x-kind"] == "test"
    await context.sleep("a day", "1d")
    return "done"


def test_a_store_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="expected a file, found none"):
        check_store(tmp_path / "nothing.db", checkout)
    assert not [*tmp_path.iterdir()]
