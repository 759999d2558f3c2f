"""The embedded engine: wires the parts, starts and stops them.

Clock, randomness, store and outbound HTTP are passed in; a simulation owns them all. It knows
no workflow code: what is served here is called through `Served`.
"""

import asyncio
import contextlib
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextvars import Context, copy_context
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from workflow_agents.clock import Clock
from workflow_agents.core.journal import History
from workflow_agents.core.lifecycle import is_ended
from workflow_agents.core.limits import Limits
from workflow_agents.core.options import DEFAULT_OPTIONS, RunOptions
from workflow_agents.engine.accepting import Accepting
from workflow_agents.engine.admin import Admin
from workflow_agents.engine.deliveries import Deliveries
from workflow_agents.engine.dispatcher import Dispatcher
from workflow_agents.engine.ends import Ends
from workflow_agents.engine.intake import Intake
from workflow_agents.engine.live import LiveRun
from workflow_agents.engine.sealing import Sealer
from workflow_agents.engine.served import Served
from workflow_agents.engine.streams import Streams
from workflow_agents.errors import ConfigurationError, NotFound, StateError, StoreError
from workflow_agents.protocol.history import EntryKind, StepKey
from workflow_agents.store.changes import (
    Applied,
    Broken,
    Change,
    Entry,
    Guard,
    Outcome,
    Release,
)
from workflow_agents.store.commits import Commits, Committed
from workflow_agents.store.interface import RunRow, Store

if TYPE_CHECKING:
    from workflow_agents.engine.broadcast import Broadcast
    from workflow_agents.engine.flow_limits import FlowLimits
    from workflow_agents.engine.http_out import HttpOut
    from workflow_agents.engine.pauses import Pauses
    from workflow_agents.engine.wire import Wire

logger = logging.getLogger(__name__)

_ID_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_ENDS = frozenset({EntryKind.RUN_SUCCESS, EntryKind.RUN_FAILED, EntryKind.RUN_CANCELED})
_AGAIN_S = 1.0


