"""CPU time and memory of a process and its children, from /proc (Linux)."""

import os
import time
from collections import defaultdict
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")  # a second


def _stat(pid: int) -> list[str] | None:
    """The fields after the program's name, or None if the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def family(root: int) -> set[int]:
    """The process and all its living descendants."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := _stat(int(entry))):
            children[int(fields[1])].append(int(entry))
    found: set[int] = set()
    todo = [root]
    while todo:
        pid = todo.pop()
        found.add(pid)
        todo += children[pid]
    return found


def cpu_seconds(root: int) -> float:
    """User and system seconds of the family, with the children that have ended."""
    total = 0.0
    for pid in family(root):
        if fields := _stat(pid):
            total += (int(fields[13]) + int(fields[14])) / TICKS  # ended children
            try:
                total += time.clock_gettime((~pid << 3) | 2)  # the process itself, in ns
            except OSError:
                total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def memory_mib(root: int) -> tuple[float, float]:
    """RSS and PSS of the family. PSS divides pages by the number of processes that share them."""
    kib = {"Rss": 0, "Pss": 0}
    for pid in family(root):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            key, _, value = line.partition(":")
            if key in kib:
                kib[key] += int(value.split()[0])
    return kib["Rss"] / 1024, kib["Pss"] / 1024


def machine_busy_seconds() -> float:
    """Seconds that all cores together have worked since the machine started."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    user, nice, system, _idle, _waiting, irq, softirq, steal = map(int, fields)
    return (user + nice + system + irq + softirq + steal) / TICKS


class Window:
    """What the engine, and what all else on the machine, used between two moments."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._start = (time.perf_counter(), cpu_seconds(root), machine_busy_seconds())

    def close(self) -> dict[str, float]:
        """Seconds passed and used; `others_cores`: cores' worth of work that was not ours."""
        wall = time.perf_counter() - self._start[0]
        cpu = cpu_seconds(self._root) - self._start[1]
        busy = machine_busy_seconds() - self._start[2]
        others = max(0.0, busy - cpu) / wall if wall > 0.05 else 0.0
        return {"wall_s": wall, "cpu_s": cpu, "others_cores": others}
