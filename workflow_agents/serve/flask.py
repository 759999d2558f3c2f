"""Flask: its requests to ours, our answers to its, and the engine on a loop in the background.

Flask tells nobody when it starts or ends. So the engine starts with the app's first request, or
with `serve.start()`, and is closed when the process ends.
"""

import functools
import inspect
import logging
from collections.abc import Callable
from typing import Any, Unpack, cast

import flask

from workflow_agents import config
from workflow_agents.core.bad_options import names_options, wrong_option
from workflow_agents.errors import WorkflowAgentsError
from workflow_agents.serve.endpoint import Request, Response, failed
from workflow_agents.serve.routes import (
    HOOK_METHODS,
    RouteOptions,
    Routes,
    check_route,
    ensure_open,
    receive_webhook,
    too_large,
)
from workflow_agents.serve.serve import Engine
from workflow_agents.serve.workflow import ServedFunction, Workflow
from workflow_agents.sync.client import Client
from workflow_agents.sync.loop_thread import LOOP_THREAD

logger = logging.getLogger(__name__)

HOOK_PATH = "/v2/workflows/hooks/<user>/<run_id>/<path:event_id>"


class Serve:
    """Serves workflows as routes of a Flask app.

    ```python
    app = Flask(__name__)
    serve = Serve(app)

    @serve.route("/orders")
    def orders(context: WorkflowContext[Order]) -> str: ...
    ```

    The engine is embedded, on one SQLite file: the app is to be served by one process, with as
    many threads as it likes. Workflow functions run in the app's context, so that `current_app`
    and extensions work; async functions are served too.

    Args:
        app: gets a route for each workflow, and one for webhooks.
        engine: in place of one with default options.
        store: the path of the store, where no engine is given.


    Raises:
        ConfigurationError: WA106, QSTASH_URL is set without QSTASH_TOKEN.
    """

    @names_options
    def __init__(
        self, app: flask.Flask, *, engine: Engine | None = None, store: str | None = None
    ) -> None:
        if not isinstance(app, flask.Flask):  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
            raise wrong_option("app", "a Flask app", app)
        self._routes = Routes(engine, store)
        self._app = app
        if self._routes.embedded:
            app.before_request(self._try_to_start)
            app.add_url_rule(
                HOOK_PATH,
                endpoint="workflow_webhook",
                view_func=self._receive_webhook,
                methods=HOOK_METHODS,
            )

    @property
    def engine(self) -> Engine:
        """The embedded engine. Where a QStash server keeps the runs, it is not started."""
        return self._routes.engine

    @property
    def client(self) -> Client:
        """Starts runs and follows them; `serve.engine.client` is the one to be awaited."""
        return self.engine.sync_client if self._routes.embedded else Client(self._routes.client)

    def start(self) -> None:
        """Start the engine before the first request comes, so that stored runs go on at once.

        Call it where the server starts. It does nothing in the process of `flask run --debug`
        that only watches for changed files: the one that serves has to own the store.

        Raises:
            StoreError: the store cannot be used; WA601: another process has it.
        """
        if self._routes.embedded and not config.only_reloads():
            ensure_open(self.engine)

    def stop(self) -> None:
        """Park every run and close the store; done anyway when the process ends."""
        if self._routes.embedded:
            self.engine.close()
        LOOP_THREAD.wait(self._routes.close_connections())

    def route(
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
        check_route(path, options, "@serve.route(...)")
        failure_function = options.get("failure_function")
        if callable(failure_function):
            options["failure_function"] = self._in_app(failure_function)

        def decorate(function: ServedFunction) -> Workflow:
            route = self._routes.add(path, self._in_app(function), options)

            def view() -> flask.Response:
                return self._answered(
                    lambda: LOOP_THREAD.wait(route.answer(_seen())),
                    route.too_large,
                    needs_engine=route.needs_engine,
                )

            name = route.workflow.__name__
            if name in self._app.view_functions:
                name = f"{name} at {path}"
            self._app.add_url_rule(path, endpoint=name, view_func=view, methods=["POST"])
            return route.workflow

        return decorate

    def _receive_webhook(self, user: str, run_id: str, event_id: str) -> flask.Response:
        del user  # there is one
        return self._answered(
            lambda: LOOP_THREAD.wait(receive_webhook(self.engine, run_id, event_id, _seen())),
            functools.partial(too_large, self.engine.limits.payload_bytes),
            needs_engine=True,
        )

    def _answered(
        self,
        answer: Callable[[], Response],
        too_large: Callable[[str | None], Response | None],
        *,
        needs_engine: bool,
    ) -> flask.Response:
        try:
            if needs_engine:
                ensure_open(self.engine)
            response = too_large(flask.request.headers.get("content-length"))
            response = answer() if response is None else response
        except WorkflowAgentsError as error:
            response = failed(error)
        answered = flask.jsonify(response.data)
        answered.status_code = response.status
        answered.headers.update(response.headers)
        return answered

    def _try_to_start(self) -> None:
        """With a request for anything. Where it fails, requests for workflows say so."""
        try:
            ensure_open(self.engine)
        except WorkflowAgentsError as error:
            logger.warning("the engine cannot start: %s", error)

    def _in_app(self, function: Any) -> Any:
        """The function in the app's context; what it is annotated with stays to be seen."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: Any) -> Any:
                with self._app.app_context():
                    return await function(*args)

            return awaited
        if not callable(function) or inspect.isgeneratorfunction(function):
            return function

        @functools.wraps(cast("Callable[..., Any]", function))
        def called(*args: Any) -> Any:
            with self._app.app_context():
                return function(*args)

        return called


def _seen() -> Request:
    request = flask.request
    return Request(request.url, request.headers.items(), request.get_data(), request.method)
