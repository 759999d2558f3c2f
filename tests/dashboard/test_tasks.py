"""Five things that somebody does who has never seen the dashboard, and reads no documentation."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.dashboard.world import World

MOST_S = 60


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """A browser that waits for nobody is to need far less than a person may."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < MOST_S


def test_start_and_see_the_first_run(page: Any, tmp_path: Any) -> None:
    with World(tmp_path) as fresh:
        page.goto(fresh.ui)
        page.get_by_role("button", name="Start the first run").click()
        page.get_by_role("dialog").get_by_label("Workflow").select_option("/orders")
        page.get_by_label("Input, as JSON").fill('{"amount": 42}')
        page.get_by_role("button", name="Start", exact=True).click()
        page.get_by_text("It has succeeded.").wait_for()
        assert page.get_by_role("option", name="charge card, run").count() == 1
        assert fresh.paid == [42]


def test_find_why_a_run_failed(world: World, page: Any) -> None:
    page.goto(world.ui)
    page.get_by_role("navigation", name="States").get_by_role("link", name="failed").click()
    page.get_by_role("link", name=world.runs["failed"]).click()
    page.get_by_text("It has failed: ").wait_for()
    page.get_by_label("failures only").check()
    page.get_by_role("option").nth(1).wait_for(state="detached")
    page.get_by_role("option").click()
    page.get_by_role("button", name="attempts").click()
    page.get_by_label("Step charge card").get_by_text("the card was declined").first.wait_for()
    assert "tests/dashboard/world.py" in page.get_by_label("Step charge card").inner_text()


def test_rerun_from_a_step_with_edited_input(world: World, page: Any) -> None:
    page.goto(f"{world.ui}/runs/{world.runs['failed']}")
    page.get_by_role("option", name="charge card, run").click()
    page.get_by_role("button", name="Fork here").click()
    page.get_by_label("Input").fill('{"amount": 77}')
    page.locator("dialog .diff").get_by_text('+ "amount": 77').wait_for()
    assert page.locator("dialog .diff div").count() == 2
    page.get_by_role("button", name="Start the new run").click()
    page.get_by_text("It has succeeded.").wait_for()
    assert page.get_by_text("forked from").inner_text().endswith("at step 2")
    assert world.paid[-1] == 77
    made = page.url.rpartition("/")[2]
    log = world.engine.core.admin
    history = world.call(_history(world, made))
    assert [step.name for step in history][:2] == ["reserve stock", "charge card"]
    kept = world.call(_history(world, world.runs["failed"]))[0]
    assert history[0].ended_at is not None
    assert history[0].out == kept.out
    assert log.find(made).parent is None

    page.get_by_role("link", name="Compare with its origin").click()
    page.get_by_text("steps differ").wait_for()
    assert page.get_by_role("row", name="charge card").get_by_text("differs").count() == 1


async def _history(world: World, run: str) -> Any:
    admin = world.engine.core.admin
    return admin.log(admin.find(run)).steps


def test_approve_from_a_window_as_large_as_a_telephones(world: World, new_tab: Any) -> None:
    tab = new_tab(viewport={"width": 360, "height": 740}, has_touch=True)
    page = tab.page
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(world.ui)
    page.get_by_role("link", name="Approvals").click()
    page.get_by_role("button", name="copy a link").click()
    page.get_by_text("A link for this approval is copied").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")

    page.goto(link)
    page.get_by_role("heading", name="clerk wants to call refund").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert '"amount": 25' in page.get_by_label("Arguments").inner_text()
    assert world.model is not None
    world.model.say("It is refunded.")
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Arguments").fill('{"order": 7, "amount": 20}')
    page.get_by_text('+ "amount": 20').wait_for()
    page.get_by_role("button", name="Approve as edited").tap()
    page.get_by_text("It is decided.").wait_for()
    assert world.ended(world.runs["agent"]) == "RUN_SUCCESS"
    assert world.refunds == [(7, 20)]

    page.goto(f"{world.ui}/runs/{world.runs['agent']}?view=conversation")
    page.get_by_text("It is refunded.").wait_for()
    page.goto(link)
    page.get_by_role("alert").get_by_text("no longer waits").wait_for()


def test_find_what_a_stuck_run_waits_for_and_answer(world: World, page: Any) -> None:
    page.goto(f"{world.ui}/?state=waiting")
    page.get_by_role("link", name=world.runs["waits"]).click()
    page.get_by_text("waits for 2 d 23 h for the event approve-").wait_for()
    page.get_by_label("Data of the event, as JSON").fill('{"approved": true}')
    page.get_by_role("button", name="Send the answer").click()
    page.get_by_text("It has succeeded.").wait_for()
    page.get_by_role("button", name="input and result").click()
    assert '"approved": true' in page.get_by_label("Result").inner_text()
