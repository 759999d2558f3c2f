"""The page of a run: its line of time, a step in full, and what is done from there."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.dashboard.run_world import SECRETS, Bank, add
from tests.dashboard.world import TOKEN, World


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
    page.wait_for_url("**attempt=3*")  # a browser tells of it a little later
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
    expect(body).to_contain_text("A-1999")
    assert len(body.inner_text()) > 150_000


def test_another_input_is_checked_compared_and_run(shown: World, page: Any) -> None:
    run = shown.runs["typed"]
    page.goto(f"{shown.ui}/runs/{run}")
    page.get_by_role("button", name="Run again").click()
    dialog = page.get_by_role("dialog", name="Run again")
    dialog.get_by_text("What it takes").click()
    dialog.get_by_label("Schema").get_by_text('"minItems": 1').wait_for()
    field = dialog.get_by_label("Input")
    field.fill('{"customer": "ada", "items": [{"sku": "A", "count": 0}]}')
    wrong = dialog.locator(".wrong")
    wrong.get_by_text("items.0.count").wait_for()
    assert "greater than or equal to 1" in wrong.inner_text()
    assert dialog.get_by_role("button", name="Start the new run").is_disabled()
    field.fill("")
    dialog.get_by_role("button", name="begin with a template").click()
    wrong.get_by_text("List should have at least 1 item").wait_for()
    field.fill('{"customer": "bob", "items": [{"sku": "B", "count": 7}]}')
    wrong.wait_for(state="detached")
    assert '+   "customer": "bob"' in dialog.locator(".diff").inner_text()
    dialog.get_by_role("button", name="Start the new run").click()
    page.wait_for_url(lambda url: run not in url)
    page.get_by_text("forked from").wait_for()
    page.get_by_text("It has succeeded.").wait_for()
    made = page.url.rpartition("/")[2]
    assert shown.call(shown.engine.client.log(made)).result == 7
    page.get_by_role("link", name=run).click()
    page.wait_for_url(f"**/{run}")


def test_an_agent_is_asked_again_with_another_model(shown: World, page: Any) -> None:
    model = shown.model
    assert model is not None
    model.say("No refund.")
    model.requests.clear()
    page.goto(f"{shown.ui}/runs/{shown.runs['agent']}?view=conversation")
    page.get_by_role("button", name="ask again").click()
    dialog = page.get_by_role("dialog", name="Fork from “Call Agent clerk”")
    assert dialog.get_by_label("Instructions").input_value().startswith("You are a clerk")
    dialog.get_by_label("Model").fill("gpt-4o-mini")
    dialog.get_by_label("Prompt").fill("What is your name?")
    dialog.get_by_role("button", name="Start the new run").click()
    page.get_by_text("clerk asked otherwise: model gpt-4o-mini, prompt").wait_for()
    page.get_by_text("It has succeeded.").wait_for()
    [request] = model.requests
    assert request.body["model"] == "gpt-4o-mini"
    assert request.messages[-1]["content"] == "What is your name?"


def copied(page: Any, name: str) -> str:
    """What a button for copying puts into the clipboard."""
    buttons = page.get_by_role("group", name="Copy as").last.get_by_role("button")
    buttons.filter(has_text=re.compile(f"^{name}$")).wait_for()
    button = buttons.nth(buttons.all_inner_texts().index(name))
    button.click()
    expect(button).to_have_text("copied")
    return page.evaluate("navigator.clipboard.readText()")


def test_what_is_copied_does_the_same_from_a_shell(shown: World, new_tab: Any) -> None:
    tab = new_tab()
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = tab.page
    run = shown.runs["talk"]
    page.goto(f"{shown.ui}/runs/{run}")
    assert copied(page, "id") == run
    assert copied(page, "link") == page.url
    texts = [("show", name, copied(page, name)) for name in ("curl", "Python")]
    page.goto(f"{shown.ui}/runs/{shown.runs['done']}")
    page.get_by_role("button", name="Run again").click()
    page.get_by_label("Input").fill('{"amount": 33, "note": "it\'s $HOME"}')
    texts += [("fork", name, copied(page, name)) for name in ("curl", "command")]
    assert ".fork(body={" in copied(page, "Python")
    page.goto(f"{shown.ui}/runs/{shown.runs['bill']}?step=1&tab=input")
    texts.append(("request", "curl", copied(page, "curl")))
    with ThreadPoolExecutor(len(texts)) as together:
        done = list(together.map(lambda one: shell(*one[1:]), texts))
    for (verb, name, text), out in zip(texts, done, strict=True):
        expected = {"show": run, "fork": "wfr_", "request": "paid"}[verb]
        assert expected in out, (verb, name, text, out)
        if verb == "fork":
            made = re.findall(r"wfr_[\w-]+", out)[-1]
            assert shown.call(shown.engine.client.log(made)).payload["note"] == "it's $HOME"


def shell(name: str, text: str) -> str:
    """What a text that was copied prints."""
    program = [sys.executable, "-"] if name == "Python" else ["sh"]
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    secrets = {"AUTHORIZATION": "Bearer x", "X_API_KEY": "y"}
    done = subprocess.run(
        program, input=text, capture_output=True, text=True, check=False, timeout=60,
        env={"QSTASH_TOKEN": TOKEN, "PATH": path, "no_proxy": "*", **secrets},
    )  # fmt: skip
    assert done.returncode == 0, (text, done.stdout, done.stderr)
    return done.stdout


EACH = 1 if os.environ.get("DASHBOARD_LINKS") else 3
"""Of the states, each or every third is loaded anew, which is what takes time."""

STATES = [
    f"/runs/{{{run}}}{query}"
    for run, queries in {
        "done": (
            "", "?view=steps", "?view=input and result", "?filter=pack", "?failures=true",
            "?step=1", "?step=2&tab=code", "?step=2&tab=logs", "?step=2&tab=times",
            "?view=steps&step=2&tab=attempts", "?step=2&tab=input", "?step=nothing",
        ),
        "failed": ("?step=2", "?step=2&tab=error", "?failures=true&step=2", "?view=steps"),
        "bill": (
            "?step=1&tab=attempts&attempt=1", "?step=1&tab=attempts&attempt=2",
            "?step=1&tab=attempts", "?step=1&tab=output", "?view=steps&step=1&tab=logs",
        ),
        "agent": ("?view=conversation", "?step=1&tab=output", "?step=1&tab=input", "?view=steps"),
        "trip": ("", "?step=1&tab=attempts&attempt=3", "?step=2", "?view=steps&failures=true"),
        "parent": ("?inside={child}", "?inside={child}&step=1"),
    }.items()
    for query in queries
]  # fmt: skip


def test_a_link_shows_the_same_screen_again(shown: World, page: Any) -> None:
    told = page.request.get(f"{shown.ui}/api/runs/{shown.runs['parent']}").json()
    runs = {k: v for k, v in shown.runs.items() if " " not in k} | {"child": told["children"][0][1]}
    assert len(STATES) >= 30
    seen: list[tuple[str, str]] = []
    page.goto(shown.ui)
    for state in STATES:
        path = state.format(**runs)
        page.evaluate(
            "to => (history.pushState(null, '', to), dispatchEvent(new PopStateEvent('popstate')))",
            shown.ui + path,
        )
        seen.append((path, screen(page)))
    assert len({text for _, text in seen}) >= 28
    for path, text in seen[::EACH]:
        page.goto(shown.ui + path)
        assert screen(page) == text, path
    page.go_back()
    assert screen(page) == seen[::EACH][-2][1]


def screen(page: Any) -> str:
    """What is there to be read, once it has come; without how long ago things were."""
    page.wait_for_function(
        "() => document.querySelector('main .explain')"
        " && !document.querySelector('[aria-busy=true]')"
        " && !document.querySelector('.inspector') === !/tab=|step=\\d/.test(location.search)"
        " && !document.querySelector('.conversation') === !/conversation/.test(location.search)"
        " && !document.querySelector('.row.inner') === !/inside/.test(location.search)"
        " && !document.querySelector('.card') ==="
        " !(document.querySelector('h1 .chip.waiting') && !document.querySelector('.inspector'))"
    )
    page.evaluate("quiet()")
    text = page.locator("main").inner_text()
    return re.sub(r"\d[\d.]* (ms|s|m|h|d)( \d+ (s|m|h))?( ago)?|just now", "", text)


def test_a_run_of_an_official_sdk_has_its_page(shown: World, tab: Any) -> None:
    page = tab.page
    run = shown.runs["talk"]
    shown.ended(run)
    page.goto(f"{shown.ui}/runs/{run}?step=2")
    page.get_by_text("It has succeeded.").wait_for()
    page.get_by_role("option", name="greet, run, success").wait_for()
    panel = page.get_by_label("Step Call Agent scribe")
    panel.get_by_role("button", name="attempts").click()
    panel.get_by_text("status 200").first.wait_for()
    panel.get_by_role("button", name="input").click()
    panel.get_by_text('"model": "gpt-4o"').wait_for()
    assert "s3cret-token" not in page.content()
    assert page.get_by_role("button", name="Run again").count() == 0


def test_two_hundred_messages_are_there_at_once(shown: World, tab: Any) -> None:
    page = tab.page
    shown.ended(shown.runs["talk"])
    page.goto(f"{shown.ui}/runs/{shown.runs['talk']}?view=conversation")
    messages = page.locator(".said")
    expect(messages).to_have_count(200)
    shown_at = page.evaluate("performance.now()")
    print(f"200 messages: shown after {shown_at:.0f} ms")
    assert shown_at < 4_000
    assert page.locator("details.call").count() == 49
    assert page.locator("details[open]").count() == 0
    assert page.get_by_text("untrusted").count() == 49
    last = messages.last
    assert last.locator(".heading").text_content() == "Sums"
    assert last.locator("ol li b").text_content() == "first"
    # A link is shown as it is written, a picture only if it is there already.
    assert "[a link](http://127.0.0.1:1/leak)" in last.text_content()
    assert last.locator("a").count() == 0
    assert page.locator(".said img").count() == 1
    assert page.get_by_text("[image_url: http://127.0.0.1:1/leak.png]").count() == 1
    assert all(url.startswith((shown.ui, "data:image/")) for url in tab.requests)
