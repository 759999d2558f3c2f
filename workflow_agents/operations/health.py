"""Whether an engine works, and whether it should be given work."""

import asyncio

from workflow_agents.engine.engine import DurableEngine
from workflow_agents.errors import WorkflowAgentsError
from workflow_agents.operations.mounting import HasCore, core_of
from workflow_agents.store.changes import Broken, Change

_PATIENCE_S = 2.0


def why_not_alive(engine: DurableEngine | HasCore) -> str:
    """What is wrong; "": it turns, and its store can be read."""
    core = core_of(engine)
    try:
        core.ensure_running()
        core.store.overview.last_seq()
    except WorkflowAgentsError as error:
        return error.what
    return ""


async def why_not_ready(engine: DurableEngine | HasCore) -> str:
    """Why it should be given no work now; "": it should.

    It is asked to write: a disk that is full can still be read.
    """
    core = core_of(engine)
    if core.stopping:
        return "the engine stops"
    if wrong := why_not_alive(core):
        return wrong
    try:
        async with asyncio.timeout(_PATIENCE_S):
            outcome = await core.commits.apply(Change(()))
    except TimeoutError:
        return f"the store does not write within {_PATIENCE_S:g} s"
    if isinstance(outcome, Broken):
        error = outcome.error
        return error.what if isinstance(error, WorkflowAgentsError) else "the store cannot write"
    return ""
