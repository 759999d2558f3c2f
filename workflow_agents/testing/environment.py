"""A place to try workflows in: an engine of its own, time that jumps, a world that is made up.

    async with WorkflowEnvironment() as env:
        env.http.on("POST", "https://bank.example/charges", {"id": "ch_1"})
        assert await env.run(checkout, {"order": 7}) == "paid"     # thirty days in a moment

It needs no test runner. Everything happens on the loop that is running; only time is virtual,
see `skipping`. Nothing is kept between waits: each one ends the invocation, and the run
replays from the top, so that code which does not do the same each time is found out.
"""

import asyncio
import base64
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Self, TypeVar, cast

from workflow_agents import config
from workflow_agents.client import AsyncClient, AsyncRunHandle
from workflow_agents.context.context import Duration, WorkflowFunction
from workflow_agents.context.invocation import Invocation
from workflow_agents.core.checks import checked_event_id
from workflow_agents.core.lifecycle import is_ended
from workflow_agents.core.limits import Limits
from workflow_agents.core.logs import RunLog
from workflow_agents.core.step_logs import StepLog
from workflow_agents.errors import ConfigurationError, StateError
from workflow_agents.protocol.results import NotifiedWaiter
from workflow_agents.protocol.times import duration_ms
from workflow_agents.serve.serve import Engine
from workflow_agents.serve.workflow import Workflow
from workflow_agents.store.sqlite import SqliteStore
from workflow_agents.testing.fake_http import FakeHttp
from workflow_agents.testing.skipping import Skipping, SkippingBackend
from workflow_agents.testing.virtual_time import VirtualClock, VirtualTime

T = TypeVar("T")

PROVIDER_KEYS = {"OPENAI_API_KEY": "key-for-tests", "ANTHROPIC_API_KEY": "key-for-tests"}
"""What an environment knows where it is given nothing: keys that open nothing."""

_PROVIDERS = ("https://api.openai.com/v1", "https://api.anthropic.com/v1")


