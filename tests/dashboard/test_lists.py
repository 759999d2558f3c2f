"""Lists: their filters, views and columns; what is new; several at once; what texts they hold."""

import json
import uuid
from typing import Any

from playwright.sync_api import expect

from tests.dashboard.world import World


def rows(page: Any) -> Any:
    return page.locator("table.list tbody tr")


def headings(page: Any) -> list[str]:
    return [text for text in page.locator("table.list th").all_inner_texts() if text]


def test_a_view_is_kept_shared_and_its_filters_taken_out(settled: World, new_tab: Any) -> None:
    tab = new_tab()
    page = tab.page
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{settled.ui}/?label=vip&workflow=/orders&state=failed")
    expect(rows(page)).to_have_count(1)
    chips = page.get_by_role("group", name="Filters")
    assert chips.get_by_role("button").all_inner_texts() == ["workflow /orders ✕", "label vip ✕"]
    page.get_by_role("button", name="columns").click()
    page.get_by_label("Labels").uncheck()
    page.get_by_label("Ended").check()
    page.keyboard.press("Escape")
    named = ["State", "Workflow", "Run", "Started", "Ended", "Took"]
    assert headings(page) == named
    page.get_by_role("button", name="save view").click()
    page.get_by_label("Name of the view").fill("mine")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="copy link").click()
    page.get_by_text("copied").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    page.reload()
    assert headings(page) == named
    chips.get_by_role("button", name="label vip").click()
    chips.get_by_role("button", name="workflow /orders").click()
    expect(rows(page).nth(3)).to_be_visible()
    page.get_by_role("link", name="mine", exact=True).click()
    expect(rows(page)).to_have_count(1)
    # Somebody else's browser shows the same by the link, and remembers nothing of it.
    other = new_tab().page
    other.goto(link)
    expect(rows(other)).to_have_count(1)
    assert headings(other) == named
    other.goto(settled.ui)
    assert "Labels" in headings(other)


def test_rows_stay_where_they_are_under_the_pointer(settled: World, tab: Any) -> None:
    page = tab.page
    page.goto(settled.ui)
    page.get_by_role("button", name="live").wait_for()
    first = rows(page).first.inner_text()
    rows(page).first.hover()
    made = [settled.trigger("/long", 1) for _ in range(3)]
    for run in made:
        settled.ended(run)
    page.get_by_role("button", name="3 new").wait_for()
    assert rows(page).first.inner_text().split("\t")[2:3] == first.split("\t")[2:3]
    # The pointer leaves the list on its way to the button.
    box = page.get_by_role("button", name="3 new").bounding_box()
    page.mouse.move(1, 1)
    tab.quiet()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.get_by_role("link", name=made[-1]).wait_for()
    expect(page.get_by_role("button", name="new")).to_have_count(0)
    # Where nobody is at the list they come by themselves.
    page.mouse.move(1, 1)
    run = settled.trigger("/long", 1)
    page.get_by_role("link", name=run).wait_for()


def test_several_are_cancelled_together(settled: World, page: Any) -> None:
    label = f"many-{uuid.uuid4().hex[:6]}"
    runs = [settled.trigger("/approval", {}, label=label) for _ in range(3)]
    done = settled.trigger("/long", 1, label=label)
    settled.ended(done)
    for run in runs:
        settled.waits(run)
    page.goto(f"{settled.ui}/?label={label}")
    page.get_by_label(f"Select {runs[0]}").check()
    page.get_by_label("Select all that are shown").check()
    page.get_by_text("4 selected").wait_for()
    page.get_by_label(f"Select {runs[0]}").uncheck()
    page.get_by_role("button", name="Cancel 3").click()
    page.get_by_text("2 of them have not ended").wait_for()
    page.get_by_role("button", name="Cancel 3 runs").click()
    page.get_by_text("2 cancelled, 1 not: it has ended").wait_for()
    assert [settled.state(run) for run in runs] == ["RUN_STARTED", "RUN_CANCELED", "RUN_CANCELED"]
    page.get_by_label(f"Select {done}").check()
    page.get_by_role("button", name="Run 1 again").click()
    page.locator("dialog").get_by_role("button", name="Run 1 again").click()
    page.get_by_text("1 started again").wait_for()


