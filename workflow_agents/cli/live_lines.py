"""What happens on an engine, a line each as it happens: runs, steps, messages."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from workflow_agents.cli import output
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.protocol.codec import Undecodable, decode
from workflow_agents.protocol.history import EntryKind
from workflow_agents.store.interface import FeedRow

_PAGE = 200
_AT_MOST_EVERY_S = 0.1
_MOST_NAMES = 5_000
_SHOWN = 60

_RUNS = {
    EntryKind.RUN_STARTED: "started",
    EntryKind.RUN_SUCCESS: "success",
    EntryKind.RUN_FAILED: "failed",
    EntryKind.RUN_CANCELED: "canceled",
    EntryKind.RUN_RETRY: "retry",
    EntryKind.RUN_RECOVERED: "recovered",
}
_STEPS = {
    EntryKind.STEP_SUCCESS: "ok",
    EntryKind.STEP_FAILED: "failed",
    EntryKind.STEP_WAITING: "waits",
    EntryKind.STEP_RETRY: "retry",
    EntryKind.STEP_ATTEMPT_FAILED: "retry",
}
_MESSAGES = {
    EntryKind.MESSAGE_DELIVERED: "delivered",
    EntryKind.MESSAGE_RETRY: "retry",
    EntryKind.MESSAGE_FAILED: "failed",
}
_PLAIN = 0
"""The run of what is of no run: plain messages."""


class LiveLines:
    """See the module.

    Args:
        engine: that is running.
        say: is told each line, and what it tells as data.

    Attributes:
        shown: whether lines are told; what is not told meanwhile is not made up for.
        last_run: the id of the run that began last.
    """

    def __init__(self, engine: DurableEngine, say: Callable[[str, dict[str, Any]], None]) -> None:
        self._engine = engine
        self._say = say
        self._names: dict[int, tuple[str, str]] = {}
        self._changed = asyncio.Event()
        self.shown = True
        self.last_run: str | None = None

    async def follow(self) -> None:
        """Tell everything from now on, until cancelled."""
        after = self._engine.store.overview.last_seq()
        self._engine.on_commit = lambda _changes, _outcomes: self._changed.set()
        while True:
            await self._changed.wait()
            self._changed.clear()
            while page := self._engine.store.feed(run=None, after=after, limit=_PAGE):
                after = page[-1].seq
                for row in page:
                    self._tell(row)
            await asyncio.sleep(_AT_MOST_EVERY_S)  # a busy engine is read in larger parts

    def _tell(self, row: FeedRow) -> None:
        if row.kind is EntryKind.RUN_STARTED:
            self.last_run = self._name(row.run)[1]
        if not self.shown:
            return
        for text, state in self._lines(row):
            run = self._name(row.run)[1] if row.run else None
            data = {
                "at": row.at,
                "event": row.kind.name,
                "run": run,
                "step": row.step,
                "name": row.name,
                "state": state,
            }
            self._say(f"{_clock(row.at)}  {text.rstrip()}", data)

    def _lines(self, row: FeedRow) -> Iterator[tuple[str, str]]:
        workflow, run_id = self._name(row.run)
        data = _data(row)
        if row.kind in _RUNS and row.run != _PLAIN:
            state = _RUNS[row.kind]
            told = _failure(data) if row.kind in {EntryKind.RUN_FAILED, EntryKind.RUN_RETRY} else ""
            short_id = output.styled("2", run_id)
            yield f"{output.styled('1', workflow)}  {short_id}  {_coloured(state)}  {told}", state
        elif row.kind in _STEPS and row.step is not None:
            state = _STEPS[row.kind]
            told = _failure(data) if state in {"failed", "retry"} else ""
            kind = "" if row.type is None else output.styled("2", row.type.name.lower())
            step = f"{row.step!s:<4} {row.name or '':<24} {_coloured(state)}"
            yield f"  {output.styled('2', run_id[-6:])} {step}  {kind}  {told}", state
        elif row.kind in _MESSAGES and row.run == _PLAIN and row.message:
            state = _MESSAGES[row.kind]
            message = self._engine.store.messages.message(row.message)
            url = "" if message is None else message.url
            to = output.short(url, _SHOWN)
            yield f"message  {to}  {_coloured(state)}  {_failure(data)}", state

    def _name(self, run: int) -> tuple[str, str]:
        """The workflow's path and the run's id."""
        found = self._names.get(run)
        if found is None:
            row = self._engine.store.run(run) if run else None
            found = ("", "") if row is None else (_path(row.workflow), row.run_id)
            if len(self._names) > _MOST_NAMES:
                self._names.clear()
            self._names[run] = found
        return found


def _path(workflow: str) -> str:
    return urlsplit(workflow).path or workflow if "://" in workflow else workflow


def _clock(ms: int) -> str:
    return output.styled("2", datetime.fromtimestamp(ms / 1000).astimezone().strftime("%H:%M:%S"))


def _coloured(state: str) -> str:
    return output.coloured(state) if state not in {"started", "recovered"} else state


def _data(row: FeedRow) -> Any:
    if not row.data:
        return None
    try:
        return decode(row.data)
    except Undecodable:
        return None


def _failure(data: Any) -> str:
    """Why, in a few words."""
    match data:
        case {"message": str(text)} | {"failure": {"message": str(text)}} | {"error": str(text)}:
            return output.short(text, _SHOWN)
        case _:
            return ""
