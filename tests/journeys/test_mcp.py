"""Agents with the tools of MCP servers: real ones, on stdio and over HTTP on loopback."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from mcp.server.mcpserver import Context, MCPServer

from tests import sdks
from tests.forks import forked, nursery
from workflow_agents import AsyncWorkflowContext, ConfigurationError, Secret, agent_workflow
from workflow_agents.agents.mcp import McpServer, mcp_server
from workflow_agents.testing.model_server import ScriptedModel

SERVER = Path(__file__).with_name("mcp_on_stdio.py")
WORKER = Path(__file__).with_name("mcp_worker.py")


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedModel]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-t0p")
    with ScriptedModel() as model:
        yield model
        model.assert_done()


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes"


def on_stdio(notes: Path, **options: Any) -> McpServer:
    args = [*forked(*sdks.MODULES), str(SERVER), str(notes)]
    return mcp_server(sys.executable, args=args, name="shop", **options)


async def asked(site: Any, model: ScriptedModel, *servers: McpServer) -> Any:
    """Start a run whose agent has these servers."""

    @site.serve.post("/shop", retries=0)
    async def shop(context: AsyncWorkflowContext[None]) -> str:
        agents = agent_workflow(context)
        llm = agents.openai("gpt-4o", base_url=model.base_url)
        agent = agents.agent(model=llm, name="buyer", tools=[*servers])
        return (await agents.task(agent=agent, prompt="Buy.").run()).text

    return await site.trigger("/shop")


def told(model: ScriptedModel) -> list[str]:
    return [m["content"] for m in model.requests[-1].messages if m["role"] == "tool"]


async def test_the_tools_of_a_server_on_stdio(site: Any, model: Any, notes: Path) -> None:
    model.call_tools(
        ("price", {"item": "tea", "amount": 2}),
        ("fail", {"why": "sold out"}),
        ("price", {"amount": "x"}),
        ("shop_delete", {}),
    ).say("Six.")
    log = await site.ended(await asked(site, model, on_stdio(notes)))

    assert log.result == "Six."
    shown = {t["function"]["name"]: t["function"] for t in model.requests[0].body["tools"]}
    assert list(shown) == ["price", "fail", "shop_delete"]
    assert shown["price"]["description"] == "The price of an item."
    assert shown["price"]["parameters"]["required"] == ["item"]
    price, failed, refused, deleted = told(model)
    assert (price, deleted) == ("6", "deleted")
    assert failed.startswith("Error: ")
    assert "sold out" in failed
    assert refused.startswith("Error: ")
    assert "item" in refused
    names = [step.name for step in log.steps]
    assert names[0] == "List tools of shop"
    assert names.count("Run tool price") == 2
    assert notes.read_text() in ("price tea\ndelete\n", "delete\nprice tea\n")


async def test_tools_may_be_filtered_named_and_approved(site: Any, model: Any, notes: Path) -> None:
    model.call_tools(("my_shop_delete", {})).say("It stays.")
    server = on_stdio(
        notes, tools=["price", "shop.delete"], prefix="my_", needs_approval=["shop.delete"]
    )
    run = await asked(site, model, server)
    await site.waits(run, "Approve tool my_shop_delete")
    assert model.requests[0].tools == ["my_price", "my_shop_delete"]
    [approval] = await site.client.approvals.list()
    await site.client.approvals.reject(approval)
    assert (await site.ended(run)).result == "It stays."
    assert not notes.exists()


async def test_two_servers_with_tools_of_one_name(site: Any, model: Any, notes: Path) -> None:
    run = await asked(site, model, on_stdio(notes), on_stdio(notes))
    log = await site.ended(run)
    assert log.failure["message"].startswith("WA701 two tools are named 'price'")


async def test_a_server_that_does_not_start_fails_the_run(site: Any, model: Any) -> None:
    server = mcp_server(sys.executable, args=["-c", "exit(3)"], name="gone", retry_delay="0")
    log = await site.ended(await asked(site, model, server))
    assert log.state == "RUN_FAILED"
    assert "List tools of gone" in str(log.failure)
    assert log.failure["error"] == "MCPError", log.failure


@contextlib.asynccontextmanager
async def over_http(server: MCPServer) -> AsyncIterator[str]:
    """The server's address."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    config = uvicorn.Config(
        server.streamable_http_app(), log_config=None, access_log=False, ws="none"
    )
    uvicorn_server = uvicorn.Server(config)
    task = asyncio.create_task(uvicorn_server.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"
    finally:
        uvicorn_server.should_exit = True
        await task
        listening.close()


async def test_the_tools_of_a_server_over_http(
    site: Any, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_KEY", "t0p-secret")
    remote = MCPServer("remote")
    keys: list[Any] = []

    @remote.tool()
    async def stock(item: str, ctx: Context) -> dict[str, int]:
        """How many there are."""
        keys.append(ctx.headers.get("authorization") if ctx.headers else None)
        return {item: 7}

    model.call_tools(("stock", {"item": "tea"}), ("stock", {"item": "tea"})).say("Seven.")
    async with over_http(remote) as url:
        headers = {"authorization": Secret("SHOP_KEY", prefix="Bearer ")}
        server = mcp_server(url, headers=headers)
        log = await site.ended(await asked(site, model, server))
    assert log.result == "Seven.", log.failure
    assert server.name == "127.0.0.1"
    assert keys == ["Bearer t0p-secret"] * 2
    assert all('"tea": 7' in text for text in told(model))
    assert b"t0p-secret" not in site.stored_bytes()


async def test_a_server_that_goes_away_is_told_to_the_model(site: Any, model: Any) -> None:
    remote = MCPServer("remote")

    @remote.tool()
    def stock() -> int:
        """How many."""
        return 1

    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(over_http(remote))
        going: asyncio.Task[None] | None = None

        def gone(_request: Any) -> Any:
            nonlocal going
            asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result()
            return CallTools((("stock", {}),))

        from workflow_agents.testing.model_server import CallTools

        loop = asyncio.get_running_loop()
        model.when(lambda request: len(request.messages) == 1, gone)
        model.say("It is gone.")
        log = await site.ended(await asked(site, model, mcp_server(url)))
    assert log.result == "It is gone.", log.failure
    assert told(model)[0].startswith("Error: ")


async def test_a_kill_in_the_middle_lists_no_tools_again(model: Any, tmp_path: Path) -> None:
    """The listing and the model's turn are recorded; the call that died is made again."""
    from tests.journeys.mcp_worker import RUN, engine_with

    model.call_tools(("price", {"item": "tea"})).say("Three.")
    notes = tmp_path / "notes"
    server = json.dumps(forked(*sdks.MODULES))
    arguments = [str(tmp_path / "mcp.db"), str(notes), model.base_url, server]
    worker = nursery(*sdks.MODULES).start([WORKER, *arguments], log=tmp_path / "said")
    while not (told := re.search(r"in the tool (\d+)", worker.err.read_text())):
        assert not worker.is_over, "it ended before it came to the tool"
        await asyncio.sleep(0.01)
    worker.kill()
    os.kill(int(told[1]), signal.SIGKILL)  # the server
    async with asyncio.timeout(60), engine_with(*arguments, hang=False) as engine:
        handle = engine.client.handle(RUN)
        assert await handle.result() == "Three."
        names = [step.name for step in (await handle.log()).steps]
    assert names.count("List tools of shop") == 1
    assert notes.read_text() == "price tea\n" * 2
    assert len(model.requests) == 2


@pytest.mark.parametrize(
    ("address", "options", "code"),
    [
        ("", {}, "WA102"),
        ("ftp://shop", {}, "WA102"),
        ("npx", {"args": "-y server"}, "WA102"),
        ("npx", {"retrys": 1}, "WA101"),
        ("npx", {"retries": -1}, "WA102"),
        (7, {}, "WA102"),
    ],
)
def test_a_server_that_cannot_be_is_refused(address: Any, options: Any, code: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        mcp_server(address, **options)
    assert caught.value.code == code


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(ConfigurationError, match="WA108") as caught:
        mcp_server("npx")
    assert "workflow-agents[mcp]" in str(caught.value)
