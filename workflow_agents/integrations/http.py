"""Durable HTTP: a client whose every request is a `call` step of the run.

    openai = AsyncOpenAI(http_client=durable_client(context))
    anthropic = AsyncAnthropic(http_client=durable_client(context))
    langchain = ChatOpenAI(model="gpt-4o", http_async_client=durable_client(context))

Any SDK that takes an HTTP client becomes durable so: the engine makes the request, waits out the
provider's refusals and stores the answer, and a replay gives the SDK the stored one. One
implementation serves httpx2 and httpx, whose classes are not each other's.

A streamed answer arrives whole, when it has ended: what is stored is the text of its events.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from workflow_agents import config
from workflow_agents.errors import StepFailed
from workflow_agents.protocol.results import CallResponse
from workflow_agents.protocol.secrets import Secret

if TYPE_CHECKING:
    import httpx
    import httpx2

    from workflow_agents.context.context import AsyncWorkflowContext, Duration
    from workflow_agents.core.flow_control import FlowControl

_KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")
"""Variables that SDKs read their keys from: a header that holds one is stored as its name."""

_OF_THE_CONNECTION = frozenset(
    {"connection", "content-encoding", "content-length", "host", "transfer-encoding"}
)
_DELAY = "min(60000, pow(2, retried) * 1000)"


def durable_client(
    context: "AsyncWorkflowContext[Any]",
    *,
    name: str | None = None,
    retries: int = 3,
    retry_delay: str | None = _DELAY,
    timeout: "Duration | None" = None,
    flow_control: "FlowControl | None" = None,
    keys: tuple[str, ...] = (),
) -> "httpx2.AsyncClient":
    """An `httpx2.AsyncClient` whose requests are durable steps of the context's run.

    Args:
        context: of the run.
        name: of the steps; default: "POST api.openai.com/v1/chat/completions".
        retries: how often an answer other than 2xx, or none, is tried again by the engine. The
            SDK is told not to try again by itself.
        retry_delay: an expression in milliseconds; an own `Retry-After` of the provider wins.
        timeout: of one attempt; default: the engine's.
        flow_control: a key whose limits all requests share, over all runs.
        keys: further environment variables that hold keys. A header with the value of one is
            stored as the variable's name; any other credential is sealed.
    """
    import httpx2

    exchange = _Exchange(context, name, retries, retry_delay, timeout, flow_control, keys)
    return httpx2.AsyncClient(transport=_transport(httpx2, exchange), timeout=None)


def durable_httpx_client(
    context: "AsyncWorkflowContext[Any]",
    *,
    name: str | None = None,
    retries: int = 3,
    retry_delay: str | None = _DELAY,
    timeout: "Duration | None" = None,
    flow_control: "FlowControl | None" = None,
    keys: tuple[str, ...] = (),
) -> "httpx.AsyncClient":
    """The same as `durable_client`, for libraries on the older `httpx`."""
    import httpx

    exchange = _Exchange(context, name, retries, retry_delay, timeout, flow_control, keys)
    return httpx.AsyncClient(transport=_transport(httpx, exchange), timeout=None)  # noqa: S113  # the engine has one


@dataclass(frozen=True, slots=True)
class _Exchange:
    """How requests of one client become steps."""

    context: "AsyncWorkflowContext[Any]"
    name: str | None
    retries: int
    retry_delay: str | None
    timeout: "Duration | None"
    flow_control: "FlowControl | None"
    keys: tuple[str, ...]

    async def send(
        self, method: str, url: Any, headers: Mapping[str, str], body: bytes
    ) -> CallResponse[Any]:
        """Make the request, or get what was answered before. `StepFailed`: there is no answer."""
        return await self.context.call(
            self.name or f"{method} {url.host}{url.path}",
            url=str(url),
            method=method,
            headers={
                name: self._as_reference(value)
                for name, value in headers.items()
                if name.lower() not in _OF_THE_CONNECTION | {"accept-encoding"}
            },
            body=body or None,
            retries=self.retries,
            retry_delay=self.retry_delay,
            timeout=self.timeout,
            flow_control=self.flow_control,
        )

    def _as_reference(self, value: str) -> str | Secret:
        for variable in (*_KEYS, *self.keys):
            key = config.variable(variable)
            if key and value.endswith(key):
                return Secret(variable, prefix=value.removesuffix(key))
        return value


def _transport(library: ModuleType, exchange: _Exchange) -> Any:
    """A transport of the library's own kind."""

    class DurableTransport(library.AsyncBaseTransport):  # type: ignore[name-defined,misc]
        async def handle_async_request(self, request: Any) -> Any:
            body = await request.aread()
            try:
                answer = await exchange.send(request.method, request.url, request.headers, body)
            except StepFailed as failed:
                raise library.ConnectError(failed.message, request=request) from failed
            return library.Response(
                answer.status,
                headers=_headers(answer),
                content=_content(answer.body),
                request=request,
            )

    return DurableTransport()


def _headers(answer: CallResponse[Any]) -> list[tuple[str, str]]:
    kept = [
        (name, value)
        for name, values in answer.headers.items()
        for value in values
        if name not in _OF_THE_CONNECTION
    ]
    if not 200 <= answer.status < 300:
        # The engine has tried as often as it was asked to: SDKs of this family heed this.
        kept = [(name, value) for name, value in kept if name != "x-should-retry"]
        kept.append(("x-should-retry", "false"))
    return kept


def _content(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    return json.dumps(body, ensure_ascii=False).encode()
