"""`context.api` for synchronous workflow functions: the calls of `ContextApi`, waited for."""

from collections.abc import Callable, Coroutine
from typing import Any

from workflow_agents.context.api import ContextApi
from workflow_agents.protocol.results import CallResponse

Wait = Callable[[Coroutine[Any, Any, Any]], Any]


class SyncApi:
    """`context.api`; each service has the `call` of the one in `context.api`.

    Attributes:
        openai: OpenAI, and every provider that is compatible with it.
        anthropic: Anthropic.
        resend: e-mail by Resend.
    """

    def __init__(self, api: ContextApi, wait: Wait) -> None:
        self.openai = SyncService(api.openai.call, wait)
        self.anthropic = SyncService(api.anthropic.call, wait)
        self.resend = SyncService(api.resend.call, wait)


class SyncService:
    """One service; see the one of its name in `context.api` for its options."""

    def __init__(
        self, call: Callable[..., Coroutine[Any, Any, CallResponse[Any]]], wait: Wait
    ) -> None:
        self._call = call
        self._wait = wait

    def call(self, name: str, **options: Any) -> CallResponse[Any]:
        """Call the service, in one durable step."""
        return self._wait(self._call(name, **options))
