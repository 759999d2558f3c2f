"""Pages change as things happen: by one stream of the browser, without a gap, until paused."""

from typing import Any

from playwright.sync_api import expect

from tests.dashboard.world import World


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


def test_a_server_that_comes_back_is_asked_again(tmp_path: Any, tab: Any) -> None:
    page = tab.page
    with World(tmp_path) as world:
        page.goto(world.ui)
        page.get_by_role("button", name="live").wait_for()
        # The connection is cut, and what happens meanwhile is told afterwards.
        tab.context.set_offline(True)
        page.get_by_role("button", name="Start a run").click()
        page.get_by_role("button", name="Start", exact=True).click()
        page.get_by_text("The server cannot be reached").wait_for()
        page.keyboard.press("Escape")
        run = world.trigger("/orders", {"amount": 5})
        world.ended(run)
        tab.context.set_offline(False)
        expect(page.get_by_role("row").filter(has_text=run)).to_contain_text("success")
    page.get_by_role("button", name="reconnecting").wait_for()
    tab.errors.clear()


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
