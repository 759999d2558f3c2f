"""Tools: what a model may call, from typed functions, `WorkflowTool`s and LangChain's tools.

Whatever cannot be a tool is refused when the agent is made (WA701), not when the model first
calls it. How tools are called is in `tool_calls`.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from workflow_agents.agents import langchain, schemas
from workflow_agents.errors import ConfigurationError

if TYPE_CHECKING:
    from pydantic import BaseModel

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowTool:
    """A tool whose schema is written by hand.

        WorkflowTool(
            description="Evaluates an expression such as '1.2 * (2 + 4.5)'.",
            schema={"type": "object", "properties": {"expression": {"type": "string"}}},
            invoke=evaluate,
        )

    Attributes:
        description: tells the model what it is for.
        schema: a pydantic model, or a JSON schema of type object.
        invoke: gets the checked arguments as keyword arguments; sync or async.
        name: default: the key in a dict of tools, or the name of `invoke`.
        execute_as_step: False if `invoke` uses the context itself; it then runs again in
            every replay, and only its steps are recorded.

    Source: `WorkflowTool` of the Workflow SDK.
    """

    description: str
    schema: "type[BaseModel] | Mapping[str, Any]"
    invoke: Callable[..., Any]
    name: str | None = None
    execute_as_step: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool as agents use it, whatever it was made of.

    Attributes:
        name: matches what providers allow.
        description: for the model.
        parameters: the JSON schema of its arguments.
        check: from the arguments as sent to those of `invoke`.
        invoke: the body; sync or async.
        execute_as_step: whether a call is wrapped in a step.
        told: which exceptions of the body the model is told.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    check: Callable[[dict[str, Any]], dict[str, Any]]
    invoke: Callable[..., Any]
    execute_as_step: bool = True
    told: type[Exception] = Exception


def toolset(tools: Sequence[Any] | Mapping[str, Any] | None) -> tuple[Tool, ...]:
    """Tools of any kind as agents use them; the keys of a dict are their names.

    Raises:
        ConfigurationError: WA701 for one that cannot be used, or two of one name.
    """
    made: dict[str, Tool] = {}
    for name, source in _named(tools or ()):
        tool = _tool(source, name)
        if tool.name in made:
            raise ConfigurationError(
                "WA701",
                f"two tools are named {tool.name!r}",
                where=f"tool {tool.name!r}",
                why="the model calls tools by their names",
                fix=('name them: tools={"search_web": ..., "search_files": ...}',),
            )
        made[tool.name] = tool
    return tuple(made.values())


def _named(tools: Sequence[Any] | Mapping[str, Any]) -> Iterator[tuple[str | None, Any]]:
    if isinstance(tools, Mapping):
        yield from tools.items()
    else:
        yield from ((None, tool) for tool in tools)


def _tool(source: Any, name: str | None) -> Tool:
    if isinstance(source, Tool):
        tool = replace(source, name=name or source.name)
    elif isinstance(source, WorkflowTool):
        tool = _of_workflow_tool(source, name)
    elif inspect.isfunction(source) or inspect.ismethod(source):
        tool = _of_function(source, name)
    elif langchain.is_tool(source):
        tool = Tool(**langchain.parts(source, name))
    else:
        raise ConfigurationError(
            "WA701",
            where="tools",
            found=f"expected a function, a WorkflowTool or a LangChain tool, found {source!r}",
            why="an agent is a tool only for a manager" if hasattr(source, "max_steps") else "",
            fix=("agents.task(model=model, agents=[...], prompt=...)",)
            if hasattr(source, "max_steps")
            else (),
        )
    return _checked(tool)


def _of_function(function: Callable[..., Any], name: str | None) -> Tool:
    where = _place(function)
    if function.__name__ == "<lambda>":
        raise ConfigurationError(
            "WA701",
            "a lambda cannot be a tool",
            where=where,
            why="it has no name, no description and no types",
            fix=("write a function with type hints and a docstring",),
        )
    arguments = schemas.of_signature(function, where)
    return Tool(
        name=name or function.__name__,
        description=schemas.summary(inspect.getdoc(function) or ""),
        parameters=arguments.schema,
        check=arguments.check,
        invoke=function,
    )


def _of_workflow_tool(source: WorkflowTool, name: str | None) -> Tool:
    name = name or source.name or str(getattr(source.invoke, "__name__", ""))
    where = f"tool {name!r}"
    if isinstance(source.schema, Mapping):
        arguments = schemas.of_json_schema(source.schema, where)
    else:
        arguments = schemas.of_model(source.schema, where)
    _check_takes(source.invoke, list(arguments.schema.get("properties", {})), where)
    return Tool(
        name=name.removeprefix("<lambda>"),
        description=source.description,
        parameters=arguments.schema,
        check=arguments.check,
        invoke=source.invoke,
        execute_as_step=source.execute_as_step,
    )


def _check_takes(function: Callable[..., Any], names: list[str], where: str) -> None:
    try:
        inspect.signature(function).bind(**dict.fromkeys(names))
    except TypeError as error:
        raise ConfigurationError(
            "WA701",
            "the function of the tool does not take what its schema describes",
            where=where,
            found=(f"expected an argument for each of: {', '.join(names)}", f"found {error}"),
            fix=(f"def {getattr(function, '__name__', 'invoke')}({', '.join(names)}): ...",),
        ) from error
    except ValueError:
        return  # a built-in function, which does not say what it takes


def _checked(tool: Tool) -> Tool:
    if not _NAME.fullmatch(tool.name):
        raise ConfigurationError(
            "WA701",
            f"{tool.name[:40]!r} cannot be the name of a tool"
            if tool.name
            else "a tool has no name",
            where=_place(tool.invoke),
            found=f"expected 1 to 64 letters, digits, _ and -, found {tool.name!r}",
            why="the model calls tools by their names, which providers restrict",
            fix=('name it: tools={"calculate": tool}',),
        )
    if not tool.description.strip():
        raise ConfigurationError(
            "WA701",
            "a tool has no description",
            where=f"{_place(tool.invoke)}, tool {tool.name!r}",
            why="it is how the model knows when to call it",
            fix=("give the function a docstring",),
        )
    return tool


def _place(function: Any) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None)
    name = getattr(function, "__name__", repr(cast("object", function)))
    return f"{code.co_filename}:{code.co_firstlineno}, {name}" if code else name
