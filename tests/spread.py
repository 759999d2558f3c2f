"""Spreads the tests of a session over processes that are forked when all tests are collected.

    python -m pytest -p tests.spread --workers 4

To import everything that tests need takes as long as hundreds of tests: here it is done once. A
process gets the tests of a module together, because they share its fixtures. Those that are
marked `slow`, and folders that keep a processor busy, are done one by one: by one process before
all else, while the others do what mostly waits. That process begins with what takes longest while
all else is still being collected.
"""

import gc
import os
import signal
import sys
import tempfile
import warnings
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import groupby
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any

import pytest

from tests import forks

Unit = list[int]
"""Tests that one process does in a row, by their places in the session."""

TOGETHER = ("tests/dashboard/", "tests/official/", "tests/rest/")
"""Folders whose tests share what takes long to start: a browser, servers, endpoints."""

BUSY = ("tests/properties/", "tests/simulation/")
"""Folders whose tests keep a processor busy, and share nothing."""

EARLY = "tests/simulation/test_seeds.py"
"""The module that takes longest. To collect it takes a moment, and it shares nothing."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption("--workers", type=int, default=1, help="spread the tests over so many forks")


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Begin with what takes longest, where everything is going to be done."""
    config = session.config
    some = config.option.keyword or config.option.markexpr or config.option.collectonly
    asked = config.args_source is config.ArgsSource.ARGS
    if config.option.workers < 2 or some or asked or not (config.rootpath / EARLY).exists():
        return

    def work(line: Connection) -> None:
        _speaks(session, line)
        _do(session, session.perform_collect([str(config.rootpath / EARLY)]))

    config.stash[_BEGUN] = _Worker(0, _base(session), work)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Do the tests in other processes; None: in this one, as usual."""
    workers: int = session.config.option.workers
    if workers < 2 or session.config.option.collectonly or session.testsfailed:
        return None
    _Spread(session, workers).run()
    return True


def pytest_unconfigure(config: pytest.Config) -> None:
    """Where nothing could be done, what has begun early ends too."""
    early = config.stash.get(_BEGUN, None)
    if early is not None:
        early.kill()


class Units:
    """What is left to be done.

    Args:
        items: for each test, in order: its module or folder, and whether it is slow.
        begun: those that somebody does already.
    """

    def __init__(
        self, items: Sequence[tuple[str, bool]], begun: Collection[int] = frozenset()
    ) -> None:
        self._slow: deque[Unit] = deque()
        self._quick: deque[Unit] = deque()
        left = [place for place in range(len(items)) if place not in begun]
        for (_, slow), places in groupby(left, key=items.__getitem__):
            if slow:
                self._slow.extend([place] for place in places)
            else:
                self._quick.append([*places])

    def next(self, *, slow_first: bool) -> Unit:
        """What a process does next; nothing: all is handed out."""
        ways = (self._slow, self._quick) if slow_first else (self._quick, self._slow)
        return next((way.popleft() for way in ways if way), [])

    def give_back(self, unit: Unit) -> None:
        """Somebody else has to do it."""
        self._quick.appendleft(unit)


def _place(nodeid: str) -> str:
    """A test's module, or folder."""
    path = nodeid.partition("::")[0]
    return next((folder for folder in TOGETHER if path.startswith(folder)), path)


def _is_slow(item: pytest.Item) -> bool:
    return item.nodeid.startswith(BUSY) or item.get_closest_marker("slow") is not None


