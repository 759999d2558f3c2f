"""One browser for all tests of a process, and servers with something of everything."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import workflow_agents.dashboard
from tests.dashboard.world import World
from workflow_agents.testing.model_server import ScriptedModel

FRUGAL = ["--no-sandbox", "--renderer-process-limit=1"]
"""Pages of one profile share a process, and none is kept ready for a page that may come: to start
one takes as long as to show a page."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium: its shell without windows, or all of it.

    Its driver has a loop that stands still in this thread between calls. asyncio takes it for one
    that runs, and would let no other run: so it is put aside but for the tests that drive it.
    """
    from playwright.sync_api import sync_playwright

    # The shell shows the same pages, and has none of what is around them in a window.
    names = ("chromium-headless-shell", "chromium", "chromium-browser")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.fail("the dashboard's tests need Chromium: apt-get install chromium, or make setup")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FRUGAL)
        drivers = asyncio.get_running_loop()
        _run_as(None)
        browser.drivers = drivers
        yield browser
        _run_as(drivers)
        browser.close()


def _run_as(loop: asyncio.AbstractEventLoop | None) -> None:
    """What asyncio takes for the loop that runs in this thread."""
    asyncio._set_running_loop(loop)


QUIET = """(() => {
    let asked = 0;
    const fetch = window.fetch;
    window.fetch = (...given) => {
        asked++;
        return fetch(...given).finally(() => asked--);
    };
    window.quiet = async () => {
        for (let still = 0; still < 4; still = asked ? 0 : still + 1)
            await new Promise(requestAnimationFrame);
    };
})()"""
"""Waits until a page has what it has asked for, and has shown it."""

LEAVE = "() => (localStorage.clear(), sessionStorage.clear(), location.replace('about:blank'))"


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The packages that the front end is developed with."""
    web = Path(workflow_agents.dashboard.__file__).parent / "web"
    folder = web / "node_modules"
    if not (folder / "react-dom").exists():
        done = subprocess.run(
            ["npm", "ci", "--prefer-offline"], cwd=web, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"npm ci failed:\n{done.stdout}\n{done.stderr}"
    return folder


class Tab:
    """A page of the browser, which notes what must not happen.

    Attributes:
        page: of playwright.
        requests: each address that it asked for.
        errors: what scripts or the browser complained of.
    """

    def __init__(self, context: Any) -> None:
        self.context = context
        context.add_init_script(QUIET)
        self.page = context.new_page()
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._said)

    def follow(self, url: str) -> None:
        """Go to another page as a link does, and wait for what it shows."""
        self.page.evaluate(
            "to => (history.pushState(null, '', to), dispatchEvent(new PopStateEvent('popstate')))",
            url,
        )
        self.quiet()

    def quiet(self) -> None:
        """Wait until nothing is asked for any more, and what came is shown."""
        self.page.evaluate("quiet()")

    def forget(self) -> None:
        """Leave the page and what it has kept, as if the browser had just been started."""
        self.page.mouse.move(0, 0)
        if self.page.url.startswith("http"):
            # Of its own accord, so that it needs no other process.
            self.page.evaluate(LEAVE)
            self.page.wait_for_url("about:blank")
        self.context.clear_cookies()
        self.requests.clear()
        self.errors.clear()

    def _said(self, message: Any) -> None:
        # That an address answers with an error is a browser's remark; tests look at the page.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.errors.append(message.text)


def _tab_of(browser: Any, **options: Any) -> Tab:
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
    context.set_default_timeout(15_000)
    return Tab(context)


@pytest.fixture
def new_tab(browser: Any) -> Iterator[Any]:
    """Makes tabs of a browser that knows nothing yet; none of them may complain."""
    made: list[Tab] = []
    _run_as(browser.drivers)

    def new(**options: Any) -> Tab:
        made.append(_tab_of(browser, **options))
        return made[-1]

    yield new
    try:
        for tab in made:
            tab.context.close()
    finally:
        _run_as(None)
    assert [error for tab in made for error in tab.errors] == []


@pytest.fixture
def tab(new_tab: Any) -> Tab:
    return new_tab()


@pytest.fixture(scope="session")
def kept_tabs() -> list[Tab]:
    """The tab that waits for the next test, if there is one."""
    return []


@pytest.fixture
def page(browser: Any, kept_tabs: list[Tab]) -> Iterator[Any]:
    """A page of a browser that has forgotten what was before, for tests that only look and press.

    To make another tab costs more than most of them. Those that change what a tab does (routes,
    scripts of their own, permissions) ask for a `tab`.
    """
    _run_as(browser.drivers)
    tab = kept_tabs.pop() if kept_tabs else _tab_of(browser)
    yield tab.page
    errors = [*tab.errors]
    try:
        # One that cannot even be left is not used again.
        tab.forget()
        kept_tabs.append(tab)
    finally:
        _run_as(None)
    assert errors == []


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server with something of everything; a module's tests share it."""
    yield from _filled(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The same for tests of all modules that leave what is there as it is."""
    yield from _filled(tmp_path_factory.mktemp("settled"))


def _filled(folder: Path) -> Iterator[World]:
    with ScriptedModel() as model, World(folder, model) as world:
        world.fill()
        yield world