class WorkflowEnvironment:
    """An engine of a test's own, on virtual time, in a world that is made up.

    Args:
        served: what to serve: workflows, or the `Engine` or `Serve` of an app for all of its.
            More with `add` and `include`.
        http: the world; default: one of its own, in which no request is expected.
        model: a started `ScriptedModel`, which gets what is sent to OpenAI, to Anthropic, or to
            OPENAI_BASE_URL.
        environment: the variables that secrets name, and `context.env`. Default: made-up keys of
            providers. Those of the process are not seen.
        store: a path, where something is to be left on the disk.
        limits: sizes and numbers that are refused.
        seed: of the engine's ids.
        time: the virtual time; default: its own, which begins on 2026-01-01, UTC.

    Attributes:
        engine: the engine; its client lets time jump too.
        http: the world.
        clock: the engine's; it can be set wrong.
    """

    def __init__(
        self,
        *served: Any,
        http: FakeHttp | None = None,
        model: Any = None,
        environment: Mapping[str, str] | None = None,
        store: str | SqliteStore = ":memory:",
        limits: Limits | None = None,
        seed: int = 0,
        time: VirtualTime | None = None,
    ) -> None:
        self.http = FakeHttp() if http is None else http
        self._time = time or VirtualTime()
        self.clock = VirtualClock(self._time)
        self._environment = dict(PROVIDER_KEYS if environment is None else environment)
        self.engine = Engine(
            store if isinstance(store, str) else ":memory:",
            clock=self.clock,
            http=self.http,
            seed=seed,
            keep=0,
            limits=limits,
            store=None if isinstance(store, str) else store,
            base_url="http://localhost:8000",
            environment=self._environment,
        )
        self._skipping = Skipping(self.engine.core, self._time)
        self._skipping.check = self.http.check
        self.engine.client = AsyncClient(SkippingBackend(self.engine.core, self._skipping))
        self.invocation_type: type[Invocation] = Invocation
        if model is not None:
            for url in (*_PROVIDERS, config.openai_base_url()):
                self.http.lead(url, model.base_url)
        for one in served:
            self.include(one)

    # What is served.

    def add(self, path: str, function: WorkflowFunction, **options: Any) -> Workflow:
        """Serve an async function under a path; options as `Engine.add`."""
        workflow = self.engine.add(path, function, **options)
        workflow.invocation_type = self.invocation_type
        return workflow

    def include(self, served: Any) -> None:
        """Serve a workflow, or all of an `Engine` or a `Serve`, at their paths.

        A plain async function is served under its name: "/checkout".
        """
        for workflow in workflows_of(served):
            self.engine.include(
                workflow.variant(invocation_type=self.invocation_type, env=self._environment)
            )

    def workflow(self, path: str, **options: Any) -> Callable[[WorkflowFunction], Workflow]:
        """Serve the decorated function; options as `Engine.add`."""
        return lambda function: self.add(path, function, **options)

    # Its life.

    async def start(self) -> Self:
        """Start the engine, unless it runs; every method that waits does it by itself.

        Raises:
            StateError: WA608, it was started in another loop.
        """
        core = self.engine.core
        if not core.running:
            await self.engine.start()
        elif core.loop is not asyncio.get_running_loop():
            raise StateError(
                "WA608",
                "the environment belongs to another event loop",
                found="expected the loop that it was started in, found another one",
                why="a test that is not async has called asyncio.run more than once",
                fix=("one asyncio.run(main()) for all of the test", "run_workflow(...)"),
            )
        return self

    async def stop(self) -> None:
        """Stop the engine.

        Raises:
            UnexpectedRequest: a request was sent that no reply is set for.
        """
        await self.engine.stop()
        self.http.check()

    def abandon(self) -> None:
        """Stop where nothing can be awaited: after a test, when its loop may be closed."""
        core = self.engine.core
        if not core.running:
            return
        core.running = False
        if not core.loop.is_closed():
            for live in [*core.live.values()]:
                live.close()
        core.store.close()

    async def __aenter__(self) -> Self:
        """Start it."""
        return await self.start()

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        """Stop it; what the test has raised goes before what it has forgotten."""
        await self.engine.stop()
        if error is None:
            self.http.check()

    # Runs.

    @property
    def client(self) -> AsyncClient:
        """Starts and follows runs; where it waits, time jumps."""
        return self.engine.client

    async def trigger(self, workflow: Any, body: Any = None, **options: Any) -> AsyncRunHandle:
        """Start a run; options as `AsyncClient.trigger`. A function is served first."""
        await self.start()
        return await self.client.trigger(self._served(workflow), body, **options)

    async def run(self, workflow: Any, body: Any = None, **options: Any) -> Any:
        """Start a run and return its result.

        Raises:
            RunFailed: it failed or was cancelled.
        """
        return await (await self.trigger(workflow, body, **options)).result()

    async def result(self, run: AsyncRunHandle | str) -> Any:
        """Wait for the end of a run, and return its result.

        Raises:
            RunFailed: it failed or was cancelled.
        """
        await self.start()
        return await self.client.handle(_id(run)).result()

    async def ended(self, run: AsyncRunHandle | str) -> RunLog:
        """Wait for the end of a run, whatever it is, and return the run with its steps."""
        await self.start()
        async for _ in self.client.handle(_id(run)).feed():
            pass
        return await self.log(run)

    async def log(self, run: AsyncRunHandle | str) -> RunLog:
        """A run and its steps, as they are now."""
        await self.start()
        return await self.client.log(_id(run))

    async def notify(
        self, event_id: str, event_data: Any = None, *, workflow_run_id: str | None = None
    ) -> list[NotifiedWaiter]:
        """Notify an event, as `AsyncClient.notify`, once nothing more happens at this time.

        So a run that was just triggered waits by then, if it is to wait at once.
        `env.client.notify` does not look.
        """
        await self.settle()
        return await self.client.notify(event_id, event_data, workflow_run_id=workflow_run_id)

    def when_waiting(self, event_id: str, event_data: Any = None) -> None:
        """From now on, whoever waits for the event is notified before time moves.

        `event_data` is what it is told, or a function without arguments that returns it.
        """
        self._skipping.answers[checked_event_id(event_id, "when_waiting")] = event_data

    async def post_webhook(self, url: str, body: Any = None, *, method: str = "POST") -> None:
        """Send a request to a webhook that a run has made."""
        await self.start()
        run_id, _, event_id = url.partition("/hooks/local/")[2].partition("/")
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        await self.engine.receive_webhook(
            run_id,
            event_id,
            {
                "method": method,
                "header": {"content-type": ["application/json"]},
                "body": base64.b64encode(content).decode(),
                "proto": "http",
                "host": "localhost:8000",
                "url": url.partition("localhost:8000")[2],
            },
        )

    # Time.

    @property
    def now(self) -> datetime:
        """The virtual time."""
        return datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC)

    async def advance(self, duration: Duration) -> None:
        """Let time pass, "3d", and all that is due meanwhile happen in its order."""
        await self.start()
        await self._skipping.advance(duration_ms(duration))

    async def settle(self) -> None:
        """Wait until nothing more happens at this time."""
        await self.start()
        await self._skipping.settle()

    async def until_waiting(
        self, run: AsyncRunHandle | str, *, event: str | None = None, step: str | None = None
    ) -> StepLog:
        """Let time pass until a run waits, and return the step that waits.

        Args:
            run: its handle or id.
            event: until it waits for this event; an invoked run does not count.
            step: until a step of this name waits.

        Raises:
            AssertionError: the run ended first.
        """
        await self.start()
        admin, what = self.engine.core.admin, f"the wait for {event or step or 'anything'!r}"

        def waits() -> StepLog | None:
            row = admin.find(_id(run))
            log = admin.log(row)
            for one in log.steps:
                if one.state in ("STEP_PROGRESS", "STEP_RETRY") and _is(one, event, step):
                    return one
            if is_ended(row.phase):
                raise AssertionError(_ended_before(log, what))
            return None

        return await self._skipping.until(waits, what)

    def _served(self, workflow: Any) -> Any:
        """What the client is to start; a function or a workflow that is new here is served."""
        if isinstance(workflow, str):
            return workflow
        (found,) = workflows_of(workflow)
        known = self.engine.workflows.get(found.path)
        if known is None or known.function is not found.function:
            # Refused with WA110 where another function is served there.
            self.include(found)
        return found.path


