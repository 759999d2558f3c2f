"""`watch`: one view of a run, in a notebook and in a terminal."""

import asyncio
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from workflow_agents import AsyncWorkflowContext, watch

ROOT = Path(__file__).parents[2]

SETUP = """
from workflow_agents import AsyncWorkflowContext, Engine, watch
engine = Engine("watched.db")

@engine.workflow("/shop")
async def shop(context: AsyncWorkflowContext[str]) -> str:
    await context.run("<b>reserve</b>", lambda: "ok")
    await context.wait_for_event("paid", "paid")
    return await context.run("ship", lambda: "shipped")

await engine.start()
run = await engine.client.trigger(shop, "chair")
"""
WATCHED = """
import asyncio

async def pay():
    while not await engine.client.notify("paid"):
        await asyncio.sleep(0.3)

paying = asyncio.create_task(pay())
log = await watch(run)
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the packages that run notebooks
def test_a_cell_shows_one_view_that_ends_with_the_run(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    cells = [nbformat.v4.new_code_cell(source) for source in (SETUP, WATCHED, "log")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=60, kernel_name="python3", resources=where).execute()

    [view] = notebook.cells[1].outputs
    shown = view["data"]["text/html"]
    assert "success" in shown
    assert "shipped" in shown
    assert "&lt;b&gt;reserve" in shown
    assert "<b>reserve" not in shown
    [result] = notebook.cells[2].outputs
    assert set(result["data"]) == {"text/html", "text/markdown", "text/plain"}
    assert result["data"]["text/plain"].endswith("/shop 3 steps: success)")


async def test_a_terminal_gets_lines(site, serve, capsys) -> None:
    @serve.post("/shop")
    async def shop(context: AsyncWorkflowContext[str]) -> str:
        await context.run("reserve", lambda: "ok")
        await context.wait_for_event("paid", "paid")
        return await context.run("ship", lambda: "shipped")

    run = await site.trigger("/shop")
    await site.waits(run, "paid")
    watching = asyncio.create_task(watch(run, every=0.01))
    await site.client.notify("paid")
    log = await watching
    assert log.state == "RUN_SUCCESS"
    assert capsys.readouterr().out.splitlines() == [
        "  reserve  ok",
        "  paid  waits",
        "  paid  ok",
        "  ship  ok",
        repr(log),
    ]


async def test_interrupting_stops_the_watching_and_not_the_run(site, serve, capsys) -> None:
    @serve.post("/shop")
    async def shop(context: AsyncWorkflowContext[str]) -> str:
        return str((await context.wait_for_event("paid", "paid")).event_data)

    run = await site.trigger("/shop")
    await site.waits(run, "paid")
    watching = asyncio.create_task(watch(run, every=0.01))
    while "waits" not in capsys.readouterr().out:
        await asyncio.sleep(0)
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
    assert f"await watch(client.handle({run.run_id!r}))" in capsys.readouterr().out
    await site.client.notify("paid", "in cash")
    assert await run.result() == "in cash"
