"""Workflows that are plain functions: every step, their thread, and how it is unwound."""

import asyncio
import contextvars
import threading
import time

import pytest

from tests.journeys.flask_site import threads_end, told, workflow_threads
from workflow_agents import (
    AsyncWorkflowContext,
    ConfigurationError,
    Engine,
    RunFailed,
    StepFailed,
    StepUsageError,
    WorkflowAbort,
    WorkflowContext,
)

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@pytest.fixture
def engine():
    with Engine(":memory:") as engine:
        yield engine
    threads_end()


def test_every_kind_of_step(engine, web) -> None:
    web.answer("https://example.com/", {"answer": 42})

    @engine.workflow("/child")
    def child(context: WorkflowContext[int]) -> int:
        return context.run("double", lambda: context.request_payload * 2)

    @engine.workflow("/all", label="all")
    def all_kinds(context: WorkflowContext[dict]) -> dict:
        async def awaited() -> str:
            return "awaited"

        hook = context.create_webhook("hook")
        found = {
            "run": context.run("run", lambda: context.request_payload["n"]),
            "async": context.run("async", awaited),
            "call": context.call("call", url=f"{web.origin}/https/example.com/").body,
            "invoke": context.invoke("invoke", child, 21).body,
            "event": context.wait_for_event("event", "never", timeout=0.01).timeout,
            "webhook": context.wait_for_webhook("webhook", hook, timeout=0.01).timeout,
            "notify": context.notify("notify", "nobody", 1).event_id,
            "told": [context.label, context.url, context.headers.get("x-a"), context.labels],
        }
        context.sleep("sleep", 0.01)
        context.sleep_until("until", context.created_at / 1000)
        return found

    run = engine.sync_client.trigger(all_kinds, {"n": 1}, headers={"x-a": "b"})
    assert run.result() == {
        "run": 1,
        "async": "awaited",
        "call": {"answer": 42},
        "invoke": 42,
        "event": True,
        "webhook": True,
        "notify": "nobody",
        "told": ["all", "/all", "b", ["all"]],
    }


def test_steps_run_once_though_the_function_runs_again(engine) -> None:
    bodies, begun = [], []

    @engine.workflow("/w")
    def w(context: WorkflowContext) -> list:
        begun.append(1)
        results = []
        for i in range(3):
            results.append(context.run(f"step {i}", lambda i=i: bodies.append(i) or i))
            context.sleep("nap", 0.01)
        return results

    assert engine.run_sync(w) == [0, 1, 2]
    assert bodies == [0, 1, 2]
    assert len(begun) == 4


def test_a_body_meets_the_thread_and_the_variables_around_it(engine) -> None:
    local = threading.local()

    @engine.workflow("/w")
    def w(context: WorkflowContext) -> list:
        variable.set("of the workflow")
        local.value = "of the thread"
        return context.run("step", lambda: [variable.get(), local.value])

    assert engine.run_sync(w) == ["of the workflow", "of the thread"]
    assert variable.get() == "unset"


def test_a_step_that_fails_is_tried_again_and_its_failure_can_be_caught(engine) -> None:
    attempts = []

    @engine.workflow("/w", retry_delay="1")
    def w(context: WorkflowContext) -> list:
        def flaky() -> int:
            attempts.append(1)
            if len(attempts) < 3:
                raise OSError("now and then")
            return len(attempts)

        def broken() -> None:
            raise KeyError("always")

        tried = context.run("flaky", flaky)
        try:
            context.run("broken", broken, retries=0)
        except StepFailed as failed:
            return [tried, failed.error, failed.attempts]
        return []

    assert engine.run_sync(w) == [3, "KeyError", 1]


@pytest.mark.parametrize("error", [SystemExit("3"), KeyboardInterrupt(), StopIteration()])
def test_what_would_end_a_process_or_a_generator_fails_its_run_only(engine, error) -> None:
    def raises() -> None:
        raise error

    @engine.workflow("/body", retries=0)
    def in_a_body(context: WorkflowContext) -> None:
        context.run("step", raises)

    @engine.workflow("/function", retries=0)
    def in_the_function(context: WorkflowContext) -> None:
        context.run("step", lambda: 1)
        raises()

    for workflow in (in_a_body, in_the_function):
        with pytest.raises(RunFailed):
            engine.run_sync(workflow)