def workflows_of(served: Any) -> list[Workflow]:
    """The workflows that are meant: by themselves, as functions, or by who serves them.

    Raises:
        ConfigurationError: WA107, it is nothing of these.
    """
    if isinstance(served, Workflow):
        return [served]
    engine = getattr(served, "engine", served)
    if isinstance(engine, Engine):
        return [*engine.workflows.values()]
    if isinstance(served, Mapping):
        pairs = cast("Mapping[str, Any]", served).items()
        return [_at(path, one) for path, one in pairs]
    if isinstance(served, list | tuple | set):
        many = cast("Iterable[Any]", served)
        return [workflow for one in many for workflow in workflows_of(one)]
    if callable(served):
        return [_at(f"/{getattr(served, '__name__', 'workflow')}", served)]
    raise ConfigurationError(
        "WA107",
        "this is no workflow",
        where="what a test is to serve",
        found=f"expected a workflow, an async function, an Engine or a Serve, found {served!r}",
        fix=("WorkflowEnvironment(checkout)", "WorkflowEnvironment(serve)"),
    )


def _at(path: str, served: Any) -> Workflow:
    if isinstance(served, Workflow):
        other = served.variant()
        other.path = path
        return other
    return Workflow(path, served, limits=Limits())


def _id(run: AsyncRunHandle | str) -> str:
    return run if isinstance(run, str) else run.run_id


def _is(log: StepLog, event: str | None, step: str | None) -> bool:
    if step is not None and log.name != step:
        return False
    waits_for: Any = log.waits_for
    if event is None or not isinstance(waits_for, dict):
        return event is None
    return cast("Any", waits_for).get("eventId") == event


def _ended_before(log: RunLog, what: str) -> str:
    names = [f"{one.name!r} ({one.state})" for one in log.steps]
    return "\n".join(
        [
            f"run {log.workflow_run_id} ended as {log.state} before {what}",
            f"  steps  {', '.join(names) or 'none'}",
            f"  end    {log.failure or log.result!r}",
        ]
    )
