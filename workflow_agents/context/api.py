"""`context.api`: calls of well-known services, with their address and headers filled in.

    answer = await context.api.resend.call(
        "send welcome", body={"from": ..., "to": [...], "subject": ..., "html": ...}
    )

Each is one `call` step and nothing else: the request that a `context.call` would have been given
by hand. A token that is not given is a reference to the service's usual environment variable,
resolved when the request is made and never stored.
"""

from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from workflow_agents.core.bad_options import names_options, wrong_option
from workflow_agents.protocol.results import CallResponse
from workflow_agents.protocol.secrets import Secret

if TYPE_CHECKING:
    from workflow_agents.context.context import Duration
    from workflow_agents.core.flow_control import FlowControl

Call = Callable[..., Coroutine[Any, Any, CallResponse[Any]]]
"""`AsyncWorkflowContext.call` of the run."""

_ANTHROPIC_VERSION = "2023-06-01"


class ContextApi:
    """`context.api`.

    Attributes:
        openai: OpenAI, and every provider that is compatible with it.
        anthropic: Anthropic.
        resend: e-mail by Resend.

    Source: `context.api` of the Workflow SDK.
    """

    def __init__(self, call: Call) -> None:
        self.openai = OpenAIApi(call)
        self.anthropic = AnthropicApi(call)
        self.resend = ResendApi(call)


class OpenAIApi:
    """`context.api.openai`."""

    def __init__(self, call: Call) -> None:
        self._call = call

    @names_options
    def call(
        self,
        name: str,
        *,
        body: Mapping[str, Any],
        token: str | Secret | None = None,
        operation: str = "chat.completions.create",
        base_url: str = "https://api.openai.com",
        headers: Mapping[str, str | Secret] | None = None,
        retries: int = 0,
        retry_delay: str | None = None,
        timeout: "Duration | None" = None,
        flow_control: "FlowControl | None" = None,
    ) -> Coroutine[Any, Any, CallResponse[Any]]:
        """Call OpenAI, or a provider with the same API.

        Args:
            name: of the step.
            body: of the request: {"model": "gpt-4o", "messages": [...]}.
            token: default: `Secret("OPENAI_API_KEY")`.
            operation: "chat.completions.create", "responses.create", "embeddings.create" or
                "images.generate".
            base_url: "https://api.deepseek.com"; with or without "/v1".
            headers: beside those that are filled in.
            retries: as `context.call`, like the rest.
            retry_delay: an expression in milliseconds.
            timeout: of one attempt.
            flow_control: a key whose limits the request waits for.

        Source: `context.api.openai.call`.
        """
        path = _chosen("operation", operation, _OPENAI_PATHS)
        return self._call(
            name,
            url=f"{_with_version(base_url)}/{path}",
            method="POST",
            body=body,
            headers={"authorization": _bearer(token, "OPENAI_API_KEY"), **(headers or {})},
            retries=retries,
            retry_delay=retry_delay,
            timeout=timeout,
            flow_control=flow_control,
        )


class AnthropicApi:
    """`context.api.anthropic`."""

    def __init__(self, call: Call) -> None:
        self._call = call

    @names_options
    def call(
        self,
        name: str,
        *,
        body: Mapping[str, Any],
        token: str | Secret | None = None,
        operation: str = "messages.create",
        base_url: str = "https://api.anthropic.com",
        headers: Mapping[str, str | Secret] | None = None,
        retries: int = 0,
        retry_delay: str | None = None,
        timeout: "Duration | None" = None,
        flow_control: "FlowControl | None" = None,
    ) -> Coroutine[Any, Any, CallResponse[Any]]:
        """Call Anthropic's Messages API.

        Args:
            name: of the step.
            body: of the request: {"model": ..., "max_tokens": 1024, "messages": [...]}.
            token: default: `Secret("ANTHROPIC_API_KEY")`.
            operation: "messages.create".
            base_url: with or without "/v1".
            headers: beside those that are filled in; "anthropic-version" replaces ours.
            retries: as `context.call`, like the rest.
            retry_delay: an expression in milliseconds.
            timeout: of one attempt.
            flow_control: a key whose limits the request waits for.

        Source: `context.api.anthropic.call`.
        """
        path = _chosen("operation", operation, {"messages.create": "messages"})
        return self._call(
            name,
            url=f"{_with_version(base_url)}/{path}",
            method="POST",
            body=body,
            headers={
                "x-api-key": Secret("ANTHROPIC_API_KEY") if token is None else token,
                "anthropic-version": _ANTHROPIC_VERSION,
                **{key.lower(): value for key, value in (headers or {}).items()},
            },
            retries=retries,
            retry_delay=retry_delay,
            timeout=timeout,
            flow_control=flow_control,
        )


class ResendApi:
    """`context.api.resend`."""

    def __init__(self, call: Call) -> None:
        self._call = call

    @names_options
    def call(
        self,
        name: str,
        *,
        body: Any,
        token: str | Secret | None = None,
        batch: bool = False,
        base_url: str = "https://api.resend.com",
        headers: Mapping[str, str | Secret] | None = None,
        retries: int = 0,
        retry_delay: str | None = None,
        timeout: "Duration | None" = None,
        flow_control: "FlowControl | None" = None,
    ) -> Coroutine[Any, Any, CallResponse[Any]]:
        """Send e-mail by Resend.

        Args:
            name: of the step.
            body: one e-mail: {"from": ..., "to": [...], "subject": ..., "html": ...}; with
                `batch`, a list of them.
            token: default: `Secret("RESEND_API_KEY")`.
            batch: whether `body` is a list.
            base_url: of the service.
            headers: beside those that are filled in.
            retries: as `context.call`, like the rest. The service is sent an idempotency key
                that is the same for every attempt.
            retry_delay: an expression in milliseconds.
            timeout: of one attempt.
            flow_control: a key whose limits the request waits for.

        Source: `context.api.resend.call`.
        """
        if batch is not isinstance(body, list):
            raise wrong_option("body", "a list with batch=True, else one e-mail", body)
        return self._call(
            name,
            url=f"{base_url.rstrip('/')}/emails{'/batch' if batch else ''}",
            method="POST",
            body=body,
            headers={"authorization": _bearer(token, "RESEND_API_KEY"), **(headers or {})},
            retries=retries,
            retry_delay=retry_delay,
            timeout=timeout,
            flow_control=flow_control,
        )


_OPENAI_PATHS = {
    "chat.completions.create": "chat/completions",
    "responses.create": "responses",
    "embeddings.create": "embeddings",
    "images.generate": "images/generations",
}


def _chosen(option: str, value: str, known: Mapping[str, str]) -> str:
    if value not in known:
        raise wrong_option(option, f"one of {', '.join(known)}", value)
    return known[value]


def _with_version(base_url: str) -> str:
    """The address with "/v1": users of the providers' own packages give it, the original not."""
    base_url = base_url.rstrip("/")
    return base_url if base_url.rpartition("/")[2].startswith("v1") else f"{base_url}/v1"


def _bearer(token: str | Secret | None, variable: str) -> str | Secret:
    if isinstance(token, str):
        return f"Bearer {token}"
    if token is not None and token.prefix:
        return token
    return Secret(variable if token is None else token.env, prefix="Bearer ")
