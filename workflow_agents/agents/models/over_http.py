"""Models behind an HTTP API: each turn is one `call` step, which the engine executes.

Nothing is sent from here, and no provider's package is used. A model says what is to be
requested; the engine makes the request; the model reads the answer. The keys of providers stay
references (`Secret`) that the engine resolves at the moment of the call.
"""

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from workflow_agents.agents.messages import ModelReply
from workflow_agents.agents.models.port import CallSettings, Turn
from workflow_agents.agents.ports import AgentContext
from workflow_agents.errors import RemoteError, StepFailed
from workflow_agents.protocol.results import CallResponse, read_body
from workflow_agents.protocol.secrets import Secret

if TYPE_CHECKING:
    from workflow_agents.context.context import StreamFormat


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What is to be POSTed to a provider, as JSON.

    Attributes:
        url: where to.
        headers: lower-case names.
        body: its JSON.
        needed: the members that an answer has which is one; without them, the attempt failed.
        stream: the API whose stream is to be put together to its answer; None: no stream.
    """

    url: str
    headers: dict[str, str | Secret]
    body: dict[str, Any]
    needed: Sequence[str] = ()
    stream: "StreamFormat | None" = None


class HttpModel(Protocol):
    """A model whose turn is one HTTP request."""

    @property
    def provider_key(self) -> str:
        """What all requests under one rate limit have in common."""
        ...

    @property
    def call_settings(self) -> CallSettings:
        """How its requests are made."""
        ...

    def request(self, turn: Turn) -> ModelRequest:
        """The request for a turn."""
        ...

    def read(self, response: CallResponse[Any], turn: Turn) -> ModelReply:
        """The reply that the answer holds; `RemoteError` WA703 if it holds none."""
        ...


def ask(context: AgentContext, model: HttpModel, turn: Turn) -> Coroutine[Any, Any, ModelReply]:
    """Ask for a turn by one `call` step, "Call Agent <name>"; see `Model.ask`."""
    settings = model.call_settings
    request = model.request(turn)
    answer = context.call(
        f"Call Agent {turn.agent}",
        url=request.url,
        method="POST",
        headers=request.headers,
        body=request.body,
        retries=settings.retries,
        retry_delay=settings.retry_delay,
        timeout=settings.timeout,
        flow_control=settings.flow_control,
        raise_for_status=True,
        expect=request.needed,
        stream=request.stream,
        pause_key=model.provider_key,
    )
    return _read(model, turn, answer)


async def _read(
    model: HttpModel, turn: Turn, answer: Coroutine[Any, Any, CallResponse[Any]]
) -> ModelReply:
    try:
        return model.read(await answer, turn)
    except StepFailed as failed:
        if failed.body:
            refusal = CallResponse(failed.status, {}, read_body({"body": failed.body}))
            return model.read(refusal, turn)
        where = f"agent {turn.agent!r}"
        raise RemoteError(
            "WA703", where=where, found=f"expected an answer, found {failed.message}"
        ) from failed
