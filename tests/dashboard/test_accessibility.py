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
    "feed": "/feed",
    "keys": "/keys",
    "settings": "/settings",
    "compare": "/compare?a={done}&b={failed}&step=2",
    "no page": "/nothing",
}


RULES = "['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice']"
NARROW = ("runs", "step", "waiting", "conversation", "approvals", "waits", "letters", "schedules",
          "flow", "workflows", "feed", "keys", "settings", "compare")  # fmt: skip


@pytest.fixture(scope="session")
def axe(node_modules: Path) -> str:
    """The source of axe-core, of the packages that the front end is developed with."""
    return (node_modules / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def address(world: World, path: str) -> str:
    return world.ui + path.format(**{k: v for k, v in world.runs.items() if " " not in k})


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(world: World, new_tab: Any, axe: str, theme: str) -> None:
    # But for their colours, pages are the same in both.
    rules = "['color-contrast']" if theme == "dark" else RULES
    tab = new_tab(color_scheme=theme, bypass_csp=True)
    page = tab.page
    found: dict[str, Any] = {}
    page.goto(world.ui)
    page.evaluate(axe)
    for name, path in PAGES.items():
        # As a link does, so that what looks at the pages is loaded once.
        page.evaluate(
            "to => (history.pushState(null, '', to), dispatchEvent(new PopStateEvent('popstate')))",
            address(world, path),
        )
        page.locator("h1").first.wait_for()
        page.wait_for_timeout(250)
        broken = page.evaluate(
            f"axe.run('body', {{resultTypes: ['violations'], runOnly: {rules}}}).then(told =>"
            " told.violations.map(one => [one.id, ...one.nodes.slice(0, 3).map("
            " n => n.html.slice(0, 160) + ' ' + n.any.map(a => a.message))]))"
        )
        if broken:
            found[name] = broken
    assert found == {}, "\n".join(f"{name}: {what}" for name, what in found.items())


def test_dialogs_are_clean_too(world: World, new_tab: Any, axe: str) -> None:
    page = new_tab(bypass_csp=True).page
    page.goto(f"{world.ui}/runs/{world.runs['done']}")
    page.get_by_text("It has succeeded.").wait_for()
    for key in ("r", "?"):
        page.keyboard.press(key)
        page.locator("dialog").wait_for()
        page.evaluate(axe)
        assert page.evaluate("axe.run('dialog').then(t => t.violations.map(v => v.id))") == []
        page.keyboard.press("Escape")
        page.locator("dialog").wait_for(state="detached")


def test_everything_is_reached_by_keys(world: World, page: Any) -> None:
    page.goto(f"{world.ui}/runs/{world.runs['done']}")
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


def test_nothing_is_lost_at_320_pixels(world: World, new_tab: Any) -> None:
    page = new_tab(viewport={"width": 320, "height": 640}).page
    for name in NARROW:
        page.goto(address(world, PAGES[name]))
        page.locator("h1").first.wait_for()
        page.wait_for_timeout(150)
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, name