def test_a_step_inside_a_step_is_refused(engine) -> None:
    def refused(ask) -> str:
        with pytest.raises(StepUsageError) as raised:
            ask()
        return raised.value.code

    @engine.workflow("/w")
    def w(context: WorkflowContext) -> list:
        async def awaited() -> str:
            return refused(lambda: context.run("inner", lambda: 1))

        async def part(_context) -> None: ...

        return [
            context.run("a", lambda: refused(lambda: context.run("inner", lambda: 1))),
            context.run("b", awaited),
            context.run("c", lambda: refused(lambda: context.sleep("inner", 1))),
            context.run("d", lambda: refused(lambda: context.run_async(part))),
            context.run("e", lambda: refused(context.cancel)),
        ]

    assert engine.run_sync(w) == ["WA203"] * 5


def test_another_thread_must_not_use_the_context(engine) -> None:
    @engine.workflow("/w")
    def w(context: WorkflowContext) -> str:
        codes = []

        def elsewhere() -> None:
            try:
                context.run("step", lambda: 1)
            except StepUsageError as error:
                codes.append(error.code)

        mine = contextvars.copy_context()
        for target in (elsewhere, lambda: mine.run(elsewhere)):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
        return context.run("codes", lambda: codes)

    assert engine.run_sync(w) == ["WA208", "WA208"]


def test_a_mistake_in_a_step_is_told_where_it_was_made(engine) -> None:
    @engine.workflow("/w", retries=0)
    def w(context: WorkflowContext) -> list:
        try:
            context.run("not a function", 3)  # type: ignore[arg-type]
        except StepUsageError as error:
            context.run("one", lambda: 1)
            return [error.code]
        return []

    assert engine.run_sync(w) == ["WA102"]


def test_branches_are_a_part_that_is_written_with_await(engine) -> None:
    @engine.workflow("/w")
    def w(context: WorkflowContext[int]) -> list:
        meeting = threading.Barrier(2, timeout=20)

        async def both(context: AsyncWorkflowContext[int]) -> list:
            async def branch(name: str) -> int:
                # Two bodies that wait for each other have to run beside each other.
                await context.sleep(f"{name} nap", 0.01)
                return await context.run(name, lambda: meeting.wait() >= 0 and len(name))

            return await asyncio.gather(branch("a"), branch("bb"))

        thread = threading.current_thread()
        before = context.run("before", lambda: 0)
        lengths = context.run_async(both)
        own = context.run("own thread", lambda: threading.current_thread() is thread)
        return [before, *lengths, own]

    assert engine.run_sync(w, 1) == [0, 1, 2, True]


def test_a_run_that_cancels_itself_goes_no_further(engine) -> None:
    after = []

    @engine.workflow("/w")
    def w(context: WorkflowContext) -> None:
        context.run("step", lambda: 1)
        context.cancel()
        after.append(1)

    run = engine.sync_client.trigger(w)
    with pytest.raises(RunFailed):
        run.result()
    threads_end()
    assert (run.status(), after) == ("RUN_CANCELED", [])


def test_a_run_that_parks_unwinds_its_thread(engine) -> None:
    unwound: list[str] = []

    @engine.workflow("/w")
    def w(context: WorkflowContext) -> None:
        try:
            try:
                context.wait_for_event("wait", "never")
            except Exception:
                unwound.append("an Exception")
        except WorkflowAbort:
            unwound.append("WorkflowAbort")
            raise
        finally:
            unwound.append("finally")

    run = engine.sync_client.trigger(w)
    told(run, "STEP_WAITING", "wait")
    threads_end()
    assert unwound == ["WorkflowAbort", "finally"]
    assert run.status() == "RUN_STARTED"


