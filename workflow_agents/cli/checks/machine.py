"""What is on this machine: the configuration, the store and the disk that it lies on."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from workflow_agents.cli.checks.finding import Finding, fault, fault_of, ok, skipped, warning
from workflow_agents.cli.configuration import Configuration
from workflow_agents.cli.running import store_path_of
from workflow_agents.errors import WorkflowAgentsError
from workflow_agents.store.examining import examine

OVERDUE_MS = 60_000
_LEAST_FREE = 200 * 2**20
_FEW_FREE = 2**30


def store_of(configuration: Configuration, folder: Path) -> Path | None:
    """The store to look at: the configured one, else one of those that the commands make."""
    if configuration["store"]:
        return folder / store_path_of(configuration["store"])
    made = (folder / ".workflow_agents" / name for name in ("dev.db", "server.db", "workflows.db"))
    return next((path for path in made if path.exists()), None)


def check_store(path: Path | None, now_ms: int, free: int | None = None) -> Iterator[Finding]:
    """The store and its disk.

    Args:
        path: of the store; None: there is none.
        now_ms: Unix milliseconds.
        free: bytes on the disk; default: as the system says.
    """
    if path is None:
        yield skipped("store", "none yet: a command makes one when it starts")
        return
    yield _place(path)
    yield _disk(path, free)
    if path.exists():
        yield from _content(path, now_ms)


def _place(path: Path) -> Finding:
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    fix = f"chmod u+w {folder}", "keep the store elsewhere: --store PATH"
    if path.exists() and not os.access(path, os.W_OK):
        return fault("folder", "WA603", f"{path} cannot be written by this user", *fix)
    try:
        # Asked by doing it: what the system says of rights is not all that counts.
        with tempfile.TemporaryFile(dir=folder):
            return ok("folder", f"{folder} can be written")
    except OSError as error:
        return fault("folder", "WA603", f"{folder} cannot be written: {error.strerror}", *fix)


def _disk(path: Path, free: int | None) -> Finding:
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    left = shutil.disk_usage(folder).free if free is None else free
    told = f"{left / 2**30:,.1f} GiB are free where the store lies"
    fix = "make room", "remove what has ended: --retention 30d"
    if left < _LEAST_FREE:
        return fault("disk", "WA602", told, *fix)
    if left < _FEW_FREE:
        return warning("disk", "WA602", told, *fix)
    return ok("disk", told)


def _content(path: Path, now_ms: int) -> Iterator[Finding]:
    try:
        found = examine(str(path), overdue_before=now_ms - OVERDUE_MS)
    except WorkflowAgentsError as error:
        yield fault_of("store", error)
        return
    if found.faults:
        told = f"{path} is damaged: {found.faults[0]}"
        fix = "take the last copy of it", f"sqlite3 {path} .recover"
        yield fault("store", "WA605", told[:200], *fix)
        return
    schema = f"schema {found.version}, this program has {found.latest}"
    if found.version > found.latest:
        yield fault("store", "WA604", schema)
    elif found.version < found.latest:
        yield warning("store", "WA613", schema)
    else:
        held = "nobody has it open" if found.owner is None else f"process {found.owner} has it"
        yield ok("store", f"{path} is sound; {held}")
    if found.overdue and found.owner is not None:
        told = f"{found.overdue} runs and deliveries wait, and process {found.owner} has the store"
        fix = "look at the log of that process", "start it again: nothing is lost"
        yield fault("work", "WA612", told, *fix)
    elif found.overdue:
        told = f"{found.overdue} runs and deliveries wait, and no process works on the store"
        yield warning("work", "WA612", told, f"workflow-agents server --store {path}")
    else:
        yield ok("work", "nothing is overdue")
