"""Every page in both themes has nothing that axe-core finds, and needs no mouse."""

from pathlib import Path
from typing import Any

import pytest

from tests.dashboard.world import World

PAGES = {
    "runs": "/",
    "no runs": "/?find=nothing",
    "timeline": "/runs/{done}",
    "step": "/runs/{done}?step=2",
    "steps": "/runs/{failed}?view=steps&step=2",
    "attempts": "/runs/{flaky}?step=1",
    "request": "/runs/{agent}?step=1&tab=request",
    "error": "/runs/{failed}?step=2&tab=error",
    "logs": "/runs/{failed}?step=2&tab=logs",
    "code": "/runs/{failed}?step=2&tab=code",
    "waiting": "/runs/{waits}",
    "conversation": "/runs/{agent}?view=conversation",
    "result": "/runs/{done}?view=input and result",
    "parent": "/runs/{parent}",
    "no such run": "/runs/nothing",
    "approvals": "/approvals",
    "waits": "/waits",
    "letters": "/letters",
    "letters of an error": "/letters?error=WorkflowNonRetryableError&message=the feed is empty",
    "schedules": "/schedules",
    "flow": "/flow",
    "queues": "/queues",
    "workflows": "/workflows",
    "costs": "/costs",
    "search": "/?search=feed",
    "search for nothing": "/?search=nowhere",
    "filtered": "/?workflow=/orders&label=vip&state=success",
    "feed": "/feed",
    "keys": "/keys",
    "settings": "/settings",
    "compare": "/compare?a={done}&b={failed}&step=2",
    "no page": "/nothing",
}


# What is behind a button: a page, and the names of the buttons to it.
BEHIND = {
    "help": ("/queues", ["Keys"]),
    "start": ("/", ["Start a run"]),
    "columns": ("/", ["columns"]),
    "selected": ("/?label=vip", ["Select all that are shown"]),
    "sure": ("/?label=vip&find=wfr_", ["Select all that are shown", "Run 2 again"]),
    "run again": ("/runs/{done}", ["Run again"]),
    "fork": ("/runs/{done}?step=2", ["Fork here"]),
    "cancel": ("/runs/{waits}", ["Cancel"]),
    "edit an approval": ("/approvals", ["Edit"]),
    "answer": ("/waits", ["Answer"]),
    "resume": ("/letters?error=WorkflowNonRetryableError&message=the feed is empty", ["Resume 3"]),
    "delete a schedule": ("/schedules", ["Delete"]),
    "pin": ("/flow", ["Pin"]),
    "budget": ("/costs", ["Set the budget of /desk"]),
    "price": ("/costs", ["Set a price"]),
}
TAGS = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]
NARROW = ("runs", "search", "step", "waiting", "conversation", "approvals", "waits", "letters",
          "schedules", "flow", "workflows", "costs", "feed", "keys", "settings",
          "compare")  # fmt: skip
LOOK = """async (tags) => {
    const shown = document.querySelector("dialog[open]") ?? document.body;
    const look = async (theme, rules) => {
        document.documentElement.dataset.theme = theme;
        const found = await axe.run(shown, {
            resultTypes: ["violations"], runOnly: rules, elementRef: false, iframes: false,
        });
        return found.violations.map((one) => [
            theme, one.id,
            ...one.nodes.slice(0, 3).map((n) => n.html.slice(0, 160) + n.any.map((a) => a.message)),
        ]);
    };
    // What can be pressed can be come to by the Tab key; options of a list by the arrows.
    const pressed = "a[href], button, input, select, textarea, summary, [onclick]";
    const missed = [...shown.querySelectorAll(pressed)]
        .filter((one) => one.checkVisibility() && !one.disabled && one.tabIndex < 0)
        .map((one) => ["no key reaches it", one.outerHTML.slice(0, 160)]);
    if (missed.length) return missed;
    // But for their colours, pages are the same in both themes.
    return [...await look("light", tags), ...await look("dark", ["color-contrast"])];
}"""
FEW_ROWS = "table.list tbody tr:nth-child(n + 7) { display: none }"
"""Rows are like one another: a long list is no other state."""


