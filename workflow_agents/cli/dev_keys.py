"""What the keys of `dev` do. Each key is one action; none of them can end `dev` by failing."""

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Coroutine, Generator
from typing import TYPE_CHECKING, Any

from workflow_agents.cli.dev_screen import DevScreen
from workflow_agents.cli.key_presses import key_presses
from workflow_agents.dashboard import PATH as DASHBOARD
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.errors import WorkflowAgentsError
from workflow_agents.server.settings import DEV_TOKEN, ServerSettings

if TYPE_CHECKING:
    from workflow_agents.cli.app_beside import AppBeside
    from workflow_agents.cli.live_lines import LiveLines

logger = logging.getLogger(__name__)


class DevKeys:
    """See the module.

    Attributes:
        wipe: a fresh store was asked for.
    """

    def __init__(
        self,
        engine: DurableEngine,
        screen: DevScreen,
        ended: asyncio.Event,
        settings: ServerSettings,
        app: "AppBeside | None",
        path: str,
        live: "LiveLines | None",
    ) -> None:
        self._engine = engine
        self._screen = screen
        self._ended = ended
        self._settings = settings
        self._app = app
        self._path = path
        self._asked = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._live = live
        self.wipe = False

    @contextlib.contextmanager
    def listening(self) -> Generator[bool]:
        """While it lasts, keys are heard; yields whether there are any."""
        with key_presses(self.pressed) as can_press:
            yield can_press

    def pressed(self, key: str) -> None:
        """Do what a key stands for; an answer, where something was asked."""
        asked, self._asked = self._asked, ""
        if asked == "x":
            if key == "y":
                self.wipe = True
                self._ended.set()
            else:
                self._screen.note("data", "kept")
        elif asked == "t" and key.isdigit():
            self._trigger_nth(int(key))
        else:
            self._act(key)

    def _act(self, key: str) -> None:
        match key.lower():
            case "q":
                self._ended.set()
            case "?" | "h":
                self._screen.help()
            case "o":
                self._open(f"{self._settings.url}{DASHBOARD}")
            case "y":
                command = self._screen.command(self._settings)
                self._screen.copy(command)
                self._screen.note("copied", command)
            case "l" if self._live is not None:
                self._live.shown = not self._live.shown
                self._screen.note("lines", "on" if self._live.shown else "off")
            case "x":
                self._asked = "x"
                self._screen.note("data", f"remove all of {self._path}? y removes it")
            case "t":
                self._choose()
            case "r":
                self._begin(self._rerun())
            case _:
                pass

    def _choose(self) -> None:
        paths = [] if self._app is None else self._app.workflows[:9]
        if not paths:
            self._screen.note("trigger", "no workflow is known: workflow-agents trigger URL")
        elif len(paths) == 1:
            self._trigger_nth(1)
        else:
            self._asked = "t"
            listed = "  ".join(f"{n} {path}" for n, path in enumerate(paths, 1))
            self._screen.note("trigger", f"which one?  {listed}")

    def _trigger_nth(self, nth: int) -> None:
        if self._app is not None and 0 < nth <= len(self._app.workflows):
            url = f"{self._app.url}{self._app.workflows[nth - 1]}"
            self._begin(self._trigger(url, {}))

    async def _rerun(self) -> None:
        last = None if self._live is None else self._live.last_run
        row = None if last is None else self._engine.store.run(last)
        if row is None:
            self._screen.note("rerun", "no run has begun yet")
        else:
            await self._trigger(row.workflow, row.input or b"")

    async def _trigger(self, url: str, body: Any) -> None:
        from workflow_agents.client import AsyncClient

        async with AsyncClient(DEV_TOKEN, base_url=self._settings.url) as client:
            run = await client.trigger(url, body)
        self._screen.note("triggered", f"{url}  {run.run_id}")

    def _begin(self, action: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._guarded(action))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, action: Coroutine[Any, Any, None]) -> None:
        try:
            await action
        except WorkflowAgentsError as error:
            self._screen.note("failed", error.what)
        except Exception:
            logger.exception("a key was pressed in vain")

    def _open(self, url: str) -> None:
        """Open an address, where there is something to open it with; name it in any case."""
        self._screen.note("open", url)
        graphical = sys.platform != "linux" or os.path.exists("/usr/bin/xdg-open")
        if graphical:
            self._begin(asyncio.to_thread(_browse, url))


def _browse(url: str) -> None:
    import webbrowser

    with contextlib.suppress(webbrowser.Error, OSError):
        webbrowser.open(url)
