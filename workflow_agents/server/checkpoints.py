"""What endpoints say of the runs that they advance by checkpoints. Ours alone: see `core`."""

import asyncio

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
    checkpoints, endpoint = call.engine.wire.checkpoints, call.parameter("endpoint")
    polled = asyncio.ensure_future(checkpoints.poll(endpoint))
    gone = asyncio.ensure_future(_gone(call))
    try:
        await asyncio.wait({polled, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not polled.done():
            checkpoints.hung_up(endpoint)
    finally:
        polled.cancel()
        gone.cancel()
    return Json({})


async def _gone(call: Call) -> None:
    """Wait until whoever asks has hung up: that is all that comes behind the body."""
    await call.body()
    await call.request.receive()


endpoints = (
    Endpoint("POST", PATH, say, "Checkpoints of runs in hand", batch=True),
    Endpoint("GET", f"{PATH}/{{endpoint}}", listen, "Wait for news of runs in hand", lasts=True),
)
