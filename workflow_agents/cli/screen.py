"""What the commands print. Colours only for a terminal, and only if nobody minds."""

import sys
from collections.abc import Mapping

from workflow_agents import config


class Screen:
    """Writes lines to standard output, each at once: whoever started us may wait for them."""

    def __init__(self) -> None:
        self._coloured = sys.stdout.isatty() and not config.variable("NO_COLOR")

    def line(self, text: str = "") -> None:
        """One line."""
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def title(self, text: str) -> None:
        """The first line."""
        self.line(self._styled("1", text))

    def row(self, label: str, text: str, note: str = "") -> None:
        """A labelled line."""
        shown = f"  {self._styled('2', f'{label:<10}')} {text}"
        self.line(f"{shown}   {self._styled('2', note)}" if note else shown)

    def variables(self, values: Mapping[str, str]) -> None:
        """Environment variables, to be pasted."""
        for name, value in values.items():
            self.line(f"{name}={value}")

    def _styled(self, style: str, text: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._coloured else text


def version_of_this() -> str:
    """The version of this package."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("workflow-agents")
    except PackageNotFoundError:  # run from its sources
        return "(from its sources)"
