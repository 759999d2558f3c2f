"""A small workflow that comes with the server, for whoever has none yet and wants to see one run.

It is served by the server's own process, and only once somebody has asked for it on the dashboard;
or once more, where a process that stopped has left a run of it.
"""

from typing import TYPE_CHECKING, Any

from workflow_agents.core.lifecycle import Phase, is_ended
from workflow_agents.store.sqlite_run_lists import RunsWanted, SqliteRunLists

if TYPE_CHECKING:
    from workflow_agents.context.context import AsyncWorkflowContext
    from workflow_agents.engine.engine import DurableEngine

PATH = "/sample"
_OPEN = tuple(phase for phase in Phase if not is_ended(phase))


def serve_on(engine: "DurableEngine") -> str:
    """Serve it, if it is not served already; its path."""
    if PATH not in engine.workflows:
        from workflow_agents.serve.serve import OnEngine
        from workflow_agents.serve.workflow import Workflow

        workflow = Workflow(PATH, _sample(), limits=engine.limits)
        engine.serve(OnEngine(workflow, engine))
    return PATH


def go_on(engine: "DurableEngine") -> None:
    """Serve it where runs of it have not ended."""
    lists = SqliteRunLists(engine.store.all)  # type: ignore[attr-defined]
    if lists.page(RunsWanted(_OPEN, PATH), 1).runs:
        serve_on(engine)


def _sample() -> Any:
    tried: set[str] = set()

    async def sample(context: "AsyncWorkflowContext[Any]") -> dict[str, str]:
        """Greet somebody: a step, a sleep, a step that fails once, a result."""
        given: Any = context.request_payload or {}
        name = given.get("name", "world")
        greeting = await context.run("write a greeting", lambda: f"Hello, {name}!")
        await context.sleep("let it rest", 1)

        def send() -> str:
            if context.workflow_run_id not in tried:
                tried.add(context.workflow_run_id)
                raise ConnectionError("the sample fails once, to show a retry")
            return "sent"

        sent = await context.run("send it", send, retries=3, retry_delay="500")
        return {"greeting": greeting, "state": sent}

    return sample
