"""The signing keys: what endpoints verify deliveries with. Source: protocol 8.5."""

from starlette.responses import Response

from workflow_agents.errors import StateError
from workflow_agents.protocol.signature import SigningKeys
from workflow_agents.server.answers import Json
from workflow_agents.server.routing import Call, Endpoint


async def show(call: Call) -> Response:
    """The current key and the next one."""
    account = call.account
    return _shown(account.keys if account and account.keys else call.engine.wire.credentials.keys)


async def rotate(call: Call) -> Response:
    """The next key becomes the current one, and a new one the next."""
    if call.account and call.account.keys:
        raise StateError(
            "WA608",
            "the keys of this account do not rotate",
            found=f"the test user {call.account.user!r}",
            fix=("rotate those of the default user",),
        )
    return _shown(await call.engine.wire.credentials.rotate())


def _shown(keys: SigningKeys) -> Response:
    return Json({"current": keys.current, "next": keys.following})


endpoints = (
    Endpoint("GET", "/v2/keys", show, "The signing keys"),
    Endpoint("POST", "/v2/keys/rotate", rotate, "Rotate the signing keys"),
)
