"""LangChain's tools, told by their shape: LangChain itself is never imported here.

A tool is invoked with its arguments, as LangChain's own agents do it. Two kinds are invoked with
the whole call, which LangChain then answers with a message: those that want the call's id, and
those that handle their own errors, because only the message says that there was one.
"""

import inspect
from typing import Any, cast

from workflow_agents.agents.schemas import BadCall, without_titles
from workflow_agents.agents.tool_context import ToolContext

_ONE_TEXT = {
    "type": "object",
    "properties": {"tool_input": {"type": "string"}},
    "required": ["tool_input"],
}
_SHAPE = ("name", "description", "args_schema", "invoke")
_CONTEXT = "_tool_context"


def is_tool(source: Any) -> bool:
    """Whether it has the attributes of a LangChain tool."""
    return not inspect.isclass(source) and all(hasattr(source, part) for part in _SHAPE)


def parts(source: Any) -> dict[str, Any]:
    """What a `Tool` is made of.

    It checks its arguments itself when it is invoked, and injects those that are not the
    model's. A tool without async code runs in a thread of its own.
    """
    whole = _wants_call_id(source) or any(
        getattr(source, handles, False)
        for handles in ("handle_tool_error", "handle_validation_error")
    )

    async def invoke(**arguments: Any) -> Any:
        return _result(await source.ainvoke(_input(source, arguments)))

    def invoke_in_thread(**arguments: Any) -> Any:
        return _result(source.invoke(_input(source, arguments)))

    return {
        "name": source.name,
        "description": source.description or "",
        "parameters": _ONE_TEXT if _takes_one_text(source) else _schema(source),
        "check": _as_sent,
        "invoke": invoke if hasattr(source, "ainvoke") else invoke_in_thread,
        "context_parameter": _CONTEXT if whole else None,
        "return_direct": bool(getattr(source, "return_direct", False)),
    }


def _as_sent(arguments: dict[str, Any]) -> dict[str, Any]:
    return arguments


def _input(source: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments; or the whole call, where the tool's context was asked for."""
    context: ToolContext | None = arguments.pop(_CONTEXT, None)
    if context is None:
        return arguments
    return {
        "name": source.name,
        "args": arguments,
        "id": context.tool_call_id,
        "type": "tool_call",
    }


def _result(result: Any) -> Any:
    """What the model is told of a result: of a message, its content.

    Raises:
        BadCall: the message tells of an error.
    """
    if getattr(result, "type", None) != "tool" or not hasattr(result, "tool_call_id"):
        return result
    if getattr(result, "status", "success") == "error":
        raise BadCall(str(result.content))
    return result.content


def _wants_call_id(source: Any) -> bool:
    fields: Any = getattr(source.args_schema, "model_fields", None) or {}
    return any(
        "InjectedToolCallId" in (getattr(mark, "__name__", ""), type(mark).__name__)
        for field in fields.values()
        for mark in getattr(field, "metadata", ())
    )


def _takes_one_text(source: Any) -> bool:
    """LangChain's simplest tools have no schema: a text goes in, by this name."""
    return source.args_schema is None and list(getattr(source, "args", ())) == ["tool_input"]


def _schema(source: Any) -> dict[str, Any]:
    """A dict, a model of pydantic 2 or 1, or nothing, which means no arguments."""
    described = getattr(source, "tool_call_schema", source.args_schema)
    if described is None:
        return {"type": "object", "properties": {}}
    if not isinstance(described, dict):
        make = getattr(described, "model_json_schema", None) or described.schema
        described = make()
    kept = without_titles(cast("dict[str, Any]", described))
    kept.pop("description", None)  # it repeats that of the tool itself
    return {"type": "object", "properties": {}, **kept}
