"""The tools of MCP servers, over stdio or streamable HTTP.

    agents.agent(..., tools=[mcp_server("https://mcp.example.com/mcp", tools=["search"])])

A task asks the server for its tools in a step, "List tools of <server>", so that a replay shows
the model the same; each call of one is a `run` step like any other. A connection lasts as long as
the step that needs it: nothing is left open when a run parks, and a run that goes on in another
process misses nothing. What a server keeps in its memory between calls is therefore lost; such
state does not survive a crash either.

The `mcp` package is imported when the first connection is opened.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import urlsplit

from workflow_agents import config
from workflow_agents.agents.ports import AgentContext, Ask
from workflow_agents.agents.schemas import BadCall
from workflow_agents.agents.tool_options import (
    OPTIONS,
    NeedsApproval,
    ToolOptions,
    checked,
    known,
)
from workflow_agents.agents.tool_sources import ToolSource
from workflow_agents.agents.tools import Tool, checked_tool
from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.secrets import Secret

if TYPE_CHECKING:
    import mcp

_LIST_RETRIES = 3
_LIST_TIMEOUT_S = 60
_CALL_TIMEOUT = "5m"


@dataclass(frozen=True, slots=True, kw_only=True)
class McpServer(ToolSource):
    """What `mcp_server` returns; its arguments are there.

    Attributes:
        address: a URL, or a command.
        options: of its tools.
        approvals: the names of the tools that a person has to approve; None: `options` say it.
    """

    address: str
    name: str
    description: str
    args: tuple[str, ...] = ()
    headers: Mapping[str, str | Secret] = field(default_factory=dict[str, str | Secret])
    env: Mapping[str, str | Secret] = field(default_factory=dict[str, str | Secret])
    cwd: str | None = None
    tools: Collection[str] | Callable[[str], bool] | None = None
    prefix: str = ""
    approvals: Collection[str] | None = None
    options: ToolOptions = field(default_factory=ToolOptions)

    def named(self, name: str) -> Self:
        """See `ToolSource.named`."""
        return replace(self, name=name)

    async def expand(self, context: AgentContext, ask: Ask) -> Sequence[Tool]:  # noqa: ARG002  # it asks no agent
        """See `ToolSource.expand`."""
        listed = await context.run(
            f"List tools of {self.name}",
            self._list,
            retries=_LIST_RETRIES,
            retry_delay=self.options.retry_delay,
        )
        return [self._tool(described) for described in listed]

    async def _list(self) -> list[dict[str, Any]]:
        """Every tool that passes the filter, as JSON data."""
        found: list[dict[str, Any]] = []
        async with asyncio.timeout(_LIST_TIMEOUT_S), self._connected() as client:
            cursor: str | None = None
            while True:
                page = await client.list_tools(cursor=cursor)
                found += [
                    {
                        "name": tool.name,
                        "description": tool.description or tool.title or tool.name,
                        "schema": tool.input_schema,
                    }
                    for tool in page.tools
                    if self._wants(tool.name)
                ]
                cursor = page.next_cursor
                if not cursor:
                    return found

    def _wants(self, name: str) -> bool:
        if self.tools is None:
            return True
        return self.tools(name) if callable(self.tools) else name in self.tools

    def _tool(self, described: Mapping[str, Any]) -> Tool:
        name, schema = described["name"], described["schema"]

        async def invoke(**arguments: Any) -> Any:
            return await self._call(name, arguments)

        options = self.options.options()
        if self.approvals is not None:
            options["needs_approval"] = name in self.approvals
        made = Tool(
            name=self.prefix + re.sub(r"[^a-zA-Z0-9_-]+", "_", name),
            description=described["description"],
            parameters={"type": "object", "properties": {}, **schema},
            # The server checks them, and what it says goes back to the model.
            check=_as_sent,
            invoke=invoke,
            **options,
        )
        return checked_tool(made)

    async def _call(self, name: str, arguments: dict[str, Any]) -> Any:
        try:
            async with self._connected() as client:
                result = await client.call_tool(name, arguments)
        except _package().MCPError as error:
            raise BadCall(f"the server of the tool answered: {error}") from error
        content = _content(result)
        if result.is_error:
            raise BadCall(content if isinstance(content, str) else json.dumps(content))
        return content

    @asynccontextmanager
    async def _connected(self) -> "AsyncGenerator[mcp.Client]":
        """A connection of its own, whose errors come as they are, in no group."""
        try:
            async with self._opened() as client:
                yield client
        except ExceptionGroup as group:
            raise _leaf(group) from group

    @asynccontextmanager
    async def _opened(self) -> "AsyncGenerator[mcp.Client]":
        """A connection, opened and closed in the task that uses it."""
        mcp = _package()
        if not self._is_remote:
            server = mcp.StdioServerParameters(
                command=self.address,
                args=[*self.args],
                env=_read(self.env) or None,
                cwd=self.cwd,
            )
            async with mcp.Client(server) as client:
                yield client
            return
        from mcp.client.streamable_http import streamable_http_client
        from mcp.shared._httpx_utils import create_mcp_http_client

        async with create_mcp_http_client(headers=_read(self.headers)) as http:
            transport = streamable_http_client(self.address, http_client=http)
            async with mcp.Client(transport) as client:
                yield client

    @property
    def _is_remote(self) -> bool:
        return self.address.startswith(("http://", "https://"))


def mcp_server(
    address: str,
    *,
    args: Sequence[str] = (),
    name: str | None = None,
    headers: Mapping[str, str | Secret] | None = None,
    env: Mapping[str, str | Secret] | None = None,
    cwd: str | None = None,
    tools: Collection[str] | Callable[[str], bool] | None = None,
    prefix: str = "",
    needs_approval: NeedsApproval | Collection[str] = False,
    **options: Any,
) -> McpServer:
    """The tools of an MCP server, for `tools=[...]` of an agent.

        mcp_server("npx", args=["-y", "@modelcontextprotocol/server-filesystem", "."])
        mcp_server("https://mcp.example.com/mcp", headers={"authorization": Secret("MCP_KEY")})

    Needs the extra `mcp`. What a tool answers as an error, and errors of the protocol, go back
    to the model; where no connection can be made, a call is tried again `retries` times first.

    Args:
        address: a URL of streamable HTTP, or the command that starts a server on stdio.
        args: of the command.
        name: what its steps are named after; default: the host, or the command.
        headers: sent to a URL; a `Secret` is read when a connection is opened.
        env: variables for a command; a `Secret` is read when it is started.
        cwd: where a command runs.
        tools: which tools: names, or a function of a name; default: all.
        prefix: put before the names of the tools, where two servers have tools of one name.
        needs_approval: True; a function of the arguments; or the names of the tools, as the
            server calls them, that a person has to approve.
        options: the others of `ToolOptions`, for all its tools; `timeout` is five minutes where
            it is not given.

    Raises:
        ConfigurationError: WA101, WA102, an option cannot be used; WA108, `mcp` is missing.
    """
    where = f"mcp_server({address!r})"
    known(options, OPTIONS, where)
    _check_address(address, args, where)
    approvals: Collection[str] | None = None
    if not isinstance(needs_approval, bool) and not callable(needs_approval):
        approvals, needs_approval = frozenset(needs_approval), False
    options.setdefault("timeout", _CALL_TIMEOUT)
    made = ToolOptions(needs_approval=needs_approval, **options)
    checked(made, where, as_step=True)
    _package()
    host = urlsplit(address).hostname if "://" in address else None
    own = name or host or re.split(r"[\\/]", address)[-1]
    return McpServer(
        address=address,
        name=own,
        description=f"the tools of {own}",
        args=tuple(args),
        headers=dict(headers or {}),
        env=dict(env or {}),
        cwd=cwd,
        tools=tools if tools is None or callable(tools) else frozenset(tools),
        prefix=prefix,
        approvals=approvals,
        options=made,
    )


def _check_address(address: object, args: object, where: str) -> None:
    if not isinstance(address, str) or not address.strip():
        found, expected = address, "a URL, or a command as text"
    elif isinstance(args, str):
        found, expected = args, "args as a list of texts"
    elif "://" in address and not address.startswith(("http://", "https://")):
        found, expected = address, "a URL of http or https"
    else:
        return
    raise ConfigurationError(
        "WA102",
        "the address of an MCP server cannot be used",
        where=where,
        found=f"expected {expected}, found {found!r}"[:200],
        fix=('mcp_server("https://example.com/mcp")', 'mcp_server("npx", args=["-y", "server"])'),
    )


def _package() -> Any:
    try:
        import mcp
    except ImportError as error:
        raise ConfigurationError(
            "WA108", where="mcp_server", fix=("pip install 'workflow-agents[mcp]'",)
        ) from error
    return mcp


def _read(values: Mapping[str, str | Secret]) -> dict[str, str]:
    """The values, with secrets read.

    Raises:
        ConfigurationError: WA109, one is not set.
    """
    opened: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Secret):
            read = config.variable(value.env)
            if read is None:
                raise ConfigurationError("WA109", where=name, found=f"{value.env} is not set")
            opened[name] = value.prefix + read
        else:
            opened[name] = value
    return opened


def _as_sent(arguments: dict[str, Any]) -> dict[str, Any]:
    return arguments


def _content(result: Any) -> Any:
    """What the model reads: text where there is only text, else the blocks as JSON data."""
    blocks: list[Any] = result.content
    if not blocks and result.structured_content is not None:
        return result.structured_content
    if all(block.type == "text" for block in blocks):
        return "\n".join(block.text for block in blocks)
    return [block.model_dump(mode="json", by_alias=True, exclude_none=True) for block in blocks]


def _leaf(group: ExceptionGroup[Exception]) -> Exception:
    """The error that a task group of the connection has wrapped."""
    first = group.exceptions[0]
    return _leaf(cast("ExceptionGroup[Exception]", first)) if _is_group(first) else first


def _is_group(error: Exception) -> bool:
    return isinstance(error, ExceptionGroup)