def test_code_that_swallows_its_end_gets_no_further_step(engine) -> None:
    swallowed: list[str] = []
    bodies: list[int] = []

    @engine.workflow("/w")
    def w(context: WorkflowContext) -> None:
        try:
            context.wait_for_event("wait", "never")
        except BaseException:
            try:
                context.run("more", lambda: bodies.append(1))
            except BaseException as error:
                swallowed.append(type(error).__name__)

    run = engine.sync_client.trigger(w)
    told(run, "STEP_WAITING", "wait")
    threads_end()
    assert (swallowed, bodies, run.status()) == (["WorkflowAbort"], [], "RUN_STARTED")


def test_a_cancelled_run_unwinds_the_thread_that_still_works(engine) -> None:
    working, go_on, after = threading.Event(), threading.Event(), []

    @engine.workflow("/w")
    def w(context: WorkflowContext) -> None:
        context.run("step", lambda: 1)
        working.set()
        go_on.wait(20)
        context.run("never", lambda: after.append(1))

    run = engine.sync_client.trigger(w)
    assert working.wait(20)
    assert run.cancel()
    go_on.set()
    threads_end()
    assert (run.status(), after) == ("RUN_CANCELED", [])


def test_an_engine_that_is_closed_leaves_no_thread(tmp_path) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def life() -> Engine:
        engine = Engine(str(tmp_path / "w.db"))

        @engine.workflow("/w")
        def w(context: WorkflowContext) -> int:
            first = context.run("first", lambda: 1)
            context.run("second", lambda: inside.set() or (go_on.wait(20) and None))
            return first + 1

        return engine

    with life() as engine:
        run = engine.sync_client.trigger("/w")
        assert inside.wait(20)
    go_on.set()
    threads_end()
    with life() as engine:
        assert engine.sync_client.handle(run.run_id).result() == 2


@pytest.mark.slow
def test_a_thousand_parked_runs_cost_no_thread(engine) -> None:
    """A thousand runs wait for an event; then it comes, and all of them end."""
    alive = threading.active_count()

    @engine.workflow("/w")
    def w(context: WorkflowContext[int]) -> int:
        first = context.run("first", lambda: context.request_payload)
        context.wait_for_event("wait", "go", timeout="1d")
        return context.run("last", lambda: first + 1)

    client = engine.sync_client
    runs = client.trigger_many([{"workflow": w, "body": n} for n in range(1_000)])
    for run in runs:
        told(run, "STEP_WAITING", "wait")
    threads_end()
    assert threading.active_count() <= alive
    assert len(client.notify("go")) == 1_000
    assert [run.result() for run in runs] == [n + 1 for n in range(1_000)]
    threads_end()


async def test_no_more_threads_than_there_is_room_for(monkeypatch) -> None:
    monkeypatch.setattr("workflow_agents.sync.workflow_thread._THREADS", 4)
    seen = []
    engine = Engine(":memory:")

    @engine.workflow("/w")
    def w(context: WorkflowContext) -> int:
        def body() -> int:
            seen.append(len(workflow_threads()))
            time.sleep(0.005)
            return 1

        return context.run("step", body)

    async with engine:
        runs = await engine.client.trigger_many([{"workflow": w}] * 30)
        assert [await run.result() for run in runs] == [1] * 30
    # One that has made room for the next may be on its last lines yet.
    assert max(seen) <= 8


async def test_sync_functions_on_an_engine_that_is_awaited() -> None:
    engine = Engine(":memory:")

    @engine.workflow("/w")
    def w(context: WorkflowContext[int]) -> int:
        context.sleep("nap", 0.01)
        return context.run("step", lambda: context.request_payload + 1)

    async with engine:
        assert await engine.run(w, 1) == 2
    threads_end()


def generates(context: WorkflowContext):
    yield 1


def wants_async(context: AsyncWorkflowContext) -> None: ...


async def wants_sync(context: WorkflowContext) -> None: ...


@pytest.mark.parametrize("function", [generates, wants_async, wants_sync, "text"])
def test_what_cannot_be_a_workflow_is_refused(function) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Engine(":memory:").add("/w", function)
    assert raised.value.code == "WA102"
