"""What `dev` prints: where everything is, what to paste, and what happens, line by line.

The four variables stand at the beginning of their lines, and a line says "running at": launchers
of other SDKs read both.
"""

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workflow_agents.cli import output
from workflow_agents.dashboard import PATH as DASHBOARD
from workflow_agents.protocol.signature import SigningKeys
from workflow_agents.qstash.environment import CURRENT_KEY, NEXT_KEY, TOKEN, URL
from workflow_agents.server.settings import DEV_KEYS, DEV_TOKEN, ServerSettings

if TYPE_CHECKING:
    from workflow_agents.cli.dev import Development

_HELP = (
    ("o", "open the dashboard in a browser"),
    ("t", "trigger a workflow; with several, a digit chooses"),
    ("r", "run the last run again, with the same payload"),
    ("y", "copy the curl command"),
    ("l", "lines of runs and steps: on or off"),
    ("x", "wipe the data, after a y"),
    ("q", "quit; so does Ctrl-C"),
)


class DevScreen:
    """See the module.

    Args:
        as_json: one object a line, in place of text.
        lines: what happens is told.
    """

    def __init__(self, *, as_json: bool, lines: bool) -> None:
        self._as_json = as_json
        self.lines = lines

    def variables_of(self, url: str, token: str, keys: SigningKeys) -> dict[str, str]:
        """What clients and endpoints are configured with."""
        return {URL: url, TOKEN: token, CURRENT_KEY: keys.current, NEXT_KEY: keys.following}

    def show(
        self,
        settings: ServerSettings,
        path: str,
        target: str | None,
        asked: "Development",
        *,
        can_press: bool,
    ) -> None:
        """The first screen."""
        variables = self.variables_of(settings.url, DEV_TOKEN, DEV_KEYS)
        host = f"[{asked.host}]" if ":" in asked.host else asked.host
        app = f"http://{host}:{asked.app_port}" if target else None
        if self._as_json:
            told = {"server": settings.url, "app": app, "store": path, "variables": variables}
            dashboard = f"{settings.url}{DASHBOARD}"
            output.show_json_line({"event": "ready", **told, "dashboard": dashboard})
            return
        output.line()
        if target is not None:
            module, _, name = target.partition(":")
            self._row("app", f"{app}", f"from {module} import {name}")
        self._row("engine", f"running at {settings.url}")
        self._row("dashboard", f"{settings.url}{DASHBOARD}", "press o to open" if can_press else "")
        kept = "nothing is kept" if path == ":memory:" else "kept between restarts"
        self._row("data", path, f"{kept}{', x wipes it' if can_press else ''}")
        output.line()
        for name, value in variables.items():
            output.line(f"{name}={value}")
        output.line()
        self._row("try it", self.command(settings), "y copies it" if can_press else "")
        output.line()
        networks = ", ".join(("loopback", *asked.allow_networks))
        state = f"reload {'on' if asked.reload and target else 'off'} · signatures on"
        output.line(f"  {state} · private networks: {networks} · dev keys")
        output.line("  everybody knows these credentials: they work from this machine only")
        if can_press:
            keys = "  ".join(f"{output.styled('1', key)} {_SHORT[key]}" for key in _SHORT)
            output.line(f"  {keys}")
        else:
            output.line("  Ctrl-C ends it")
        output.line()

    def command(self, settings: ServerSettings) -> str:
        """A command that works when it is pasted."""
        header = shlex.quote(f"Authorization: Bearer {DEV_TOKEN}")
        return f"curl -X POST {settings.url}/v2/publish/https://example.com -H {header}"

    def help(self) -> None:
        """What each key does."""
        for key, what in _HELP:
            output.line(f"  {output.styled('1', key)}  {what}")

    def note(self, label: str, text: str) -> None:
        """Something that has changed."""
        if self._as_json:
            output.show_json_line({"event": label, "told": text})
        else:
            self._row(label, text)

    def event(self, text: str, data: Mapping[str, Any]) -> None:
        """Something that happened."""
        if self._as_json:
            output.show_json_line(data)
        else:
            output.line(text)

    def copy(self, text: str) -> None:
        """Hand a text to the clipboard, through the terminal; those that cannot, ignore it."""
        import base64
        import sys

        sys.stdout.write(f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\a")
        sys.stdout.flush()

    def _row(self, label: str, text: str, note: str = "") -> None:
        shown = f"  {output.styled('2', f'{label:<10}')} {text}"
        output.line(f"{shown}   {output.styled('2', note)}" if note else shown)


_SHORT = {
    "o": "open",
    "t": "trigger",
    "r": "rerun last",
    "l": "lines",
    "x": "wipe",
    "q": "quit",
    "?": "help",
}
