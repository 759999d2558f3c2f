"""AI agents that cannot be lost: agents on durable workflows.

Everything that an example needs is here, and is loaded when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workflow_agents.agents.agent import Agent, Agents, Task, TaskResult, agent_workflow
    from workflow_agents.agents.models.openai import OpenAIModel
    from workflow_agents.agents.models.port import CallSettings, ModelSettings
    from workflow_agents.agents.tools import WorkflowTool
    from workflow_agents.client import AsyncClient, AsyncRunHandle, DeadLetter, RunFailed
    from workflow_agents.context.context import AsyncWorkflowContext
    from workflow_agents.core.flow_control import FlowControl
    from workflow_agents.core.limits import Limits
    from workflow_agents.core.logs import FeedEntry, RunLog, StepLog
    from workflow_agents.errors import (
        ConfigurationError,
        HistoryMismatch,
        InvocationEnded,
        LimitError,
        NotFound,
        RemoteError,
        StateError,
        StepFailed,
        StepUsageError,
        StoreError,
        UsageError,
        WorkflowAbort,
        WorkflowAgentsError,
        WorkflowNonRetryableError,
        WorkflowRetryAfterError,
    )
    from workflow_agents.integrations.http import durable_client, durable_httpx_client
    from workflow_agents.notebook import watch
    from workflow_agents.protocol.results import (
        CallResponse,
        EventResult,
        InvokeResult,
        NotifiedWaiter,
        NotifyResult,
        Webhook,
        WebhookRequest,
        WebhookResult,
    )
    from workflow_agents.protocol.secrets import Secret
    from workflow_agents.serve.neutral import async_serve, serve
    from workflow_agents.serve.serve import Engine
    from workflow_agents.serve.workflow import Workflow
    from workflow_agents.sync.client import Client, DeadLetters, RunHandle
    from workflow_agents.sync.context import WorkflowContext

__version__ = "0.1.0"

__all__ = [
    "Agent",
    "Agents",
    "AsyncClient",
    "AsyncRunHandle",
    "AsyncWorkflowContext",
    "CallResponse",
    "CallSettings",
    "Client",
    "ConfigurationError",
    "DeadLetter",
    "DeadLetters",
    "Engine",
    "EventResult",
    "FeedEntry",
    "FlowControl",
    "HistoryMismatch",
    "InvocationEnded",
    "InvokeResult",
    "LimitError",
    "Limits",
    "ModelSettings",
    "NotFound",
    "NotifiedWaiter",
    "NotifyResult",
    "OpenAIModel",
    "RemoteError",
    "RunFailed",
    "RunHandle",
    "RunLog",
    "Secret",
    "StateError",
    "StepFailed",
    "StepLog",
    "StepUsageError",
    "StoreError",
    "Task",
    "TaskResult",
    "UsageError",
    "Webhook",
    "WebhookRequest",
    "WebhookResult",
    "Workflow",
    "WorkflowAbort",
    "WorkflowAgentsError",
    "WorkflowContext",
    "WorkflowNonRetryableError",
    "WorkflowRetryAfterError",
    "WorkflowTool",
    "agent_workflow",
    "async_serve",
    "durable_client",
    "durable_httpx_client",
    "serve",
    "watch",
]

_ROOMS = {
    "agents.agent": ("Agent", "Agents", "Task", "TaskResult", "agent_workflow"),
    "agents.models.openai": ("OpenAIModel",),
    "agents.models.port": ("CallSettings", "ModelSettings"),
    "agents.tools": ("WorkflowTool",),
    "client": ("AsyncClient", "DeadLetter", "RunFailed", "AsyncRunHandle"),
    "context.context": ("AsyncWorkflowContext",),
    "core.flow_control": ("FlowControl",),
    "core.limits": ("Limits",),
    "core.logs": ("FeedEntry", "RunLog", "StepLog"),
    "integrations.http": ("durable_client", "durable_httpx_client"),
    "notebook": ("watch",),
    "protocol.results": (
        "CallResponse",
        "EventResult",
        "InvokeResult",
        "NotifiedWaiter",
        "NotifyResult",
        "Webhook",
        "WebhookRequest",
        "WebhookResult",
    ),
    "protocol.secrets": ("Secret",),
    "serve": ("serve",),
    "serve.neutral": ("async_serve",),
    "serve.serve": ("Engine",),
    "serve.workflow": ("Workflow",),
    "sync.client": ("Client", "DeadLetters", "RunHandle"),
    "sync.context": ("WorkflowContext",),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a public name from its room."""
    if name not in __all__:
        raise AttributeError(f"module 'workflow_agents' has no attribute {name!r}")
    room = importlib.import_module(f"workflow_agents.{_ROOM_OF.get(name, 'errors')}")
    # The room `serve` is the function of its name, too.
    value = room if name == "serve" else getattr(room, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