def test_texts_are_found_in_what_runs_were_given(settled: World, page: Any) -> None:
    word = f"needle-{uuid.uuid4().hex[:6]}"
    run = settled.trigger("/orders", {"amount": 7, "for": f"<b>{word}</b>"})
    settled.ended(run)
    page.goto(settled.ui)
    page.get_by_role("button", name="live").wait_for()
    page.keyboard.press("/")
    page.keyboard.type(word.upper())
    page.keyboard.press("Enter")
    page.get_by_text("that is all of them").wait_for()
    [row] = rows(page).all()
    row.get_by_role("link", name=run).wait_for()
    assert f'"for":"<b>{word}</b>"' in row.inner_text()
    assert row.locator("mark").inner_text() == word
    assert f"search={word.upper()}" in page.url
    page.get_by_role("button", name="holds").click()
    expect(rows(page).nth(3)).to_be_visible()


def test_500_dead_letters_are_worked_off_by_their_errors(tmp_path: Any, page: Any) -> None:
    """What is asked before and told afterwards are the numbers of what was done."""
    counts = {"DeclinedError": 300, "TimeoutError": 150, "KeyError": 50}
    with World(tmp_path) as world:
        world.broken = False
        world.call(_seed(world, counts))
        page.goto(f"{world.ui}/letters")
        groups = page.get_by_role("list", name="Errors").get_by_role("button")
        expect(groups).to_have_count(3)
        assert [text.split()[0:2] for text in groups.all_inner_texts()] == [
            [str(count), name] for name, count in counts.items()
        ]
        for error, action, word, told in (
            ("DeclinedError", "Resume", "Resume", "resumed"),
            ("TimeoutError", "Restart", "Restart", "restarted"),
            ("KeyError", "Delete", "Delete", "deleted"),
        ):
            count = counts[error]
            page.get_by_role("list", name="Errors").get_by_role("button", name=error).click()
            page.get_by_text(f"{count} of this error").wait_for()
            page.get_by_role("button", name=f"{action} {count}").click()
            asked = page.get_by_role("dialog", name=f"{word} {count} dead letters?")
            asked.get_by_role("button", name=word, exact=True).click()
            page.get_by_text(f"{count} {told}").wait_for()
            page.get_by_role("list", name="Errors").get_by_role("button", name=error).wait_for(
                state="detached"
            )
        page.get_by_text("Nothing has failed for good.").wait_for()
        left = world.engine.core.store.all("SELECT count(*) FROM dead_letters")[0][0]
        made = world.engine.core.store.all("SELECT count(*) FROM runs WHERE workflow = '/fails'")
        assert (left, made[0][0]) == (0, 500 + 300 + 150)


async def _seed(world: World, counts: dict[str, int]) -> None:
    """Runs that have failed, straight into the store; the workflow is mended by now."""
    store = world.engine.core.store
    errors = [error for error, count in counts.items() for _ in range(count)]
    with store.mutex:  # type: ignore[attr-defined]
        db = store.db  # type: ignore[attr-defined]
        db.execute("BEGIN")
        for number, error in enumerate(errors, 1):
            failure = json.dumps({"error": error, "message": "it has failed"})
            db.execute(
                "INSERT INTO runs (id, run_id, workflow, phase, token, wakes, attempt, created_at,"
                " ended_at, input, result) VALUES (?, ?, '/fails', 11, 1, 0, 0, 1, 2, '0', ?)",
                (number, f"wfr_f{number}", failure.encode()),
            )
            db.execute(
                "INSERT INTO dead_letters (id, run, at, failure) VALUES (?, ?, ?, ?)",
                (f"dlq_{number}", number, number, failure),
            )
        db.execute("COMMIT")
