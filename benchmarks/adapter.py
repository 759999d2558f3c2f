"""What a workload needs of an engine, and the one step body that all engines run.

An adapter imports its engine in `start`, not at the top: the cold start counts imports.
"""

import itertools
import os
import struct
import time
from typing import Any, ClassVar, Protocol

MARK = struct.Struct("<IIQ")  # pid, number of the step, CLOCK_MONOTONIC in ns

Json = dict[str, Any]


class Marks:
    """Each execution of a step body: in memory, and in a file if one is named.

    The file gets one append per step, so what it holds outlives a killed process.
    """

    def __init__(self) -> None:
        self.hits: list[tuple[str, int]] = []  # run id, ns
        self.count = 0
        self.keep = True
        self._fd: int | None = None

    def write_to(self, path: str) -> None:
        """From now on append each mark to the file too."""
        self._fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def hit(self, run_id: str, i: int) -> None:
        """Note that step i of the run executes now."""
        now = time.perf_counter_ns()
        self.count += 1
        if self.keep:
            self.hits.append((run_id, now))
        if self._fd is not None:
            os.write(self._fd, MARK.pack(os.getpid(), i, now))

    def intervals_ms(self, run_id: str) -> list[float]:
        """The times between consecutive step bodies of the run."""
        at = sorted(ns for run, ns in self.hits if run == run_id)
        return [(b - a) / 1e6 for a, b in itertools.pairwise(at)]


MARKS = Marks()


def step_body(run_id: str, i: int) -> Json:
    """Note that the step ran; return a small dict, about 80 bytes of JSON."""
    MARKS.hit(run_id, i)
    return {"i": i, "ok": True, "text": "a small result of one durable step"}


class Adapter(Protocol):
    """One engine, on a folder of its own.

    `kind` is what a run does: "seq" n steps in a row, "fan" n steps at once and a join
    (both return `{"steps": n, "total": sum of the results' i}`), "park" one step and then a
    durable sleep of n seconds.
    """

    name: ClassVar[str]
    durability: ClassVar[str]  # what is on disk when a step counts as done

    def __init__(self, folder: str) -> None: ...

    async def start(self) -> None:
        """Bring the engine up until it takes runs; unfinished runs may go on by themselves."""
        ...

    async def submit(self, run_id: str, kind: str, n: int) -> Any:
        """Start a run; return a handle once it is durably accepted."""
        ...

    async def result(self, handle: Any) -> Json:
        """Wait for what the run returns."""
        ...

    async def recover(self, run_id: str, kind: str, n: int) -> Json:
        """In a new process after a crash: make the run go on, wait for what it returns."""
        ...

    def store_bytes(self) -> int:
        """The size of what is stored, without logs that are used again."""
        ...

    def info(self) -> Json:
        """Versions and settings, read from the running engine."""
        ...

    async def stop(self) -> None:
        """End it in order."""
        ...
