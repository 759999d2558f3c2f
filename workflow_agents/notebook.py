"""Watching a run from a notebook cell or a terminal: one view, updated in place.

    await watch(run)

In a notebook the view is a single output that changes at most five times a second; anywhere
else it is a line for each thing that happens. Interrupting the cell stops the watching, never
the run.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from workflow_agents.client import AsyncRunHandle
from workflow_agents.core.logs import RunLog
from workflow_agents.core.step_logs import FeedEntry, fold_steps
from workflow_agents.display import html, runs

_EVERY_S = 0.2
_STEPS_SHOWN = 40


async def watch(run: AsyncRunHandle, *, every: float = _EVERY_S) -> RunLog:
    """Show a run until it has ended.

    Args:
        run: what `trigger` returned, or `engine.client.handle(run_id)`.
        every: seconds between two updates, at least.

    Returns:
        The run and its steps.
    """
    seen = _Seen(await run.log())
    show = _in_place() or _line_by_line()
    reader = asyncio.create_task(_read(run, seen))
    try:
        while not reader.done():
            await asyncio.wait({reader}, timeout=every)
            if seen.changed:
                seen.changed = False
                show(seen)
        reader.result()
    except (asyncio.CancelledError, KeyboardInterrupt):
        print(  # noqa: T201  # said to whoever interrupted the cell
            f"no longer watching; the run goes on:  await watch(client.handle({run.run_id!r}))"
        )
        raise
    finally:
        reader.cancel()
    seen.log = await run.log()
    show(seen)
    return seen.log


class _Seen:
    """What has been seen of a run.

    Attributes:
        log: the run; its steps are those of the entries.
        entries: everything that has happened so far.
        changed: whether that is more than what was shown.
    """

    def __init__(self, log: RunLog) -> None:
        self.log = log
        self.entries: list[FeedEntry] = []
        self.changed = True

    def add(self, entry: FeedEntry) -> None:
        self.entries.append(entry)
        self.changed = True

    def as_html(self) -> str:
        """The run as it is now; of very many steps the last ones."""
        if self.log.ended_at is not None:
            return runs.run(self.log)
        steps = fold_steps(self.entries)
        hidden = len(steps) - _STEPS_SHOWN
        self.log.steps = type(steps)(steps[-_STEPS_SHOWN:])
        note = f'<div class="quiet">{hidden:,} steps before these</div>' if hidden > 0 else ""
        return runs.run(self.log) + (html.page(note) if note else "")


async def _read(run: AsyncRunHandle, seen: _Seen) -> None:
    async for entry in run.feed():
        seen.add(entry)


def _in_place() -> Callable[[_Seen], None] | None:
    """A view that is updated in place; None where no rich front end listens."""
    try:
        from IPython.core.getipython import get_ipython  # pyright: ignore[reportMissingImports, reportUnknownVariableType] -- there in notebooks only
        from IPython.display import HTML, display  # pyright: ignore[reportMissingImports, reportUnknownVariableType] -- as above
    except ImportError:
        return None
    shell: Any = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return None
    handle: Any = display(HTML(html.page("…")), display_id=True)

    def show(seen: _Seen) -> None:
        handle.update(HTML(seen.as_html()))

    return show


def _line_by_line() -> Callable[[_Seen], None]:
    printed = 0
    said_end = False

    def show(seen: _Seen) -> None:
        nonlocal printed, said_end
        for entry in seen.entries[printed:]:
            if entry.step_name:
                word = runs.word(entry.kind)
                print(f"  {html.plain(entry.step_name)}  {word}")  # noqa: T201  # the view
        printed = len(seen.entries)
        if seen.log.ended_at is not None and not said_end:
            said_end = True
            print(repr(seen.log))  # noqa: T201  # the view

    return show
