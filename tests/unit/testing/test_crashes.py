"""Crashes at every commit: what they find, and what they leave alone."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from workflow_agents import WorkflowNonRetryableError, agent_workflow
from workflow_agents.core.replay import Replay
from workflow_agents.testing import (
    AtCommit,
    CrashPoint,
    FakeHttp,
    NotCrashProof,
    ScriptedModel,
    WorkflowEnvironment,
    assert_steps,
    crash_everywhere,
    crash_points,
    run_workflow,
)

BANK = "https://bank.example/charges"


async def item(context: Any) -> int:
    return await context.run("pack", lambda: 3)


async def checkout(context: Any) -> Any:
    reserved = await context.run("reserve", lambda: 1)
    charge = await context.call("charge", url=BANK, method="POST", body={"n": reserved}, retries=2)
    await context.sleep("return period", "30d")
    paid = await context.wait_for_event("payment", "paid", timeout="3d")
    packed = await context.invoke("pack", "/item")
    mails = await asyncio.gather(context.run("mail", lambda: 1), context.run("invoice", lambda: 2))
    return [charge.body["id"], paid.event_data, packed.body, mails]


RESULT = ["ch_1", {"amount": 5}, 3, [1, 2]]


def world(http: FakeHttp) -> None:
    http.on("POST", BANK, {"id": "ch_1"})


HOW: dict[str, Any] = {"events": {"paid": {"amount": 5}}, "world": world, "served": [item]}


def test_a_run_to_its_end_without_a_loop() -> None:
    log = run_workflow(checkout, **HOW)
    assert log.result == RESULT
    assert_steps(
        log, ["reserve", "charge", "return period", "payment", "pack", {"mail", "invoice"}]
    )


def test_a_failed_run_is_returned() -> None:
    async def failing(context: Any) -> None:
        await context.run("look", lambda: 1)
        raise WorkflowNonRetryableError("no stock")

    assert run_workflow(failing).state == "RUN_FAILED"
    with pytest.raises(AssertionError, match="without any crash it goes wrong already"):
        crash_everywhere(failing)


def test_good_code_ends_the_same_whatever_crashes() -> None:
    report = crash_everywhere(checkout, **HOW)
    assert report.result == RESULT
    assert len(report.trials) > 30
    assert report.executions == dict.fromkeys(("reserve", "pack", "mail", "invoice"), 2)
    assert report.requests == {f"POST {BANK}": 2}
    assert report.results["reserve"] == 1
    assert not report.problems
    crashes = [trial.crash for trial in report.trials]
    assert "crash before commit 3, the result of 'reserve'" in crashes
    assert "crash after commit 3, the result of 'reserve'" in crashes


def test_other_faults_and_crashes_in_a_row() -> None:
    report = crash_everywhere(checkout, faults=(AtCommit.ERROR_KEPT,), **HOW)
    assert max(report.executions.values()) == 1
    report = crash_everywhere(checkout, faults=(AtCommit.CRASH_BEFORE,), times=3, **HOW)
    assert max(report.executions.values()) <= 4


def test_what_a_crash_makes_different_is_found_and_named() -> None:
    """A body that is not safe to repeat: its effect is there twice."""
    charged: list[int] = []

    async def careless(context: Any) -> int:
        def charge() -> int:
            charged.append(1)
            return len(charged)

        return await context.run("charge", charge)

    with pytest.raises(NotCrashProof) as raised:
        crash_everywhere(careless, world=lambda _http: charged.clear())
    message = str(raised.value)
    assert message.startswith("a crash made a difference in 1 of 8 trials")
    assert "crash before commit 3, the result of 'charge'" in message
    assert "ended as ('RUN_SUCCESS', 2), without a crash as ('RUN_SUCCESS', 1)" in message
    assert raised.value.report.executions == {"charge": 2}


def test_a_check_of_ones_own_is_made_after_each_trial() -> None:
    charged: list[str] = []

    async def careless(context: Any) -> None:
        await context.run("charge", lambda: charged.append("order 7"))

    def once(_log: Any) -> None:
        assert len(charged) == 1, f"charged {len(charged)} times"

    with pytest.raises(NotCrashProof, match="charged 2 times"):
        crash_everywhere(careless, world=lambda _http: charged.clear(), check=once)


def test_code_that_takes_another_way_after_a_crash_is_found() -> None:
    calls: list[int] = []

    async def moody(context: Any) -> None:
        calls.append(1)
        await context.run("a" if len(calls) == 1 else "b", lambda: None)
        await context.run("c", lambda: None)

    with pytest.raises(NotCrashProof, match="HistoryMismatch"):
        crash_everywhere(moody, world=lambda _http: calls.clear())


def test_the_world_outside_may_act() -> None:
    async def order(context: Any) -> Any:
        return (await context.wait_for_event("payment", "paid")).event_data

    async def pay(env: WorkflowEnvironment, run: Any) -> None:
        await env.until_waiting(run, event="paid")
        await env.notify("paid", "cash")

    assert crash_everywhere(order, outside=pay).result == "cash"


def test_outside_that_fails_is_told() -> None:
    async def waiting(context: Any) -> Any:
        return (await context.wait_for_event("payment", "paid")).timeout

    async def broken(_env: Any, _run: Any) -> None:
        raise KeyError("oops")

    with pytest.raises(AssertionError, match="outside raised KeyError"):
        crash_everywhere(waiting, outside=broken)


async def research(context: Any) -> str:
    agents = agent_workflow(context)

    def weather(city: str) -> str:
        """The weather in a city."""
        return f"cold in {city}"

    agent = agents.agent(model=agents.openai("gpt-4o"), name="guide", tools=[weather])
    return (await agents.task(agent=agent, prompt="Oslo?").run()).text


def test_an_agent_with_a_scripted_model() -> None:
    with ScriptedModel() as model:
        model.call_tools(("weather", {"city": "Oslo"}))
        model.say("It is cold.")
        report = crash_everywhere(research, model=model)
        model.assert_done()
    assert report.result == "It is cold."
    assert report.executions == {"Run tool weather": 2}
    assert report.requests == {"POST https://api.openai.com/v1/chat/completions": 2}


async def test_it_may_be_called_where_a_loop_is_running() -> None:
    assert run_workflow(item).result == 3
    assert crash_everywhere(item).result == 3


@pytest.mark.parametrize("crash", crash_points(item))
def test_each_crash_as_a_test_of_its_own(crash: CrashPoint, request: pytest.FixtureRequest) -> None:
    assert crash.__name__ in request.node.name
    assert crash.play().executions["pack"] <= 2


def test_an_unexpected_request_is_told() -> None:
    with pytest.raises(AssertionError, match="no reply is set for"):
        crash_everywhere(checkout, served=[item])


@pytest.mark.parametrize("play", [run_workflow, crash_everywhere, crash_points])
def test_an_unknown_keyword_is_refused(play: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="evnts"):
        play(item, evnts={})


def test_a_body_that_runs_after_its_result_was_recorded_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No engine may do that; this one does, because its replay forgets."""
    ask = Replay.ask

    def forgetful(replay: Replay, *asked: Any) -> Any:
        known = ask(replay, *asked)
        if known is not None and known is replay.head:
            replay.advance()
            return None
        return known

    monkeypatch.setattr(Replay, "ask", forgetful)
    with pytest.raises(NotCrashProof) as raised:
        crash_everywhere(item)
    assert raised.value.report.problems == [
        "crash after commit 3, the result of 'pack': "
        "the body of 'pack' ran after its result was recorded",
        "crash before commit 4, the end of a run: "
        "the body of 'pack' ran after its result was recorded",
    ]
