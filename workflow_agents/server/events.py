"""What happens, as it happens: a stream of server-sent events. Ours alone: see `operations`."""

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from workflow_agents.errors import LimitError, StoreError
from workflow_agents.operations.events import Asked, Stream, status_of
from workflow_agents.server.answers import refusal
from workflow_agents.server.routing import Call, Endpoint

PATH = "/v2/workflows/stream"


class _Told(Response):
    """A stream, in the place of a response."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._stream(scope, receive, send)


async def stream(call: Call) -> Response:
    """Tell of a run, of the runs with a label, or of everything."""
    asked = Asked.of(call.query, call.request.headers.get("last-event-id"))
    try:
        return _Told(Stream(call.engine, asked, patience_s=call.server.settings.stream_seconds))
    except (LimitError, StoreError) as error:
        return refusal(status_of(error), error.what, {"Retry-After": "5"})


endpoints = (Endpoint("GET", PATH, stream, "What happens, as server-sent events", lasts=True),)
