"""Running things without await: in scripts, threads, and inside a running loop."""

import asyncio
import contextvars
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.journeys.flask_site import told
from workflow_agents import (
    AsyncClient,
    AsyncWorkflowContext,
    Client,
    ConfigurationError,
    DeadLetters,
    Engine,
    NotFound,
    RunFailed,
    RunHandle,
    StateError,
    StoreError,
)


def make(path: str = ":memory:") -> Engine:
    engine = Engine(path)

    @engine.workflow("/double")
    async def double(context: AsyncWorkflowContext[int]) -> int:
        return await context.run("double", lambda: context.request_payload * 2)

    @engine.workflow("/waits")
    async def waits(context: AsyncWorkflowContext[None]) -> object:
        return (await context.wait_for_event("wait", "go")).event_data

    @engine.workflow("/fails", retries=0)
    async def fails(context: AsyncWorkflowContext[bool]) -> int:
        await context.run("before", lambda: 1)
        if FAILING:
            raise ValueError("no")
        return 1

    return engine


FAILING: list[int] = []


@pytest.fixture
def engine():
    with make() as engine:
        yield engine


def test_a_script_runs_workflows(engine) -> None:
    assert engine.run_sync("/double", 4) == 8
    run = engine.sync_client.trigger("/waits", label="first")
    assert isinstance(run, RunHandle)
    told(run, "STEP_WAITING")
    client = engine.sync_client
    assert [w.workflow_run_id for w in client.get_waiters("go")] == [run.run_id]
    assert [log.workflow_run_id for log in client.logs(label="first")] == [run.run_id]
    assert client.log(run.run_id).state == run.log().state == "RUN_STARTED"
    assert len(client.notify("go", {"a": 1})) == 1
    assert client.handle(run.run_id).result() == {"a": 1}
    assert [entry.kind for entry in run.feed()][-1] == "RUN_SUCCESS"
    assert client.cancel(run.run_id) is run.cancel() is False
    assert client.trigger("/double", 1, workflow_run_id=run.run_id).deduplicated
    with pytest.raises(NotFound):
        client.handle("wfr_none").status()


def test_dead_letters(engine) -> None:
    FAILING.append(1)
    for _ in range(3):
        with pytest.raises(RunFailed):
            engine.run_sync("/fails")
    FAILING.clear()
    dlq = engine.sync_client.dlq
    assert isinstance(dlq, DeadLetters)
    first, second, third = dlq.list()
    assert dlq.get(first.dlq_id).failure["error"] == "ValueError"
    assert dlq.restart(first.dlq_id).result() == 1
    assert dlq.resume(second.dlq_id, label="again").result() == 1
    dlq.delete(third.dlq_id)
    assert dlq.list() == []


def test_a_feed_that_is_left_early_is_closed(engine) -> None:
    run = engine.sync_client.trigger("/waits")
    for entry in run.feed():
        assert entry.kind == "RUN_STARTED"
        break
    run.cancel()
    assert engine.run_sync("/double", 1) == 2


async def test_inside_a_running_loop(engine) -> None:
    """As in a cell of a notebook: without await, and with it on a loop that is not the engine's."""
    assert engine.run_sync("/double", 1) == 2
    assert await engine.run("/double", 2) == 4
    run = await engine.client.trigger("/waits")
    asyncio.get_running_loop().call_soon(lambda: engine.sync_client.notify("go", 3))
    assert await run.result() == 3
    assert [entry.kind async for entry in run.feed()][-1] == "RUN_SUCCESS"
    assert await engine.client.trigger_many([{"workflow": "/double", "body": 1}])


async def test_waiting_for_a_run_from_another_loop_can_be_given_up(engine) -> None:
    run = await engine.client.trigger("/waits")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await run.result()
    assert await run.status() == "RUN_STARTED"


async def test_a_sync_call_on_the_engines_own_loop_is_refused() -> None:
    async with make() as engine:
        with pytest.raises(StateError) as raised:
            engine.run_sync("/double", 1)
        assert raised.value.code == "WA112"
        assert await asyncio.to_thread(engine.run_sync, "/double", 1) == 2


def test_a_sync_call_on_the_private_loop_is_refused(engine) -> None:
    @engine.workflow("/calls")
    async def calls(context: AsyncWorkflowContext[None]) -> str:
        def ask() -> int:
            return engine.run_sync("/double", 2)

        async def ask_on_the_loop() -> str:
            with pytest.raises(StateError) as raised:
                ask()
            return raised.value.code

        assert await context.run("in a thread", ask) == 4
        return await context.run("on the loop", ask_on_the_loop)

    assert engine.run_sync(calls) == "WA112"


