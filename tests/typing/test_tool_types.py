"""The types that users of tools and approvals see; pyright checks them, nothing runs."""

from typing import Any, assert_type

from workflow_agents import Approval, AsyncClient, ToolContext, WorkflowTool, mcp_server, tool
from workflow_agents.agents.tools import Tool


@tool
def plain(city: str) -> int:
    """Plain."""
    return len(city)


@tool(needs_approval=lambda arguments: arguments["city"] == "Oslo", retries=2, timeout="20s")
async def with_options(city: str, call: ToolContext) -> int:
    """With options."""
    return len(city + call.idempotency_key)


async def a_tool_is_still_its_function(call: ToolContext) -> None:
    assert_type(plain("Oslo"), int)
    assert_type(await with_options("Oslo", call), int)
    plain(3)  # pyright: ignore[reportArgumentType] -- a city is text
    tool(retrys=2)  # pyright: ignore[reportCallIssue, reportArgumentType] -- no such option


def a_tool_of_another_kind(source: WorkflowTool) -> None:
    assert_type(tool(source, needs_approval=True), Tool)
    mcp_server("npx", needs_approval=["delete"], tools=lambda name: name != "x")


async def approvals(client: AsyncClient) -> None:
    [approval] = await client.approvals.list("wfr_1")
    assert_type(approval, Approval)
    await client.approvals.approve(approval, arguments={"city": "Oslo"}, by="ada")
    await client.approvals.reject(approval.id, "no", by="ada")
    await client.approvals.resolve(approval.id, [1])
    arguments: dict[str, Any] = {**approval.arguments}
    assert_type(arguments, dict[str, Any])
