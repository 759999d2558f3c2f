"""AI agents that cannot be lost: agents on durable workflows.

Everything that an example needs is here, and is loaded when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workflow_agents.agents.agent import Agent
    from workflow_agents.agents.agent_tool import AgentTool
    from workflow_agents.agents.guardrails import Guardrail, GuardrailContext
    from workflow_agents.agents.mcp import mcp_server
    from workflow_agents.agents.memory import Conversation
    from workflow_agents.agents.messages import (
        AssistantMessage,
        ChatMessage,
        SystemMessage,
        ToolCall,
        ToolMessage,
        Usage,
        UserMessage,
        messages_from_json,
        messages_to_json,
    )
    from workflow_agents.agents.models.anthropic import AnthropicModel
    from workflow_agents.agents.models.fallback import FallbackModel
    from workflow_agents.agents.models.langchain import LangChainModel
    from workflow_agents.agents.models.openai import OpenAIModel
    from workflow_agents.agents.models.port import CallSettings, Model, ModelSettings
    from workflow_agents.agents.models.providers import model
    from workflow_agents.agents.prices import Price
    from workflow_agents.agents.spending import CallRecord, UsageLimits
    from workflow_agents.agents.tasks import Task, TaskResult
    from workflow_agents.agents.tool_context import ToolContext
    from workflow_agents.agents.tools import WorkflowTool, tool
    from workflow_agents.agents.workflow import Agents, agent_workflow
    from workflow_agents.agents.workflow_tools import workflow_tool
    from workflow_agents.approvals import Approval
    from workflow_agents.client import AsyncClient, AsyncRunHandle, RunFailed
    from workflow_agents.context.context import AsyncWorkflowContext
    from workflow_agents.context.current_step import CurrentStep
    from workflow_agents.core.dead_letters import DeadLetter, DeadLetterList
    from workflow_agents.core.flow_control import FlowControl
    from workflow_agents.core.limits import Limits
    from workflow_agents.core.logs import RunLog, RunLogList
    from workflow_agents.core.resources import GroupEndpoint
    from workflow_agents.core.searching import SearchMatch, SearchResult
    from workflow_agents.core.step_logs import CallRequest, FeedEntry, StepLog
    from workflow_agents.core.stream_events import (
        StreamEnded,
        StreamGap,
        StreamRestarted,
        StreamStarted,
        TextDelta,
        ToolCallDelta,
    )
    from workflow_agents.core.workflow_events import WorkflowEvent
    from workflow_agents.errors import (
        AgentStopped,
        ConfigurationError,
        GuardrailTripped,
        HistoryMismatch,
        InvocationEnded,
        LimitError,
        NotFound,
        OutputMismatch,
        RemoteError,
        StateError,
        StepFailed,
        StepUsageError,
        StoreError,
        ToolRetry,
        UsageError,
        UsageLimitExceeded,
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
    from workflow_agents.serve.many import InvokableWorkflow, create_workflow
    from workflow_agents.serve.middleware import (
        AfterExecution,
        BeforeExecution,
        MiddlewareCallbacks,
        RunCompleted,
        RunError,
        RunInfo,
        RunStarted,
        RunWarning,
        WorkflowMiddleware,
        logging_middleware,
    )
    from workflow_agents.serve.neutral import async_serve, async_serve_many, serve, serve_many
    from workflow_agents.serve.options import RouteOptions
    from workflow_agents.serve.serve import Engine
    from workflow_agents.serve.workflow import Workflow
    from workflow_agents.sync.client import Client, DeadLetters, RunHandle
    from workflow_agents.sync.context import WorkflowContext

__version__ = "0.1.0"

__all__ = [
    "AfterExecution",
    "Agent",
    "AgentStopped",
    "AgentTool",
    "Agents",
    "AnthropicModel",
    "Approval",
    "AssistantMessage",
    "AsyncClient",
    "AsyncRunHandle",
    "AsyncWorkflowContext",
    "BeforeExecution",
    "CallRecord",
    "CallRequest",
    "CallResponse",
    "CallSettings",
    "ChatMessage",
    "Client",
    "ConfigurationError",
    "Conversation",
    "CurrentStep",
    "DeadLetter",
    "DeadLetterList",
    "DeadLetters",
    "Engine",
    "EventResult",
    "FallbackModel",
    "FeedEntry",
    "FlowControl",
    "GroupEndpoint",
    "Guardrail",
    "GuardrailContext",
    "GuardrailTripped",
    "HistoryMismatch",
    "InvocationEnded",
    "InvokableWorkflow",
    "InvokeResult",
    "LangChainModel",
    "LimitError",
    "Limits",
    "MiddlewareCallbacks",
    "Model",
    "ModelSettings",
    "NotFound",
    "NotifiedWaiter",
    "NotifyResult",
    "OpenAIModel",
    "OutputMismatch",
    "Price",
    "RemoteError",
    "RouteOptions",
    "RunCompleted",
    "RunError",
    "RunFailed",
    "RunHandle",
    "RunInfo",
    "RunLog",
    "RunLogList",
    "RunStarted",
    "RunWarning",
    "SearchMatch",
    "SearchResult",
    "Secret",
    "StateError",
    "StepFailed",
    "StepLog",
    "StepUsageError",
    "StoreError",
    "StreamEnded",
    "StreamGap",
    "StreamRestarted",
    "StreamStarted",
    "SystemMessage",
    "Task",
    "TaskResult",
    "TextDelta",
    "ToolCall",
    "ToolCallDelta",
    "ToolContext",
    "ToolMessage",
    "ToolRetry",
    "Usage",
    "UsageError",
    "UsageLimitExceeded",
    "UsageLimits",
    "UserMessage",
    "Webhook",
    "WebhookRequest",
    "WebhookResult",
    "Workflow",
    "WorkflowAbort",
    "WorkflowAgentsError",
    "WorkflowContext",
    "WorkflowEvent",
    "WorkflowMiddleware",
    "WorkflowNonRetryableError",
    "WorkflowRetryAfterError",
    "WorkflowTool",
    "agent_workflow",
    "async_serve",
    "async_serve_many",
    "create_workflow",
    "durable_client",
    "durable_httpx_client",
    "logging_middleware",
    "mcp_server",
    "messages_from_json",
    "messages_to_json",
    "model",
    "serve",
    "serve_many",
    "tool",
    "watch",
    "workflow_tool",
]

_ROOMS = {
    "agents.agent": ("Agent",),
    "agents.agent_tool": ("AgentTool",),
    "agents.guardrails": ("Guardrail", "GuardrailContext"),
    "agents.mcp": ("mcp_server",),
    "agents.memory": ("Conversation",),
    "agents.messages": (
        "AssistantMessage",
        "ChatMessage",
        "SystemMessage",
        "ToolCall",
        "ToolMessage",
        "Usage",
        "UserMessage",
        "messages_from_json",
        "messages_to_json",
    ),
    "agents.models.anthropic": ("AnthropicModel",),
    "agents.models.fallback": ("FallbackModel",),
    "agents.models.langchain": ("LangChainModel",),
    "agents.models.openai": ("OpenAIModel",),
    "agents.models.port": ("CallSettings", "Model", "ModelSettings"),
    "agents.models.providers": ("model",),
    "agents.prices": ("Price",),
    "agents.spending": ("CallRecord", "UsageLimits"),
    "agents.tasks": ("Task", "TaskResult"),
    "agents.tool_context": ("ToolContext",),
    "agents.tools": ("WorkflowTool", "tool"),
    "agents.workflow": ("Agents", "agent_workflow"),
    "agents.workflow_tools": ("workflow_tool",),
    "approvals": ("Approval",),
    "client": ("AsyncClient", "AsyncRunHandle", "RunFailed"),
    "context.context": ("AsyncWorkflowContext",),
    "context.current_step": ("CurrentStep",),
    "core.dead_letters": ("DeadLetter", "DeadLetterList"),
    "core.flow_control": ("FlowControl",),
    "core.limits": ("Limits",),
    "core.logs": ("RunLog", "RunLogList"),
    "core.searching": ("SearchMatch", "SearchResult"),
    "core.resources": ("GroupEndpoint",),
    "core.workflow_events": ("WorkflowEvent",),
    "core.step_logs": ("CallRequest", "FeedEntry", "StepLog"),
    "core.stream_events": (
        "StreamEnded",
        "StreamGap",
        "StreamRestarted",
        "StreamStarted",
        "TextDelta",
        "ToolCallDelta",
    ),
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
    "serve.middleware": (
        "AfterExecution",
        "BeforeExecution",
        "MiddlewareCallbacks",
        "RunCompleted",
        "RunError",
        "RunInfo",
        "RunStarted",
        "RunWarning",
        "WorkflowMiddleware",
        "logging_middleware",
    ),
    "serve.many": ("InvokableWorkflow", "create_workflow"),
    "serve.neutral": ("async_serve", "async_serve_many", "serve_many"),
    "serve.options": ("RouteOptions",),
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