def test_an_engine_whose_loop_has_ended_says_so() -> None:
    engine = make()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(engine.start())
    with pytest.raises(StoreError, match="WA111") as raised:
        engine.run_sync("/double", 1)
    assert "at rest" in raised.value.found[0]
    loop.run_until_complete(engine.stop())
    loop.close()


def test_an_engine_that_was_not_started_says_so() -> None:
    with pytest.raises(StoreError, match="WA111"):
        make().run_sync("/double", 1)


def test_opened_closed_and_opened_again(tmp_path) -> None:
    engine = make(str(tmp_path / "w.db")).open()
    run = engine.sync_client.trigger("/waits")
    told(run, "STEP_WAITING")
    with pytest.raises(StateError, match="WA608"):
        engine.open()
    engine.close()
    engine.close()
    with engine:
        engine.sync_client.notify("go", 1)
        assert run.result() == 1


def test_many_threads_share_one_client(engine) -> None:
    with ThreadPoolExecutor(16) as pool:
        doubled = pool.map(lambda n: engine.run_sync("/double", n), range(100))
        assert [*doubled] == [2 * n for n in range(100)]


def test_what_runs_on_the_loop_sees_nothing_of_the_caller() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("v", default="unset")
    engine = make()

    @engine.workflow("/sees")
    async def sees(context: AsyncWorkflowContext[None]) -> str:
        return await context.run("get", variable.get)

    variable.set("of the caller")
    with engine:
        assert engine.run_sync(sees) == "unset"


def test_a_client_is_made_of_what_an_async_client_is_made_of(engine) -> None:
    assert Client(AsyncClient(engine.client._backend)).run("/double", 3) == 6
    with pytest.raises(ConfigurationError):
        Client(3)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """As in a terminal: a process that was started in the background ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_ends_the_waiting_and_not_the_run(engine, interruptible) -> None:
    run = engine.sync_client.trigger("/waits")
    told(run, "STEP_WAITING")
    threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        run.result()
    engine.sync_client.notify("go", 5)
    assert run.result() == 5


@pytest.mark.parametrize("ending", ["", "engine.close()", "raise SystemExit(0)"])
def test_a_script_ends_without_being_held_up(tmp_path, ending) -> None:
    """With an open engine and a run that waits, the process ends at once."""
    script = textwrap.dedent(
        f"""
        from workflow_agents import Engine, WorkflowContext
        engine = Engine({str(tmp_path / "w.db")!r})
        @engine.workflow("/w")
        def w(context: WorkflowContext) -> int:
            context.run("first", lambda: 1)
            context.wait_for_event("wait", "never")
        engine.open()
        run = engine.sync_client.trigger(w)
        for entry in run.feed():
            if entry.kind == "STEP_WAITING":
                break
        print("waits", flush=True)
        {ending}
        """
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr, done.returncode) == ("waits\n", "", 0)
    with make(str(tmp_path / "w.db")) as engine:
        (log,) = engine.sync_client.logs()
        assert log.state == "RUN_STARTED"


def test_a_script_that_ends_on_a_slow_disk_loses_no_attempt(tmp_path) -> None:
    """Thread pools close before exit handlers are called; the engine closes before both."""
    script = textwrap.dedent(
        f"""
        import asyncio, threading
        from workflow_agents import AsyncWorkflowContext, Engine
        from workflow_agents.store import commits
        commits._SLOW_COMMIT_S = -1.0  # every commit goes to the writer's thread
        engine = Engine({str(tmp_path / "w.db")!r})
        begun = threading.Event()
        @engine.workflow("/w", retries=0)
        async def w(context: AsyncWorkflowContext) -> None:
            while True:
                await context.run("step", begun.set)
        engine.open()
        engine.sync_client.trigger(w, workflow_run_id="wfr_busy")
        begun.wait(30)
        """
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60
    )
    assert (done.stderr, done.returncode) == ("", 0)
    with make(str(tmp_path / "w.db")) as engine:
        log = engine.sync_client.log("wfr_busy")
        assert log.state == "RUN_STARTED"
        assert all(step.state == "STEP_SUCCESS" for step in log.steps)


def test_a_forked_process_is_told(engine) -> None:
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            engine.run_sync("/double", 1)
            os.write(write, b"it ran")
        except BaseException as error:
            os.write(write, getattr(error, "code", repr(error)).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 100) == b"WA111"
    os.close(read)
    os.close(write)