@pytest.fixture(scope="session")
def axe(node_modules: Path) -> str:
    """The source of axe-core, of the packages that the front end is developed with."""
    return (node_modules / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def address(settled: World, path: str) -> str:
    return settled.ui + path.format(**{k: v for k, v in settled.runs.items() if " " not in k})


def test_axe_finds_nothing(settled: World, new_tab: Any, axe: str) -> None:
    tab = new_tab(bypass_csp=True)
    page = tab.page
    found: dict[str, Any] = {}
    page.goto(settled.ui)
    page.add_style_tag(content=FEW_ROWS)
    page.evaluate(axe)
    states = {name: (path, list[str]()) for name, path in PAGES.items()} | BEHIND
    assert len(states) >= 40
    for name, (path, buttons) in states.items():
        # As a link does, so that what looks at the pages is loaded once.
        tab.follow(address(settled, path))
        for button in buttons:
            page.get_by_role("checkbox", name=button).or_(
                page.get_by_role("button", name=button)
            ).first.click()
        if buttons:
            tab.quiet()
        if broken := page.evaluate(LOOK, TAGS):
            found[name] = broken
        if page.locator("dialog[open]").count():
            page.keyboard.press("Escape")
    assert found == {}, "\n".join(f"{name}: {what}" for name, what in found.items())


def test_everything_is_reached_by_keys(settled: World, page: Any) -> None:
    page.goto(f"{settled.ui}/runs/{settled.runs['done']}")
    page.get_by_text("It has succeeded.").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.get_by_role("listbox").focus()
    page.keyboard.press("ArrowDown")
    page.get_by_label("Step reserve stock").wait_for()
    page.keyboard.press("ArrowDown")
    page.get_by_label("Step charge card").wait_for()
    page.keyboard.press("f")
    page.get_by_role("dialog", name="Fork from “charge card”").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    page.get_by_role("button", name="steps", exact=True).and_(
        page.locator("[aria-current=page]")
    ).wait_for()
    page.keyboard.press("4")
    page.get_by_role("heading", name="Result").wait_for()
    page.keyboard.press("?")
    page.get_by_label("single keys are on").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    page.wait_for_timeout(100)
    assert "view=input" in page.url
    seen: set[str] = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(
            page.evaluate(
                "document.activeElement.getAttribute('aria-label')"
                " ?? document.activeElement.textContent"
            )
        )
    assert {"Runs", "Approvals", "Run again…", "Compare…", "timeline"} <= seen


def test_nothing_is_lost_at_320_pixels(settled: World, new_tab: Any) -> None:
    tab = new_tab(viewport={"width": 320, "height": 640})
    page = tab.page
    page.goto(settled.ui)
    for name in NARROW:
        tab.follow(address(settled, PAGES[name]))
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, name


FRAMES = """
const frames = window.frames_seen = new Set();
const look = () => {
    if (document.body) frames.add(getComputedStyle(document.body).backgroundColor);
    requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
"""Notes the background of every frame, the first one included."""


@pytest.mark.parametrize(("theme", "system"), [("dark", "light"), ("light", "dark")])
def test_no_frame_flashes_in_the_other_theme(
    settled: World, new_tab: Any, theme: str, system: str
) -> None:
    page = new_tab().page
    page.emulate_media(color_scheme=system)
    page.goto(settled.ui)
    page.evaluate("theme => localStorage.setItem('theme', theme)", theme)
    page.add_init_script(FRAMES)
    page.reload()
    page.get_by_role("heading", name="Runs").wait_for()
    page.evaluate("() => new Promise(requestAnimationFrame)")
    [color] = page.evaluate("[...frames_seen]")
    bright = sum(map(int, color.removeprefix("rgb(").removesuffix(")").split(","))) > 3 * 128
    assert bright == (theme == "light"), color
