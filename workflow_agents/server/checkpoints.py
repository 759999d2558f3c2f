"""What endpoints say of the runs that they advance by checkpoints. Ours alone: see `core`."""

from starlette.responses import Response

from workflow_agents.core.checkpoint_json import read_batch, write_answer
from workflow_agents.core.checkpoints import PATH
from workflow_agents.server.answers import Json
from workflow_agents.server.routing import Call, Endpoint


async def say(call: Call) -> Response:
    """Take checkpoints; what is answered is stored."""
    batch = read_batch(await call.body())
    told = await call.engine.wire.checkpoints.take(batch)
    return Response(write_answer(told), media_type="application/json")


async def listen(call: Call) -> Response:
    """Wait for news of the runs that an endpoint has in hand."""
    await call.engine.wire.checkpoints.poll(call.parameter("endpoint"))
    return Json({})


endpoints = (
    Endpoint("POST", PATH, say, "Checkpoints of runs in hand", batch=True),
    Endpoint("GET", f"{PATH}/{{endpoint}}", listen, "Wait for news of runs in hand"),
)
