"""Pages change as things happen: by one stream of the browser, without a gap, until paused."""

import os
from typing import Any

from playwright.sync_api import expect

from tests.dashboard.world import TOKEN, World
from workflow_agents.dashboard import site

IDLE_S = float(os.environ.get("DASHBOARD_IDLE_S", "2"))
"""For so long the processes of the browser are watched; from 20 on the budget is kept exactly."""


def test_news_come_by_one_stream_that_tabs_share(world: World, new_tab: Any) -> None:
    tab = new_tab()
    page, other = tab.page, tab.context.new_page()
    streams: list[str] = []
    for one in (page, other):
        one.on("request", lambda request: "stream" in request.url and streams.append(request.url))
        one.goto(world.ui)
        one.get_by_role("button", name="live").wait_for()
    run = world.trigger("/orders", {"amount": 11})
    for one in (page, other):
        row = one.get_by_role("row").filter(has_text=run)
        expect(row).to_contain_text("success")
    assert len(streams) == 1
    # Whoever led goes; the other goes on.
    page.close()
    run = world.trigger("/orders", {"amount": 12})
    expect(other.get_by_role("row").filter(has_text=run)).to_contain_text("success")
    assert len(streams) == 2


def test_a_run_page_asks_for_what_has_changed_only(world: World, tab: Any) -> None:
    page = tab.page
    run = world.runs["waits"]
    page.goto(f"{world.ui}/runs/{run}")
    page.get_by_role("button", name="live").wait_for()
    page.get_by_label("Data of the event, as JSON").wait_for()
    answers: list[Any] = []
    page.on("response", lambda answer: "?after=" in answer.url and answers.append(answer))
    world.call(world.engine.client.notify(f"approve-{run}", {"ok": True}))
    page.get_by_text("It has succeeded.").wait_for()
    told = [a.json() for a in answers if "/runs/" in a.url]
    assert [bar[1] for bar in told[-1]["steps"]] == ["manager's approval"]
    assert page.get_by_role("option").count() == 2


def test_what_happened_while_the_connection_was_cut_is_told(tmp_path: Any, tab: Any) -> None:
    page = tab.page
    with World(tmp_path) as world:
        page.goto(world.ui)
        page.get_by_role("button", name="live").wait_for()
        tab.context.set_offline(True)
        page.get_by_role("button", name="Start a run").click()
        page.get_by_role("button", name="Start", exact=True).click()
        page.get_by_text("The server cannot be reached").wait_for()
        page.keyboard.press("Escape")
        runs = [world.trigger("/long", 1) for _ in range(5)]
        for run in runs:
            world.ended(run)
        tab.context.set_offline(False)
        expect(page.get_by_role("row").filter(has_text=runs[-1])).to_contain_text("success")
        told = page.request.get(f"{world.ui}/api/runs").json()["runs"]
        shown = page.locator("table.list tbody tr")
        assert [row.replace("\n", "").split("\t")[1:4] for row in shown.all_inner_texts()] == [
            [line[3], line[2], line[1]] for line in told
        ]


def test_a_page_survives_its_server(tmp_path: Any, tab: Any, monkeypatch: Any) -> None:
    """It says that the server is gone, and when it is back goes on where it was.

    Sessions end with the process, and the next may be of another version: it says that too.
    """
    page = tab.page
    with World(tmp_path, dev=False) as world:
        page.goto(f"{world.ui}/?label=kept")
        page.get_by_label("Token").fill(TOKEN)
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Runs").wait_for()
        page.get_by_role("button", name="live").wait_for()
    page.get_by_role("alert").get_by_text(f"does not answer at {world.ui}").wait_for()
    page.get_by_role("button", name="reconnecting").wait_for()
    monkeypatch.setattr(site, "_version", lambda: "another")
    with World(tmp_path, dev=False, port=world.port) as back:
        page.get_by_role("heading", name="Sign in again").wait_for()
        page.get_by_label("Token").fill(TOKEN)
        page.keyboard.press("Enter")
        page.get_by_role("group", name="Filters").get_by_text("kept").wait_for()
        run = back.trigger("/long", 1, label="kept")
        page.get_by_role("link", name=run).wait_for()
        page.get_by_role("alert").wait_for(state="detached")
        page.get_by_text("The server has another version than this page").wait_for()
    tab.errors.clear()


