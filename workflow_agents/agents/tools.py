"""Tools: what a model may call, from typed functions, `WorkflowTool`s and LangChain's tools.

Whatever cannot be a tool is refused when the agent is made (WA701), not when the model first
calls it. How tools are called is in `tool_calls`; what becomes tools only inside a run, such as
agents and MCP servers, in `tool_sources`.
"""

import functools
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

from workflow_agents.agents import langchain, schemas, tool_options
from workflow_agents.agents.tool_options import (
    OPTIONS,
    NeedsApproval,
    OnUnknownOutcome,
    ToolOptions,
)
from workflow_agents.agents.tool_sources import ToolSource
from workflow_agents.errors import ConfigurationError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from workflow_agents.context.context import Duration, FlowControl

P = ParamSpec("P")
R = TypeVar("R")

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowTool(ToolOptions):
    """A tool whose schema is written by hand. It has the options of every tool.

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
class Tool(ToolOptions):
    """A tool as agents use it, whatever it was made of.

    Attributes:
        name: matches what providers allow.
        description: for the model.
        parameters: the JSON schema of its arguments.
        check: from the arguments as sent to those of `invoke`.
        invoke: the body; sync or async.
        context_parameter: of `invoke`: what takes a `ToolContext`.
        execute_as_step: whether a call is wrapped in a step.
        return_direct: what it returns is the agent's answer.
        told: which exceptions of the body the model is told.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    check: Callable[[dict[str, Any]], dict[str, Any]]
    invoke: Callable[..., Any]
    context_parameter: str | None = None
    execute_as_step: bool = True
    return_direct: bool = False
    told: type[Exception] = Exception


