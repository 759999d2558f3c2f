"""LangChain's tools, told by their shape: LangChain itself is never imported here."""

import inspect
from typing import Any, cast

from workflow_agents.agents.schemas import without_titles

_ONE_TEXT = {
    "type": "object",
    "properties": {"tool_input": {"type": "string"}},
    "required": ["tool_input"],
}
_SHAPE = ("name", "description", "args_schema", "invoke")


def is_tool(source: Any) -> bool:
    """Whether it has the attributes of a LangChain tool."""
    return not inspect.isclass(source) and all(hasattr(source, part) for part in _SHAPE)


def parts(source: Any, name: str | None) -> dict[str, Any]:
    """The tool's name, description, schema, check and body; `name` replaces its own.

    It checks its arguments itself when it is invoked, and injects those that are not the
    model's. A tool without async code runs in a thread of its own.
    """

    async def invoke(**arguments: Any) -> Any:
        return await source.ainvoke(arguments)

    def invoke_in_thread(**arguments: Any) -> Any:
        return source.invoke(arguments)

    return {
        "name": name or source.name,
        "description": source.description or "",
        "parameters": _ONE_TEXT if _takes_one_text(source) else _schema(source),
        "check": _as_sent,
        "invoke": invoke if hasattr(source, "ainvoke") else invoke_in_thread,
    }


def _as_sent(arguments: dict[str, Any]) -> dict[str, Any]:
    return arguments


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