class DurableEngine:
    """See the module.

    Args:
        store: not yet open; opened by `start`, closed by `stop`.
        clock: tells the time.
        random_bytes: so many of them; ids are made of them.
        http: makes outbound requests.
        environment: reads the variables that secrets name.
        limits: sizes and numbers.
        keep_ms: how long the task of a parked run is kept for what may come soon.
        call_timeout_ms: of one attempt of a call that has no own.
        retention_ms: how long ended runs are kept; None: for ever.
        inline: commit on the loop's thread only.
        base_url: what webhook addresses begin with.

    Attributes:
        path: of the store; ":memory:": in this process only.
        retention_ms: see the argument.
        stopping: it claims nothing more, and stops soon.
        recovered: how many runs a dead process had left when it started.
        on_commit: hears of every batch that was stored; for test kits.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        http: "HttpOut",
        environment: Callable[[str], str | None],
        path: str = ":memory:",
        limits: Limits | None = None,
        keep_ms: int = 10_000,
        call_timeout_ms: int = 7_200_000,
        retention_ms: int | None = None,
        max_live: int = 10_000,
        inline: bool = False,
        base_url: str = "http://localhost:8000",
    ) -> None:
        self.store = store
        self.clock = clock
        self.http = http
        self.limits = limits or Limits()
        self.keep_ms = keep_ms
        self.call_timeout_ms = call_timeout_ms
        self.base_url = base_url
        self.path = path
        self.sealer = Sealer(path, environment)
        self.workflows: dict[str, Served] = {}
        self.live: dict[int, LiveRun] = {}
        self.intake = Intake(self)
        self.ends = Ends(self)
        self.deliveries = Deliveries(self)
        self.admin = Admin(self)
        self.streams = Streams()
        self.running = False
        self.stopping = False
        self.recovered = 0
        self.on_commit: Committed | None = None
        self._random_bytes = random_bytes
        self.retention_ms = retention_ms
        self._max_live = max_live
        self._inline = inline
        self._watchers: defaultdict[int, set[asyncio.Event]] = defaultdict(set)
        self._awaited: dict[int, list[asyncio.Future[None]]] = {}
        self._housekeeping: set[asyncio.Task[None]] = set()
        self._options: dict[tuple[str, str | None], RunOptions] = {}

    @cached_property
    def pauses(self) -> "Pauses":
        """The pauses of providers that have refused a request."""
        from workflow_agents.engine.pauses import Pauses

        return Pauses(self)

    @cached_property
    def flow_limits(self) -> "FlowLimits":
        """The limits of flow control keys."""
        from workflow_agents.engine.flow_limits import FlowLimits

        return FlowLimits(self)

    @cached_property
    def broadcast(self) -> "Broadcast":
        """Those who follow the feed."""
        from workflow_agents.engine.broadcast import Broadcast

        return Broadcast(self)

    # Life.

    async def start(self) -> None:
        """Take the store into possession and go on with everything that it holds.

        Raises:
            StoreError: the store cannot be used.
        """
        if self.running:
            raise StateError(
                "WA608",
                "the engine is running already",
                found="expected a stopped engine, found a running one",
                why="it was started before, perhaps by the app that it is embedded in",
                fix=("start it once: async with engine: ...",),
            )
        self.store.open()
        try:
            self.loop = asyncio.get_running_loop()
            self.base_context = copy_context()
            self.commits = Commits(
                self.store, inline=self._inline, news=self._news, committed=self._committed
            )
            self.dispatcher = Dispatcher(self)
            self.recovered = self.store.recover(self.clock.now_ms())
            if ruled := self.store.ruled_flow_keys():
                self.flow_limits.know(ruled)
        except BaseException:
            self.store.close()
            raise
        if self.recovered:
            logger.info("%d runs that a stopped process had in hand go on", self.recovered)
        self.running, self.stopping = True, False
        if "broadcast" in vars(self):
            self.broadcast.begin()
        self.dispatcher.start()
        if not self._inline:
            from workflow_agents.engine.housekeeping import keep_house

            self._housekeeping.add(self.spawn(keep_house(self, self.retention_ms)))

    def hang_up(self) -> None:
        """It stops soon: claim nothing more, and let go of whoever waits for news.

        What is in hand goes on until `stop`.
        """
        self.stopping = True
        self.dispatcher.halt()
        if "broadcast" in vars(self):
            self.broadcast.close("the engine stops")
        if "wire" in vars(self):
            self.wire.checkpoints.hang_up()

    async def stop(self) -> None:
        """Claim nothing more, end the invocations, and close the store. Loses nothing."""
        if not self.running:
            return
        self.hang_up()
        self.running = False
        await self.dispatcher.stop()
        for task in self._housekeeping:
            task.cancel()
        await asyncio.gather(*self._housekeeping, return_exceptions=True)
        for live in [*self.live.values()]:
            live.release()
        await self.deliveries.close()
        if "wire" in vars(self):
            await self.wire.checkpoints.close()
        await self.commits.drain()
        if "broadcast" in vars(self):
            await self.broadcast.finish()
        await self.http.close()
        self.store.close()
        self.streams.wake_all()
        for event in [e for events in self._watchers.values() for e in events]:
            event.set()
        for future in [f for futures in self._awaited.values() for f in futures]:
            if not future.done():
                future.set_result(None)

    def serve(self, workflow: Served) -> None:
        """Serve a workflow under its path.

        Raises:
            ConfigurationError: WA110.
        """
        if workflow.path in self.workflows:
            found = f"{self.workflows[workflow.path]!r} is served there already"
            raise ConfigurationError("WA110", where=f"path {workflow.path!r}", found=found)
        self.workflows[workflow.path] = workflow

    def served(self, path: str) -> Served:
        """The workflow under this path.

        Raises:
            NotFound: WA107, with the nearest name.
        """
        found = self.workflows.get(path)
        if found is None:
            import difflib

            near = difflib.get_close_matches(path, self.workflows, 1)
            hint = f"did you mean {near[0]!r}?" if near else "serve it: @serve.post(path)"
            known = ", ".join(sorted(self.workflows)) or "nothing"
            raise NotFound(
                "WA107", where=f"path {path!r}", found=f"served here: {known}"[:200], fix=(hint,)
            )
        return found

    def ensure_running(self) -> None:
        """Raise unless the engine runs.

        Raises:
            StoreError: WA111.
        """
        if not self.running:
            raise StoreError("WA111", found="expected a running engine, found one at rest")

    @cached_property
    def wire(self) -> "Wire":
        """Messages and remote runs, which only a server has."""
        from workflow_agents.engine.wire import Wire

        return Wire(self)

    # Runs in hand.

    @property
    def has_room(self) -> bool:
        """Whether one more run may be in hand; a kept task makes way for it."""
        if len(self.live) >= self._max_live:
            parked = next((live for live in self.live.values() if live.parked), None)
            if parked is not None:
                parked.close()
        return self.running and len(self.live) < self._max_live

    def begin(self, row: RunRow, history: History | None = None) -> None:
        """Begin an invocation of a run that was just leased."""
        options = self.opened(self.options_of(row))
        live = LiveRun(self, row, options)
        self.live[row.id] = live
        known = history or History([], [])
        if options.checkpoints:
            live.invocation = self.wire.checkpoints.visit(live, known)
        else:
            served = self.workflows[row.workflow]
            live.invocation = served.invoke(row, options, known, live, live, None)

    def claimed(self, row: RunRow) -> None:
        """The dispatcher has leased a run: go on with its task, or begin one."""
        live = self.live.get(row.id)
        if live is not None:
            live.claimed(row.token)
        else:
            self._begin_or_give_back(row, self._begin_claimed)

    def begin_leased(self, row: RunRow) -> None:
        """A run was stored as leased: begin it."""
        self._begin_or_give_back(row, self.begin)

    def _begin_or_give_back(self, row: RunRow, begin: Callable[[RunRow], None]) -> None:
        try:
            if self.running:
                begin(row)
                return
        except Exception:  # the edge of one run: it stays due, and the engine goes on
            logger.exception("run %s cannot begin", row.run_id, extra={"run_id": row.run_id})
        self._give_back(row)

    def _begin_claimed(self, row: RunRow) -> None:
        fresh = self.store.run(row.id)
        if fresh is None or fresh.token != row.token:
            return
        if fresh.recoveries > self.limits.recoveries:
            self._poisoned(fresh)
            return
        self.begin(fresh, self.store.history(row.id))

    def _give_back(self, row: RunRow) -> None:
        """A run that was leased and cannot begin is due again, a little later."""

        def told(outcome: Outcome) -> None:
            if isinstance(outcome, Broken) and self.running:
                self.loop.call_later(_AGAIN_S, self._give_back, row)

        due_at = self.clock.now_ms() + int(_AGAIN_S * 1000)
        self.commits.submit(Change((Release(row.id, row.token, due_at),)), told)

    def accept(self, path: str, body: bytes, options: RunOptions) -> Accepting:
        """Begin a run that is stored when its function asks for its first step."""
        served = self.served(path)
        op = self.intake.unstored(path, body, options)
        return Accepting(self, served, op, options)

    def opened(self, options: RunOptions) -> RunOptions:
        """Options with the headers as they were given."""
        if not options.headers:
            return options
        return replace(options, headers=self.sealer.open_headers(options.headers))

    def forget(self, live: LiveRun) -> None:
        """The run is no longer in hand."""
        if self.live.get(live.row.id) is live:
            del self.live[live.row.id]

    def _poisoned(self, row: RunRow) -> None:
        failure = {
            "error": "PoisonedRun",
            "message": f"WA211 its process died {row.recoveries} times without progress",
            "status": 500,
            "attempts": row.recoveries,
        }
        ops, entries = self.ends.gave_up(row, self.options_of(row), failure)
        change = Change((Guard(row.id, row.token), *ops), entries)

        def told(outcome: Outcome) -> None:
            if isinstance(outcome, Broken):
                self._give_back(row)

        self.commits.submit(change, told)

    def options_of(self, row: RunRow) -> RunOptions:
        """A run's options over those of its workflow."""
        key = (row.workflow, row.options)
        found = self._options.get(key)
        if found is None:
            given = RunOptions.from_json(json.loads(row.options)) if row.options else None
            served = self.workflows.get(row.workflow)
            found = (given or DEFAULT_OPTIONS).over(served.options if served else DEFAULT_OPTIONS)
            if len(self._options) > 1_000:
                self._options.clear()
            if served is not None or found.checkpoints:
                self._options[key] = found
        return found

    # News.

    @property
    def busy(self) -> bool:
        """Whether something is under way here, and not merely due: code, a request, a commit."""
        working = any(not live.parked for live in self.live.values())
        return working or self.deliveries.busy or self.commits.busy

    def _news(self, applied: Applied) -> None:
        """Runs were woken: those in hand are told at once, the rest are due."""
        for woken in applied.woken:
            live = self.live.get(woken.run)
            if live is not None:
                live.woken(woken)
        self.poke()

    def discarded(self, run: int, step: StepKey | None, message: int | None = None) -> None:
        """An outcome came second."""
        kind = EntryKind.DISCARDED
        entry = Entry(run, self.clock.now_ms(), kind, step=step, message=message)
        self.commits.submit(Change((), (entry,)), lambda _outcome: None)

    def poke(self) -> None:
        """Something may be due."""
        self.dispatcher.poke()

    def _committed(self, changes: Sequence[Change], outcomes: Sequence[Outcome]) -> None:
        """Wake who watches a run that something was told of, or waits for its end."""
        if self.on_commit is not None:
            self.on_commit(changes, outcomes)
        if "broadcast" in vars(self):
            self.broadcast.committed()
        for change, outcome in zip(changes, outcomes, strict=True):
            if type(outcome) is not Applied:
                continue
            for entry in change.entries:
                if entry.kind in _ENDS and entry.run in self._awaited:
                    self.look_again(entry.run)
            if self.streams.heard_by_anyone:
                for run in _touched(change, outcome):
                    self.streams.committed(run, outcome.seq)
            if self._watchers:
                touched = _touched(change, outcome)
                for event in [e for run in touched for e in self._watchers.get(run, ())]:
                    event.set()

    async def end_of(self, run: int) -> RunRow:
        """Wait until a run has ended.

        Raises:
            NotFound: WA606.
            StoreError: WA111, the engine stops first.
        """
        while True:
            self.ensure_running()
            future: asyncio.Future[None] = self.loop.create_future()
            self._awaited.setdefault(run, []).append(future)
            try:
                row = self.store.run(run)
                if row is None:
                    raise NotFound("WA606", found=f"run {run}")
                if is_ended(row.phase):
                    return row
                await future
            finally:
                self._no_longer_awaited(run, future)

    def _no_longer_awaited(self, run: int, future: "asyncio.Future[None]") -> None:
        waiting = self._awaited.get(run)
        if waiting is not None and future in waiting:
            waiting.remove(future)
            if not waiting:
                del self._awaited[run]

    def look_again(self, run: int) -> None:
        """Whoever waits for the end of a run asks the store."""
        for future in self._awaited.pop(run, ()):
            if not future.done():
                future.set_result(None)

    @contextlib.contextmanager
    def watching(self, run: int) -> Generator[asyncio.Event]:
        """An event that is set whenever something of this run was stored."""
        event = asyncio.Event()
        self._watchers[run].add(event)
        try:
            yield event
        finally:
            self._watchers[run].discard(event)
            if not self._watchers[run]:
                del self._watchers[run]

    # Odds and ends.

    def spawn(self, coro: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task that belongs to no workflow, whoever asks for it."""
        return self.loop.create_task(coro, context=self.fresh_context())

    def fresh_context(self) -> Context:
        """The context in which the engine was started."""
        return self.base_context.copy()

    def new_id(self, length: int) -> str:
        """Random characters of `[A-Za-z0-9_-]`."""
        return "".join([_ID_CHARACTERS[byte % 64] for byte in self._random_bytes(length)])

    def webhook_url(self, run_id: str, event_id: str) -> str:
        """Source: protocol 4.7."""
        return f"{self.base_url.rstrip('/')}/v2/workflows/hooks/local/{run_id}/{event_id}"


def _touched(change: Change, applied: Applied) -> set[int]:
    """The runs whose feed has grown."""
    return {entry.run for entry in change.entries} | {woken.run for woken in applied.woken}