def test_nothing_is_read_where_nobody_looks(settled: World, tab: Any) -> None:
    page = tab.page
    page.add_init_script(
        "Object.defineProperty(document, 'hidden', { get: () => window.away ?? false })"
    )
    page.goto(settled.ui)
    page.get_by_role("button", name="live").wait_for()
    broadcast = settled.engine.core.broadcast
    away = "away => { window.away = away; document.dispatchEvent(new Event('visibilitychange')) }"
    page.evaluate(away, True)
    settled.until(lambda: len(broadcast) == 0)
    asked = len(tab.requests)
    run = settled.trigger("/long", 1)
    settled.ended(run)
    assert len(tab.requests) == asked
    assert page.get_by_text(run).count() == 0
    page.evaluate(away, False)
    page.get_by_text(run).wait_for()
    assert len(broadcast) == 1


def test_a_page_changes_once_in_a_frame(settled: World, page: Any) -> None:
    page.goto(settled.ui)
    page.get_by_role("button", name="live").wait_for()
    page.evaluate(
        """() => {
            let frame = 0;
            const next = () => { frame++; requestAnimationFrame(next); };
            next();
            window.changes = {};
            new MutationObserver(() => { changes[frame] = (changes[frame] ?? 0) + 1 })
                .observe(document.body, { childList: true, subtree: true, characterData: true });
        }"""
    )
    runs = [settled.trigger("/orders", {"amount": 1}) for _ in range(12)]
    for run in runs:
        settled.ended(run)
    page.get_by_role("row").filter(has_text=runs[-1]).get_by_text("success").wait_for()
    changes = page.evaluate("Object.values(changes)")
    assert changes
    assert max(changes) == 1


def test_an_idle_page_costs_next_to_nothing(settled: World, browser: Any, page: Any) -> None:
    """Of a core, all processes of the browser; with runs on it that wait and run."""
    cdp = browser.new_browser_cdp_session()

    def used() -> float:
        found = cdp.send("SystemInfo.getProcessInfo")["processInfo"]
        return sum(one["cpuTime"] for one in found)

    for path in ("", f"/runs/{settled.runs['waits']}"):
        page.goto(f"{settled.ui}{path}")
        page.get_by_role("button", name="live").wait_for()
        page.wait_for_timeout(1_000 * IDLE_S / 2)
        before = used()
        page.wait_for_timeout(1_000 * IDLE_S)
        share = 100 * (used() - before) / IDLE_S
        print(f"idle{path}: {share:.1f} % of a core in {IDLE_S} s")
        assert share < (2 if IDLE_S >= 20 else 6)


def test_nothing_moves_while_it_is_paused(world: World, page: Any) -> None:
    page.goto(world.ui)
    page.get_by_role("button", name="live").wait_for()
    page.keyboard.press("p")
    page.get_by_role("button", name="paused").wait_for()
    run = world.trigger("/orders", {"amount": 13})
    world.ended(run)
    page.wait_for_timeout(700)
    assert page.get_by_text(run).count() == 0
    page.keyboard.press("p")
    page.get_by_text(run).wait_for()


def test_a_reply_is_read_while_it_is_written(world: World, page: Any) -> None:
    run = world.runs["agent"]
    page.goto(f"{world.ui}/runs/{run}?view=conversation")
    page.get_by_text("Order 7 came broken").wait_for()
    assert world.model is not None
    world.model.say("All is well again.")
    page.get_by_role("button", name="Approve", exact=True).click()
    page.get_by_text("All is well again.").wait_for()
    assert world.ended(run) == "RUN_SUCCESS"
    entries = world.engine.core.admin.entries(world.engine.core.admin.find(run))
    [decided] = [e.data for e in entries if e.step_name == "Approve tool refund" and e.data][-1:]
    assert decided["data"]["verdict"] == "approve"
