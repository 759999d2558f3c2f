"""The embedded engine as users hold it, and the workflows that are served on it.

This is the one room of the SDK side that knows the engine: it hands it the functions to call,
and hands its Journal to their invocations.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from contextvars import Context
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Unpack, get_args

from workflow_agents import config
from workflow_agents.client import AsyncClient
from workflow_agents.clock import Clock, SystemClock
from workflow_agents.context.branches import install
from workflow_agents.core.bad_options import names_options, wrong_option
from workflow_agents.core.limits import Limits
from workflow_agents.core.options import RunOptions
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.engine.http_client import AiohttpOut
from workflow_agents.engine.in_process import InProcess
from workflow_agents.errors import StoreError
from workflow_agents.protocol.times import duration_ms
from workflow_agents.serve.hand_over import OnItsLoop, hand_over
from workflow_agents.serve.options import ServedFunction, WorkflowOptions, check_names
from workflow_agents.serve.workflow import Workflow
from workflow_agents.store.sqlite import SqliteStore, Synchronous

if TYPE_CHECKING:
    from workflow_agents.engine.http_out import HttpOut
    from workflow_agents.serve.agents import ServedAgent
    from workflow_agents.serve.endpoint import Accepting
    from workflow_agents.sync.client import Client


class Engine:
    """The embedded engine: durable workflows in this process, on one SQLite file.

    ```python
    engine = Engine("shop.db")

    @engine.workflow("/checkout")
    async def checkout(context: AsyncWorkflowContext[dict]) -> str:
        return await context.run("charge", charge)

    async with engine:
        run = await engine.client.trigger(checkout, {"order": 7})
        print(await run.result())
    ```

    Without await, in scripts and notebooks, it turns on a loop in the background:

    ```python
    with engine:
        print(engine.run_sync(checkout, {"order": 7}))
    ```

    Args:
        path: of the store; default: WORKFLOW_AGENTS_STORE, or `.workflow_agents/workflows.db`.
            ":memory:" keeps nothing when the process ends.
        synchronous: "FULL" survives power loss; "NORMAL" only the end of the process.
        retention: how long ended runs are kept, such as "30d"; default: for ever.
        limits: sizes and numbers that are refused.
        base_url: what webhook addresses begin with; default: UPSTASH_WORKFLOW_URL.
        keep: how long the task of a waiting run is kept for what may come soon.
        clock: tells the time; for tests.
        http: makes the requests of `context.call`; for tests.
        seed: of the ids; for tests.
        store: in place of a file; for tests.
        environment: the variables that secrets name, and `context.env`; for tests. Default: those
            of the process.

    Attributes:
        client: starts and follows runs; it may be awaited on any loop.
    """

    @names_options
    def __init__(
        self,
        path: str | None = None,
        *,
        synchronous: Synchronous = "FULL",
        retention: str | int | float | None = None,
        limits: Limits | None = None,
        base_url: str | None = None,
        keep: str | int | float = 10,
        call_timeout: str | int | float = "2h",
        clock: Clock | None = None,
        http: "HttpOut | None" = None,
        seed: int | None = None,
        store: SqliteStore | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        _check_engine_options(path, synchronous, limits)
        limits = limits or Limits()
        self.path = path or config.store_path()
        self._limits = limits
        self._environment = environment
        self._workflows: dict[str, Workflow] = {}
        self._fixed_url = base_url or config.public_url()
        self._engine = DurableEngine(
            store or SqliteStore(self.path, synchronous=synchronous),
            clock=clock or SystemClock(),
            random_bytes=os.urandom if seed is None else _seeded(seed),
            http=http or AiohttpOut(limits.result_bytes),
            environment=config.variable if environment is None else environment.get,
            path=self.path,
            limits=limits,
            keep_ms=duration_ms(keep),
            call_timeout_ms=duration_ms(call_timeout),
            retention_ms=None if retention is None else duration_ms(retention),
            inline=self.path == ":memory:" or store is not None,
            base_url=self._fixed_url or "http://localhost:8000",
        )
        self._process = 0
        self._agents: dict[str, ServedAgent] = {}
        backend: Any = OnItsLoop(InProcess(self._engine), lambda: self.loop)
        self.client: AsyncClient = _EngineClient(self, backend)

    @cached_property
    def sync_client(self) -> "Client":
        """The same as `client`, without await."""
        from workflow_agents.sync.client import Client

        return Client(self.client)

    @property
    def core(self) -> DurableEngine:
        """The engine itself, for those who build on it."""
        return self._engine

    @property
    def limits(self) -> Limits:
        """Sizes and numbers that are refused."""
        return self._limits

    @property
    def workflows(self) -> Mapping[str, Workflow]:
        """What is served, by path."""
        return self._workflows

    @property
    def running(self) -> bool:
        """Whether it was started."""
        return self._engine.running

    @property
    def is_of_this_process(self) -> bool:
        """Whether this process has started it, and not the one from which it was forked."""
        return self._process == os.getpid()

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop that it turns on; None while it is at rest.

        Raises:
            StoreError: WA111, it was started by the process from which this one was forked.
        """
        if not self._engine.running:
            return None
        if not self.is_of_this_process:
            raise StoreError(
                "WA111",
                found=f"expected process {self._process}, which started it, found a fork of it",
                why="a forked process has none of the threads, and must not share the store",
                fix=("start the engine after the fork", "serve with one process"),
            )
        return self._engine.loop

    def workflow(
        self, path: str, **options: Unpack[WorkflowOptions]
    ) -> Callable[[ServedFunction], Workflow]:
        """Serve a function under a path; see `add` for the options."""

        def decorate(function: ServedFunction) -> Workflow:
            return self.add(path, function, **options)

        return decorate

    def add(
        self, path: str, function: ServedFunction, **options: Unpack[WorkflowOptions]
    ) -> Workflow:
        """Serve a function under a path.

        Args:
            path: names the workflow; stored runs find their code by it.
            function: takes the context: an async function an `AsyncWorkflowContext`, a plain
                one a `WorkflowContext`.
            options: see `WorkflowOptions`.

        Raises:
            ConfigurationError: an option cannot be used; nothing is served.
        """
        check_names(options, WorkflowOptions, "Engine.add(...)")
        if options.get("env") is None and self._environment is not None:
            options["env"] = self._environment
        return self.include(Workflow(path, function, limits=self._limits, **options))

    def include(self, workflow: Workflow) -> Workflow:
        """Serve a workflow that was made for another engine, under its own path.

        Raises:
            ConfigurationError: WA110, something is served there.
        """
        self._engine.serve(OnEngine(workflow, self._engine))
        self._workflows[workflow.path] = workflow
        return workflow

    def add_agent(self, agent: Any, **options: Any) -> "ServedAgent":
        """Serve an agent as a workflow of its own, `/agents/<name>`; see `add` for the options.

        `run` does this where it was not done. After a crash it lets the agent's runs go on. An
        agent of the same name takes the place of the one before.

        Raises:
            ConfigurationError: WA107, it is no agent; or an option cannot be used.
        """
        from workflow_agents.serve.agents import ServedAgent

        served = ServedAgent(agent)
        known = self._agents.get(served.path)
        if known is not None and not options:
            known.agent = agent
            return known
        self.add(served.path, served.do_task, **options)
        self._agents[served.path] = served
        return served

    async def run(self, workflow: Any, body: Any = None, **options: Any) -> Any:
        """Start a run of a workflow or an agent and wait for its result.

        Args:
            workflow: a workflow, its path, or an `Agent`.
            body: the payload; for an agent its prompt.
            options: those of `client.trigger`.

        Returns:
            What the function returned, as JSON gives it back; of an agent a `TaskResult`.

        Raises:
            RunFailed: it failed or was cancelled.
        """
        return await self.client.run(workflow, body, **options)

    def run_sync(self, workflow: Any, body: Any = None, **options: Any) -> Any:
        """The same without await; also inside a running loop, which stands still meanwhile.

        An interrupt (Ctrl-C) ends the waiting and not the run.
        """
        return self.sync_client.run(workflow, body, **options)

    def open(self) -> "Engine":
        """Start it without await, on a loop in the background; it is closed with the process.

        Raises:
            StoreError: the store cannot be used.
        """
        from workflow_agents.sync.loop_thread import BLOCKED, LOOP_THREAD

        async def start() -> None:
            # What it starts waits for nobody.
            BLOCKED.set(None)
            await self.start()

        LOOP_THREAD.wait(start())
        _close_at_exit()
        _opened.add(self)
        return self

    def close(self) -> None:
        """Park every run and close the store, without await. Nothing is lost."""
        from workflow_agents.sync.loop_thread import LOOP_THREAD

        _opened.discard(self)
        LOOP_THREAD.wait(self.stop())

    def __enter__(self) -> "Engine":
        """Open it."""
        return self.open()

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    async def start(self) -> None:
        """Take the store into possession and go on with every run that it holds.

        Raises:
            StoreError: the store cannot be used.
        """
        self._process = os.getpid()
        install(asyncio.get_running_loop())
        await self._engine.start()

    async def stop(self) -> None:
        """Park every run and close the store. Nothing is lost."""
        loop = self.loop
        await hand_over(self._engine.stop(), loop if loop and loop.is_running() else None)

    async def __aenter__(self) -> "Engine":
        """Start it."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop it."""
        await self.stop()

    async def trigger_run(self, path: str, body: bytes, options: RunOptions) -> str:
        """See `endpoint.Starter`."""
        self._engine.ensure_running()
        return (await self._engine.intake.trigger(path, body, options)).run_id

    def accept_run(self, path: str, body: bytes, options: RunOptions) -> "Accepting":
        """See `endpoint.Starter`."""
        self._engine.ensure_running()
        return self._engine.accept(path, body, options)

    async def receive_webhook(self, run_id: str, event_id: str, request: dict[str, Any]) -> None:
        """A webhook of a run was called; `request` is what its wait returns.

        Raises:
            NotFound: WA606, no such run.
        """
        self._engine.ensure_running()
        await self._engine.intake.receive_webhook(run_id, event_id, request)

    def seen_at(self, origin: str) -> None:
        """Webhook addresses begin with this, unless something else was asked for."""
        if self._fixed_url is None:
            self._engine.base_url = origin


