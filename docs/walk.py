"""Follow a page at a terminal: make its files, type its commands, compare what they print.

A Python block with `title="shop.py"` is a file. A block of the kind `console` is a terminal: `$ `
begins a command, `>>> ` a line that is typed into the Python which that has started, and all else
is printed. `...` stands for anything, on a line of its own for any lines. A last line `Killed`
says that somebody kills the process as soon as it has printed what stands above.
"""

import json
import re
import shlex
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.forks import Child, Nursery

FENCE = re.compile(r"^```(?P<kind>\w+) *(?P<options>[^\n]*)\n(?P<text>.*?)^```$", re.M | re.S)
TITLE = re.compile(r"title=[\"']([\w./]+)[\"']")
PATIENCE_S = 60.0

MODULES = {"pytest": "pytest", "workflow-agents": "workflow_agents.cli"}
"""Commands that are Python programs, besides `python`."""


@dataclass
class Command:
    """What is typed at a prompt of the shell, and what follows.

    Attributes:
        line: of the shell.
        typed: lines that are typed into the Python that it has started.
        printed: what is expected, with `...` for anything.
        killed: whether the process is killed when it has printed that.
    """

    line: str
    typed: list[str] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)
    killed: bool = False

    @property
    def is_installing(self) -> bool:
        """Whether it changes the Python environment, and is not for every test."""
        return "pip install" in self.line or self.line.startswith("git ")

    def fits(self, output: str) -> bool:
        """Whether this is what it prints."""
        lines = [
            r"(?:.*\n)*?" if line == "..." else re.escape(f"{line}\n").replace(r"\.\.\.", ".*")
            for line in "\n".join(self.printed).rstrip().splitlines()
        ]
        seen = "".join(f"{line}\n" for line in output.rstrip().splitlines())
        return re.fullmatch("".join(lines), seen) is not None


@dataclass(frozen=True)
class Written:
    """A file of the page."""

    path: str
    text: str


def parts(page: Path) -> Iterator[Written | Command]:
    """The files and commands of a page, in their order."""
    for fence in FENCE.finditer(page.read_text(encoding="utf-8")):
        title = TITLE.search(fence["options"])
        if title and "no-run" not in fence["options"]:
            yield Written(title[1], fence["text"])
        elif fence["kind"] == "console":
            yield from commands(fence["text"])


def commands(text: str) -> list[Command]:
    """Those of a terminal."""
    found: list[Command] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:]))
        elif line.startswith(">>> "):
            found[-1].typed.append(line[4:])
        elif line == "Killed":
            found[-1].killed = True
        else:
            found[-1].printed.append(line)
    return found


def shell_lines(page: Path) -> Iterator[str]:
    """Each line that the page says to type in a shell, whether it is followed or only shown."""
    for fence in FENCE.finditer(page.read_text(encoding="utf-8")):
        if fence["kind"] == "console":
            yield from (command.line for command in commands(fence["text"]))
        elif fence["kind"] == "sh":
            lines = fence["text"].replace("\\\n", "").splitlines()
            yield from (line for line in lines if line.strip() and not line.startswith("#"))


def follow(page: Path, folder: Path, nursery: Nursery, environment: dict[str, str]) -> None:
    """Do all that the page says, in an empty folder.

    Raises:
        AssertionError: something else was printed.
    """
    for number, part in enumerate(parts(page)):
        if isinstance(part, Written):
            (folder / part.path).parent.mkdir(parents=True, exist_ok=True)
            (folder / part.path).write_text(part.text, encoding="utf-8")
        elif not part.is_installing:
            log = folder / f"printed-{number}"
            child = nursery.start(argv_of(part), log=log, env=environment, cwd=folder)
            seen = wait_for(part, child)
            assert part.fits(seen), (
                f"{page.name}: $ {part.line}\nexpected\n"
                + "\n".join(part.printed)
                + f"\nprinted\n{seen}\n{child.err.read_text(encoding='utf-8')}"
            )


def argv_of(command: Command) -> list[str]:
    """The program of a command: settings before it have no say here."""
    words = [word for word in shlex.split(command.line) if not re.match(r"[A-Z_]+=", word)]
    if words[0] != "python":
        return [MODULES[words[0]], *words[1:]]
    typed = {
        "file": next((word for word in words[1:] if word.endswith(".py")), None),
        "lines": command.typed,
        "stay": command.killed,
    }
    return ["docs.typed", json.dumps(typed)]


def wait_for(command: Command, child: Child) -> str:
    """What it prints until it ends, or has printed enough to be killed."""
    if not command.killed:
        child.wait(PATIENCE_S)
        return child.out.read_text(encoding="utf-8")
    patience = time.monotonic() + PATIENCE_S
    while not command.fits(child.out.read_text(encoding="utf-8")):
        if child.is_over or time.monotonic() > patience:
            break
        time.sleep(0.005)
    seen = child.out.read_text(encoding="utf-8")
    child.send(signal.SIGKILL)
    child.wait()
    return seen