class FunctionTool(Generic[P, R]):
    """What `@tool` makes of a function: a tool that can still be called as before.

    Attributes:
        tool: as agents use it.
    """

    def __init__(self, function: Callable[P, R], tool: Tool) -> None:
        functools.update_wrapper(self, function)
        self.tool = tool
        self._function = function

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function itself, without an agent."""
        return self._function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<tool {self.tool.name!r}>"


@overload
def tool(source: Callable[P, R], /) -> FunctionTool[P, R]: ...  # pyright: ignore[reportOverlappingOverload] -- a function fits this one better
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    needs_approval: NeedsApproval = False,
    approval_timeout: "Duration" = "7d",
    approvers: int = 1,
    retries: int = 0,
    retry_delay: str | None = ...,
    timeout: "Duration | None" = None,
    flow_control: "FlowControl | None" = None,
    on_unknown_outcome: OnUnknownOutcome = "run_again",
    max_errors: int | None = None,
    strict: bool = False,
) -> Callable[[Callable[P, R]], FunctionTool[P, R]]: ...
@overload
def tool(
    source: Any,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    needs_approval: NeedsApproval = False,
    approval_timeout: "Duration" = "7d",
    approvers: int = 1,
    retries: int = 0,
    retry_delay: str | None = ...,
    timeout: "Duration | None" = None,
    flow_control: "FlowControl | None" = None,
    on_unknown_outcome: OnUnknownOutcome = "run_again",
    max_errors: int | None = None,
    strict: bool = False,
) -> Tool: ...
def tool(source: Any = None, /, **options: Any) -> Any:
    """Make a tool of a typed function; or give options to a tool of another kind.

        @tool
        def search(query: str) -> list[str]:
            \"\"\"Search the shop.\"\"\"

        @tool(needs_approval=True, retries=2)
        async def refund(order: int, context: ToolContext) -> str:
            \"\"\"Refund an order.\"\"\"

        tools = [search, refund, tool(WikipediaQueryRun(...), timeout="20s")]

    The schema is made of the type hints, descriptions of the docstring. A parameter of type
    `ToolContext` is not the model's. A coroutine function runs on the loop, another in a thread.

    Args:
        source: a function, a `WorkflowTool` or a LangChain tool.
        options: `name`, `description`, and those of `ToolOptions`: needs_approval,
            approval_timeout, approvers, retries, retry_delay, timeout, flow_control,
            on_unknown_outcome, max_errors, strict.

    Raises:
        ConfigurationError: WA701, it cannot be a tool; WA101, WA102, an option cannot be used.
    """
    tool_options.known(options, ("name", "description", *OPTIONS), "@tool(...)")
    if source is None:
        return functools.partial(_decorated, options=options)
    return _decorated(source, options)


def _decorated(source: Any, options: Mapping[str, Any]) -> Any:
    given = {k: v for k, v in options.items() if k in OPTIONS or v is not None}
    made = _made(source, given.pop("name", None), given)
    is_function = inspect.isfunction(source) or inspect.ismethod(source)
    return FunctionTool(source, made) if is_function else made


def toolset(tools: Sequence[Any] | Mapping[str, Any] | None) -> tuple[Tool | ToolSource, ...]:
    """Tools of any kind as agents use them; the keys of a dict are their names.

    Raises:
        ConfigurationError: WA701 for one that cannot be used, or two of one name.
    """
    made = [_made(source, name, {}) for name, source in _named(tools or ())]
    no_two_alike([tool for tool in made if isinstance(tool, Tool)])
    return tuple(made)


def no_two_alike(tools: Sequence[Tool]) -> Sequence[Tool]:
    """The tools, if their names differ.

    Raises:
        ConfigurationError: WA701.
    """
    seen: set[str] = set()
    for tool in tools:
        if tool.name in seen:
            raise ConfigurationError(
                "WA701",
                f"two tools are named {tool.name!r}",
                where=f"tool {tool.name!r}",
                found="expected a name for each, found one for two",
                why="the model calls tools by their names",
                fix=('name them: tools={"search_web": ..., "search_files": ...}',),
            )
        seen.add(tool.name)
    return tools


def _named(tools: Sequence[Any] | Mapping[str, Any]) -> Iterator[tuple[str | None, Any]]:
    if isinstance(tools, Mapping):
        yield from tools.items()
    else:
        yield from ((None, tool) for tool in tools)


def _made(source: Any, name: str | None, options: dict[str, Any]) -> Any:
    if isinstance(source, FunctionTool):
        source = cast("FunctionTool[Any, Any]", source).tool
    if isinstance(source, ToolSource):
        return source if name is None else source.named(name)
    if isinstance(source, Tool):
        made = source
    elif isinstance(source, WorkflowTool):
        made = _of_workflow_tool(source)
    elif inspect.isfunction(source) or inspect.ismethod(source):
        made = _of_function(source, options.get("description"))
    elif langchain.is_tool(source):
        made = Tool(**langchain.parts(source))
    else:
        raise _no_tool(source)
    return checked_tool(replace(made, **options, **({"name": name} if name else {})))


def _no_tool(source: Any) -> ConfigurationError:
    agent = hasattr(source, "max_steps")
    return ConfigurationError(
        "WA701",
        where="tools",
        found=f"expected a function, a WorkflowTool or a LangChain tool, found {source!r}",
        why="an agent is a tool only for a manager, or as agent.as_tool()" if agent else "",
        fix=("tools=[agent.as_tool()]", "agents.task(model=model, agents=[...], prompt=...)")
        if agent
        else (),
    )


def _of_function(function: Callable[..., Any], description: str | None) -> Tool:
    where = place(function)
    if function.__name__ == "<lambda>":
        raise ConfigurationError(
            "WA701",
            "a lambda cannot be a tool",
            where=where,
            found="expected a function with a name, found a lambda",
            why="it has no name, no description and no types",
            fix=("write a function with type hints and a docstring",),
        )
    arguments = schemas.of_signature(function, where)
    return Tool(
        name=function.__name__,
        description=description or schemas.summary(inspect.getdoc(function) or ""),
        parameters=arguments.schema,
        check=arguments.check,
        invoke=function,
        context_parameter=arguments.context,
    )


def _of_workflow_tool(source: WorkflowTool) -> Tool:
    name = source.name or str(getattr(source.invoke, "__name__", ""))
    where = f"tool {name!r}"
    if isinstance(source.schema, Mapping):
        arguments = schemas.of_json_schema(source.schema, where)
    else:
        arguments = schemas.of_model(source.schema, where)
    context = schemas.context_of(source.invoke, where)
    names = [*arguments.schema.get("properties", {}), *([context] if context else [])]
    _check_takes(source.invoke, names, where)
    return Tool(
        name=name.removeprefix("<lambda>"),
        description=source.description,
        parameters=arguments.schema,
        check=arguments.check,
        invoke=source.invoke,
        context_parameter=context,
        execute_as_step=source.execute_as_step,
        **source.options(),
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


def checked_tool(tool: Tool) -> Tool:
    """The tool as the model is shown it, if it can be used.

    Raises:
        ConfigurationError: WA701, WA102.
    """
    if not _NAME.fullmatch(tool.name):
        raise ConfigurationError(
            "WA701",
            f"{tool.name[:40]!r} cannot be the name of a tool"
            if tool.name
            else "a tool has no name",
            where=place(tool.invoke),
            found=f"expected 1 to 64 letters, digits, _ and -, found {tool.name!r}",
            why="the model calls tools by their names, which providers restrict",
            fix=('name it: tools={"calculate": tool}',),
        )
    if not tool.description.strip():
        raise ConfigurationError(
            "WA701",
            "a tool has no description",
            where=f"{place(tool.invoke)}, tool {tool.name!r}",
            found="expected text, found none",
            why="it is how the model knows when to call it",
            fix=("give the function a docstring", 'give the tool a description="..."'),
        )
    tool_options.checked(tool, f"tool {tool.name!r}", as_step=tool.execute_as_step)
    return replace(tool, parameters=schemas.strict(tool.parameters)) if tool.strict else tool


def place(function: Any) -> str:
    """Where a function stands: "app.py:41, search"."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    name = getattr(function, "__name__", repr(cast("object", function)))
    return f"{code.co_filename}:{code.co_firstlineno}, {name}" if code else name