_opened: set[Engine] = set()


@cache
def _close_at_exit() -> None:
    from workflow_agents.sync.loop_thread import at_exit

    at_exit(_close_opened)


def _close_opened() -> None:
    for engine in [*_opened]:
        # Those that a fork has from the process before it are not its own to close.
        if engine.is_of_this_process:
            engine.close()


class _EngineClient(AsyncClient):
    """The client of an engine: an agent that it is given is served there."""

    def __init__(self, engine: Engine, backend: Any) -> None:
        super().__init__(backend)
        self._engine = engine

    def _served(self, workflow: Any) -> Any:
        if isinstance(workflow, str) or hasattr(workflow, "path"):
            return workflow
        return self._engine.add_agent(workflow)


def _seeded(seed: int) -> Callable[[int], bytes]:
    import random

    return random.Random(seed).randbytes  # noqa: S311  # for tests


def _check_engine_options(path: object, synchronous: object, limits: object) -> None:
    if path is not None and (not isinstance(path, str) or not path):
        raise wrong_option("path", "the path of a file as text, or ':memory:'", path)
    if synchronous not in get_args(Synchronous):
        raise wrong_option("synchronous", f"one of {get_args(Synchronous)}", synchronous)
    if limits is not None and not isinstance(limits, Limits):
        raise wrong_option("limits", "a Limits", limits)


class OnEngine:
    """A workflow as the engine asks for it: `engine.served.Served`.

    Attributes:
        workflow: itself, for whoever shows what it is.
    """

    def __init__(self, workflow: Workflow, engine: DurableEngine) -> None:
        self.workflow = workflow
        self._engine = engine
        self.path = workflow.path
        self.options = workflow.options
        self.has_failure_function = workflow.has_failure_function

    def invoke(
        self, run: Any, options: Any, history: Any, journal: Any, keeper: Any, gate: Any
    ) -> Any:
        """See `Served.invoke`."""
        task_context: Context = self._engine.fresh_context()
        return self.workflow.invoke(
            run, options, history, journal, keeper, gate=gate, task_context=task_context
        )

    async def on_failure(self, run: Any, options: Any, failure: dict[str, Any]) -> Any:
        """See `Served.on_failure`."""
        nobody: Any = None
        return await self.workflow.on_failure(run, options, failure, journal=nobody, keeper=nobody)
