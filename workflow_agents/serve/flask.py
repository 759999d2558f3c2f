"""Flask: its requests to ours, our answers to its, and the engine on a loop in the background.

Flask tells nobody when it starts or ends. So the engine starts with the app's first request, or
with `serve.start()`, and is closed when the process ends.
"""

import functools
import inspect
import logging
from collections.abc import Callable
from typing import Any, cast

import flask

from workflow_agents import config
from workflow_agents.core.bad_options import names_options, wrong_option
from workflow_agents.errors import WorkflowAgentsError
from workflow_agents.serve.doors import BackgroundDoor
from workflow_agents.serve.endpoint import Request
from workflow_agents.serve.routes import HOOK_METHODS, HOOKS, Answering, Route, ensure_open
from workflow_agents.serve.serve import Engine

logger = logging.getLogger(__name__)


class Serve(BackgroundDoor):
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

    _decorator = "@serve.route(...)"

    @names_options
    def __init__(
        self, app: flask.Flask, *, engine: Engine | None = None, store: str | None = None
    ) -> None:
        if not isinstance(app, flask.Flask):  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
            raise wrong_option("app", "a Flask app", app)
        super().__init__(engine, store)
        self._app = app
        if self._routes.embedded:
            app.before_request(self._try_to_start)
            app.add_url_rule(
                f"{HOOKS}<user>/<run_id>/<path:event_id>",
                endpoint="workflow_webhook",
                view_func=self._view(self._hooks()),
                methods=HOOK_METHODS,
            )

    route = BackgroundDoor.post
    """The same as `post`, by the name that Flask's own decorator has."""

    def start(self) -> None:
        """Start the engine before the first request comes, so that stored runs go on at once.

        Call it where the server starts. It does nothing in the process of `flask run --debug`
        that only watches for changed files: the one that serves has to own the store.

        Raises:
            StoreError: the store cannot be used; WA601: another process has it.
        """
        if not config.only_reloads():
            super().start()

    def _mount(self, path: str, route: Route) -> None:
        name = route.workflow.__name__
        if name in self._app.view_functions:
            name = f"{name} at {path}"
        self._app.add_url_rule(path, endpoint=name, view_func=self._view(route), methods=["POST"])

    def _view(self, route: Answering) -> Callable[..., flask.Response]:
        def view(**_names: str) -> flask.Response:
            length = flask.request.headers.get("content-length")
            response = self._answered(route, length, _seen)
            answered = flask.jsonify(response.data)
            answered.status_code = response.status
            answered.headers.update(response.headers)
            return answered

        return view

    def _try_to_start(self) -> None:
        """With a request for anything. Where it fails, requests for workflows say so."""
        try:
            ensure_open(self.engine)
        except WorkflowAgentsError as error:
            logger.warning("the engine cannot start: %s", error)

    def _prepared(self, function: Any) -> Any:
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
