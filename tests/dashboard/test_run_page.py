"""The page of a run: its line of time, a step in full, and what is done from there."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.dashboard.run_world import SECRETS, Bank, add
from tests.dashboard.world import World


@pytest.fixture(scope="module")
def shown(world: World) -> Iterator[World]:
    """The world, with the runs of these tests."""
    with Bank() as bank:
        add(world, bank)
        yield world


def test_a_bar_tells_of_attempts_and_a_gap_of_its_length(shown: World, page: Any) -> None:
    page.goto(f"{shown.ui}/runs/{shown.runs['trip']}")
    book = page.get_by_role("option", name="book, run, success, 7.00 s, failed attempts: 3")
    book.wait_for()
    kinds = book.locator(".bar").evaluate_all("all => all.map(one => one.classList[1])")
    assert kinds == ["running", "backoff"] * 3 + ["running"]
    assert book.locator(".tick").count() == 3
    assert page.locator(".axis .gap-of").all_inner_texts() == ["2 d 23 h"]
    assert page.locator(".gap").last.get_attribute("title") == "Nothing ran for 2 d 23 h"
    last = page.get_by_role("option", name="go, run").bounding_box()
    bar = page.get_by_role("option", name="go, run").locator(".bar").bounding_box()
    assert bar["width"] > last["width"] / 20
    assert page.locator(".now").count() == 0
    page.goto(f"{shown.ui}/runs/{shown.runs['nap']}")
    page.locator(".now").wait_for()


def test_the_steps_of_an_invoked_run_are_shown_inside(shown: World, page: Any) -> None:
    page.goto(f"{shown.ui}/runs/{shown.runs['parent']}")
    order = page.get_by_role("option", name="order it, invoke, success")
    order.wait_for()
    order.click()
    page.get_by_role("listbox").press("ArrowRight")
    page.get_by_role("option", name="charge card, run, success").wait_for()
    assert "inside=wfr_" in page.url
    page.reload()
    inner = page.get_by_role("option", name="charge card, run, success")
    inner.wait_for()
    assert page.get_by_role("option").count() == 7
    page.get_by_role("listbox").press("ArrowLeft")
    inner.wait_for(state="detached")
    order.locator(".fold").click()
    inner.click()
    page.get_by_text("invoked by").wait_for()
    assert page.get_by_label("Step charge card").is_visible()


def test_attempts_tell_what_took_how_long_and_no_secret(shown: World, page: Any) -> None:
    run = shown.runs["bill"]
    page.goto(f"{shown.ui}/runs/{run}?step=1&tab=attempts&attempt=1")
    attempts = page.locator(".attempt")
    expect(attempts).to_have_count(3)
    heads = [head.inner_text() for head in attempts.locator("> summary").all()]
    assert [head.split()[3] for head in heads] == ["503", "503", "200"]
    assert attempts.nth(0).get_attribute("open") is not None
    words = [dt.inner_text() for dt in attempts.nth(0).locator(".times dt").all()]
    assert words == ["queued", "connect", "first byte", "body"]
    attempts.nth(2).locator("> summary").click()
    assert "attempt=3" in page.url
    attempts.nth(2).get_by_text("Response: status 200").click()
    attempts.nth(2).get_by_text("set-cookie").wait_for()
    attempts.nth(2).get_by_text("Request: POST").click()
    assert attempts.nth(2).get_by_text("[hidden]").count() == 3
    told = page.request.get(f"{shown.ui}/api/runs/{run}/steps/1").text()
    for secret in SECRETS:
        assert secret not in page.content()
        assert secret not in told


def test_each_tab_of_a_step_has_its_part(shown: World, page: Any) -> None:
    page.goto(f"{shown.ui}/runs/{shown.runs['failed']}?step=2")
    panel = page.get_by_label("Step charge card")
    # What has failed is told first.
    panel.get_by_text("the card was declined").first.wait_for()
    for tab, text in {
        "input": "that is not recorded",
        "output": "the card was declined",
        "attempts": "Attempt 1",
        "logs": "failed",
        "times": "attempt 1 failed",
    }.items():
        panel.get_by_role("button", name=tab).click()
        panel.get_by_text(text).first.wait_for()
    panel.get_by_role("button", name="code").click()
    panel.get_by_label("Source line").get_by_text('context.run("charge card", charge)').wait_for()
    assert "World._serve.<locals>.orders" in panel.inner_text()
    grip = panel.locator("..").get_by_role("separator")
    before = panel.bounding_box()["width"]
    grip.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert panel.bounding_box()["width"] == pytest.approx(before + 48, abs=1)
    page.reload()
    panel.wait_for()
    assert panel.bounding_box()["width"] == pytest.approx(before + 48, abs=1)
    page.keyboard.press("Escape")
    panel.wait_for(state="detached")


def test_a_large_value_is_shown_in_part_and_searched(shown: World, new_tab: Any) -> None:
    tab = new_tab()
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = tab.page
    page.goto(f"{shown.ui}/runs/{shown.runs['bill']}?step=1&tab=input")
    body = page.get_by_label("Body", exact=True)
    body.wait_for()
    assert len(body.inner_text()) <= 64_000
    with page.expect_download() as download:
        page.get_by_role("button", name="download").click()
    assert download.value.suggested_filename == "Body.json"
    page.get_by_label("Find in body").fill("A-1999")
    found = page.get_by_label("Found in body").get_by_role("listitem")
    expect(found).to_have_count(1)
    found.get_by_role("button", name="copy path").click()
    page.get_by_text("copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "$.lines[1999].sku"
    page.get_by_label("Find in body").fill("")
    body.click(position={"x": 60, "y": 40})
    assert page.locator(".value .tools code").inner_text() == "$.amount"
    page.get_by_role("button", name="show all of it").click()
    assert len(body.inner_text()) > 150_000
