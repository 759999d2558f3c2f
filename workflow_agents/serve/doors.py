"""What the `Serve` of every web framework has in common; knows no framework.

A framework's own room says how a path is mounted, how its request is read and how it answers.
Where it has an event loop of its own, the engine turns on that (`AwaitedDoor`); else on one in the
background (`BackgroundDoor`).
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, Unpack

from workflow_agents.client import AsyncClient
from workflow_agents.errors import WorkflowAgentsError
from workflow_agents.serve.endpoint import Request, Response, failed
from workflow_agents.serve.many import Member, members
from workflow_agents.serve.options import RouteOptions, ServedFunction
from workflow_agents.serve.routes import Answering, Hooks, Route, Routes, check_route, ensure_open
from workflow_agents.serve.serve import Engine
from workflow_agents.serve.workflow import Workflow
from workflow_agents.sync.client import Client
from workflow_agents.sync.loop_thread import LOOP_THREAD


class Door:
    """Serves workflows at paths of an app.

    Args:
        engine: keeps the runs, whatever the environment says; default: one with default options,
            or the QStash server that QSTASH_TOKEN names.
        store: the path of the store, where no engine is given; it is kept there then, too.

    Raises:
        ConfigurationError: WA106, QSTASH_URL is set without QSTASH_TOKEN.
    """

    _decorator = "@serve.post(...)"

    def __init__(self, engine: Engine | None, store: str | None) -> None:
        self._routes = Routes(engine, store)

    @property
    def engine(self) -> Engine:
        """The embedded engine. Where a QStash server keeps the runs, it is not started."""
        return self._routes.engine

    def post(
        self, path: str, **options: Unpack[RouteOptions]
    ) -> Callable[[ServedFunction], Workflow]:
        """Serve a function as a workflow at `POST path`.

        A request starts a run with its body as the payload, and is answered with the run's id
        when the function asks for its first step:

        ```json
        {"workflowRunId": "wfr_V1StGXR8_Z5jdHi6B-myT", "finishCondition": "success"}
        ```

        Args:
            path: of the route; stored runs find their code by it.
            options: see `RouteOptions`.

        Raises:
            ConfigurationError: an option cannot be used.
        """
        check_route(path, options, self._decorator)
        return lambda function: self._serve(path, function, options)

    def many(
        self, path: str, workflows: Mapping[str, Member], **options: Unpack[RouteOptions]
    ) -> dict[str, Workflow]:
        """Serve several workflows at `POST path/name`; see `create_workflow`.

        Those that `create_workflow` made invoke each other as objects, all of them by their names:
        `context.invoke("ship", "shipping")` finds what is served beside the workflow itself.

        Args:
            path: what their paths begin with.
            workflows: by their names.
            options: see `RouteOptions`; a workflow's own options come first.

        Returns:
            What is served, by name.

        Raises:
            ConfigurationError: a name or an option cannot be used.
        """
        check_route(path, options, "serve.many(...)")
        served: dict[str, Workflow] = {}
        for name, at, function, own in members(path, workflows, options, "serve.many(...)"):
            served[name] = self._serve(at, function, own)
        return served

    def _serve(self, path: str, function: ServedFunction, options: RouteOptions) -> Workflow:
        failure_function = options.get("failure_function")
        if callable(failure_function):
            options = {**options, "failure_function": self._prepared(failure_function)}
        route = self._routes.add(path, self._prepared(function), options)
        self._mount(path, route)
        return route.workflow

    def _prepared(self, function: Any) -> Any:
        """The function as it has to be called within this framework."""
        return function

    def _mount(self, path: str, route: Route) -> None:
        """Let the app answer `POST path` by the route."""
        raise NotImplementedError


class AwaitedDoor(Door):
    """The door of a framework with an event loop; the engine turns on that one."""

    def __init__(self, engine: Engine | None, store: str | None) -> None:
        super().__init__(engine, store)
        self._starting = asyncio.Lock()

    @property
    def client(self) -> AsyncClient:
        """Starts runs and follows them."""
        return self._routes.client

    async def _answered(
        self,
        route: Answering,
        content_length: str | None,
        read: Callable[[], Awaitable[Request]],
    ) -> Response:
        """The answer to a request, which is read where it is not too large."""
        if route.needs_engine:
            await self._ensure_started()
        refused = route.too_large(content_length)
        return refused or await route.answer(await read())

    async def _ensure_started(self) -> None:
        """An app whose lifespan is not run starts the engine with its first request."""
        if not self.engine.running:
            async with self._starting:
                if not self.engine.running:
                    await self.engine.start()

    def _hooks(self) -> Hooks:
        return Hooks(self.engine)

    @contextlib.asynccontextmanager
    async def _running(self) -> AsyncGenerator[None]:
        """While the app runs, so does the engine."""
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._routes.close_connections)
            if self._routes.embedded:
                await stack.enter_async_context(self.engine)
            yield


class BackgroundDoor(Door):
    """The door of a framework whose functions wait; the engine turns in the background."""

    @property
    def client(self) -> Client:
        """Starts runs and follows them; `serve.engine.client` is the one to be awaited."""
        return self.engine.sync_client if self._routes.embedded else Client(self._routes.client)

    def start(self) -> None:
        """Start the engine before the first request comes, so that stored runs go on at once.

        Raises:
            StoreError: the store cannot be used; WA601: another process has it.
        """
        if self._routes.embedded:
            ensure_open(self.engine)

    def stop(self) -> None:
        """Park every run and close the store; done anyway when the process ends."""
        if self._routes.embedded:
            self.engine.close()
        LOOP_THREAD.wait(self._routes.close_connections())

    def _answered(
        self, route: Answering, content_length: str | None, read: Callable[[], Request]
    ) -> Response:
        """The answer to a request, which is read where it is not too large."""
        try:
            if route.needs_engine:
                ensure_open(self.engine)
            refused = route.too_large(content_length)
            return refused or LOOP_THREAD.wait(route.answer(read()))
        except WorkflowAgentsError as error:
            return failed(error)

    def _hooks(self) -> Hooks:
        return Hooks(self.engine)