class _Worker:
    """A process, as the one that forked it sees it."""

    def __init__(self, number: int, base: Path, work: Callable[[Connection], None]) -> None:
        own = base / f"worker{number}"
        own.mkdir(exist_ok=True)
        self.number = number
        self.line, other = Pipe()
        self.unit: Unit = []
        sys.stdout.flush()
        sys.stderr.flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads that may be there
            self.pid = os.fork()
        if not self.pid:
            code = 1
            try:
                self.line.close()
                os.environ["PYTEST_DEBUG_TEMPROOT"] = str(own)
                work(other)
                code = 0
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        other.close()

    def ended(self) -> int:
        """Wait for its end; its exit code."""
        pid, self.pid = self.pid, 0
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def kill(self) -> None:
        """End it, if it has not ended."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            self.ended()


_BEGUN = pytest.StashKey[_Worker]()


def _base(session: pytest.Session) -> Path:
    """Where all of them have their files."""
    base: Path = session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # as xdist does
    return base


class _Spread:
    """The process that hands out tests and hears what became of them."""

    def __init__(self, session: pytest.Session, workers: int) -> None:
        self._session = session
        self._count = min(workers, len(session.items))
        self._lines: dict[Connection, _Worker] = {}
        self._early = session.config.stash.get(_BEGUN, None)
        if self._early is not None:
            self._lines[self._early.line] = self._early
            self._early.unit = [
                place
                for place, item in enumerate(session.items)
                if item.nodeid.startswith(f"{EARLY}::")
            ]
        self._units = Units(
            [(_place(item.nodeid), _is_slow(item)) for item in session.items],
            {place for worker in self._lines.values() for place in worker.unit},
        )

    def run(self) -> None:
        forks.home()  # one for all
        # Nothing of what is there now will ever be garbage.
        gc.collect()
        gc.freeze()
        for number in range(len(self._lines), self._count):
            self._begin(number)
        while self._lines:
            for line in wait([*self._lines]):
                assert isinstance(line, Connection)
                self._hear(self._lines[line])
            if self._over and self._early is not None and self._early.line in self._lines:
                # It asks nobody whether there is more to do.
                del self._lines[self._early.line]
                self._early.kill()
        if self._session.shouldfail:
            raise self._session.Failed(self._session.shouldfail)
        if self._session.shouldstop:
            raise self._session.Interrupted(self._session.shouldstop)
        while unit := self._units.next(slow_first=True):
            for place in unit:
                self._lost(place, "nobody is left to do it: all processes have died")

    @property
    def _over(self) -> bool:
        return bool(self._session.shouldfail or self._session.shouldstop)

    def _begin(self, number: int) -> None:
        def work(line: Connection) -> None:
            _speaks(self._session, line)
            _do(self._session, _handed_out(self._session, line))

        worker = _Worker(number, _base(self._session), work)
        self._lines[worker.line] = worker

    def _hear(self, worker: _Worker) -> None:
        config = self._session.config
        try:
            what, told = worker.line.recv()
        except EOFError:
            self._gone(worker)
            return
        match what:
            case "wants more":
                unit = [] if self._over else self._units.next(slow_first=not worker.number)
                worker.unit += unit
                worker.line.send(unit)
            case "report":
                report = config.hook.pytest_report_from_serializable(config=config, data=told)
                config.hook.pytest_runtest_logreport(report=report)
            case _:
                nodeid, location = told
                config.hook.pytest_runtest_logfinish(nodeid=nodeid, location=location)
                worker.unit.pop(0)

    def _gone(self, worker: _Worker) -> None:
        del self._lines[worker.line]
        code = worker.ended()
        if worker is self._early:
            self._begin(worker.number)
        if not code:
            return
        lost, *rest = worker.unit or [None]
        self._lost(lost, f"the process that did it ended with {code}")
        if rest:
            self._units.give_back(rest)

    def _lost(self, place: int | None, said: str) -> None:
        """A test has failed for want of a process; None: what comes behind all tests has."""
        nodeid, location = __name__, (__file__, None, "the end of a process")
        if place is not None:
            item = self._session.items[place]
            nodeid, location = item.nodeid, item.location
        report = pytest.TestReport(nodeid, location, {}, "failed", said, "call")
        self._session.config.hook.pytest_runtest_logreport(report=report)


class _Tells:
    """In a process that does tests: says what becomes of them."""

    def __init__(self, config: pytest.Config, line: Connection) -> None:
        self._config = config
        self._line = line

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        hook = self._config.hook
        data = hook.pytest_report_to_serializable(config=self._config, report=report)
        self._line.send(("report", data))

    def pytest_runtest_logfinish(self, nodeid: str, location: Any) -> None:
        self._line.send(("finished", (nodeid, location)))


def _speaks(session: pytest.Session, line: Connection) -> None:
    """Make this a process that does tests, and says there what becomes of them."""
    plugins = session.config.pluginmanager
    plugins.unregister(name="terminalreporter")
    _capture_apart(plugins.getplugin("capturemanager"))
    plugins.register(_Tells(session.config, line))


def _do(session: pytest.Session, items: Iterable[pytest.Item]) -> None:
    """The life of a process that does tests."""
    coming = iter(items)
    item = next(coming, None)
    while item is not None and not (session.shouldfail or session.shouldstop):
        following = next(coming, None)
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        item = following


def _capture_apart(capture: Any) -> None:
    """Files of one's own in place of those that the process that forked captures output in.

    Modules may have kept what was `sys.stderr` when they were imported: it has to stay what it is.
    """
    captured = capture._global_capturing
    for stream in (captured.out, captured.err) if captured is not None else ():
        file = getattr(stream, "tmpfile", None)
        if file is not None:
            with tempfile.TemporaryFile() as own:
                os.dup2(own.fileno(), file.fileno())


def _handed_out(session: pytest.Session, line: Connection) -> Iterator[pytest.Item]:
    while True:
        line.send(("wants more", None))
        unit: Unit = line.recv()
        if not unit:
            return
        for place in unit:
            yield session.items[place]
