"""FastAPI: a Starlette whose routes describe themselves."""

from typing import cast

from fastapi import FastAPI
from starlette.applications import Starlette

from workflow_agents.serve.routes import Route
from workflow_agents.serve.starlette import Serve as StarletteServe
from workflow_agents.serve.starlette import summary_of


class Serve(StarletteServe):
    """Serves workflows as routes of a FastAPI app.

    The engine is embedded: it starts and stops with the app, on one SQLite file. Where
    QSTASH_TOKEN is set and no engine is given, a QStash server keeps the runs instead. While the
    app runs, `serve.client` starts runs and follows them.

    ```python
    app = FastAPI()
    serve = Serve(app)

    @serve.post("/orders")
    async def orders(context: AsyncWorkflowContext[Order]) -> str: ...
    ```

    Args:
        app: gets a route for each workflow, and one for webhooks.
        engine: in place of one with default options; it keeps the runs, whatever is set.
        store: the path of the store, where no engine is given; the same.
        dashboard: serve the dashboard of the embedded engine at `/workflow-agents`, or at a path
            of yours. It answers requests of this machine only, unless there is a token.
        dashboard_token: is asked for once, in the browser; with it, any machine may ask.

    Raises:
        ConfigurationError: WA106, QSTASH_URL is set without QSTASH_TOKEN.
    """

    _kind: type[Starlette] = FastAPI

    def _mount(self, path: str, route: Route) -> None:
        cast("FastAPI", self._app).add_api_route(
            path,
            self._handler(route),
            methods=["POST"],
            name=route.workflow.__name__,
            summary=summary_of(route),
        )
