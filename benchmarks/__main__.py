"""Measure this project's embedded engine, and the raw-SQLite floor, in one run.

    python -m benchmarks                          # all workloads, three repetitions
    python -m benchmarks W1 W2 --repeat 5 --json out.json

Each measurement is a new process on a new, empty folder; engine and floor take turns, so that
a bad minute hits both. README.md beside this file tells what is measured.
"""

import argparse
import compileall
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.adapter import MARK, Json
from benchmarks.floor import FloorGroup, FloorInline
from benchmarks.ours import Ours
from benchmarks.procstat import machine_busy_seconds
from benchmarks.report import FLOOR_OF, NOISY_CORES, summary, table
from benchmarks.workloads import PARAMETERS

ROOT = Path(__file__).parents[1]
TIME_LIMIT_S = 300
SYNC_CALLS = "fsync,fdatasync,sync_file_range,msync"
DURABILITY = {kind.name: kind.durability for kind in (Ours, FloorInline, FloorGroup)}


class Failed(Exception):
    """A measurement came to no result; the text says why."""


class Job:
    """One repetition of one workload on one engine: its folders and processes."""

    def __init__(self, workload: str, engine: str, folder: Path) -> None:
        self.workload = workload
        self.engine = engine
        self.parameters = PARAMETERS[workload]
        self.folder = folder
        (folder / "data").mkdir()
        self.log = folder / "log"
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, part: str, *, life: int = 1, trace: Path | None = None) -> Path:
        """Start a process that does the part; return the folder that gets its findings."""
        out = self.folder / f"out-{life}"
        out.mkdir()
        asked = {
            "engine": self.engine,
            "part": part,
            "folder": str(self.folder / "data"),
            "out": str(out),
            "parameters": self.parameters,
            "marks": str(self.folder / "marks") if "life" in part else None,
        }
        command = [sys.executable, "-m", "benchmarks.workloads", json.dumps(asked)]
        if trace:
            command = ["strace", "-f", "-ttt", "-qq", "-e", SYNC_CALLS, "-o", str(trace), *command]
        with self.log.open("ab") as log:
            self.processes.append(
                subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
            )
        return out

    def finish(self, out: Path) -> list[Json]:
        """Wait for the last process; return its findings."""
        try:
            status = self.processes[-1].wait(TIME_LIMIT_S)
        except subprocess.TimeoutExpired:
            raise Failed(f"not done in {TIME_LIMIT_S} s") from None
        if status:
            raise Failed(f"ended with {status}: {self.last_words()}")
        return [json.loads(line) for line in (out / "out").read_text().splitlines()]

    def last_words(self) -> str:
        """The last line that a process has printed."""
        return self.log.read_text(errors="replace").strip().rpartition("\n")[2][-300:]

    def measure(self) -> Json:
        """All figures of the workload."""
        match self.workload:
            case "W4":
                return self.cold_start()
            case "W7" | "W7L":
                return self.crash()
            case "S1":
                return self.count_syncs()
            case workload:
                return merged(self.finish(self.start(workload)))

    def cold_start(self) -> Json:
        """From the start of a process to a result: on an empty folder, and on that once more."""
        found: Json = {}
        for life, figure in ((1, "fresh_ms"), (2, "existing_ms")):
            start = time.perf_counter_ns()
            got = merged(self.finish(self.start("W4", life=life)))
            found |= {"info": got["info"], figure: (got["done_ns"] - start) / 1e6}
        return found

    def crash(self) -> Json:
        """Kill the process in the middle of a run; start another one; watch the run go on."""
        n, marks = self.parameters["n"], self.folder / "marks"
        enough = MARK.size * self.parameters["kill_at"]
        self.start("first life")
        limit = time.monotonic() + TIME_LIMIT_S
        while not marks.exists() or marks.stat().st_size < enough:
            if self.processes[0].poll() is not None or time.monotonic() > limit:
                raise Failed(f"ended before it was killed: {self.last_words()}")
            time.sleep(0.0002)
        killed = time.perf_counter_ns()
        os.killpg(self.processes[0].pid, signal.SIGKILL)
        self.processes[0].wait()
        before = read_marks(marks)
        spawned = time.perf_counter_ns()
        got = merged(self.finish(self.start("second life", life=2)))
        after = read_marks(marks)[len(before) :]
        steps = [i for i, _ in before + after]
        missing = n - len(set(steps))
        return {
            "info": got["info"],
            "next_step_ms": (after[0][1] - killed) / 1e6,
            "ready_ms": (got["ready_ns"] - spawned) / 1e6,
            "done_ms": (got["done_ns"] - killed) / 1e6,
            "repeated": len(steps) - len(set(steps)),
            "lost": missing + (got["total"] != n * (n - 1) // 2),
        }

    def count_syncs(self) -> Json:
        """What the process asks of the disk, by strace, for each step."""
        trace = self.folder / "trace"
        lines = self.finish(self.start("S1", trace=trace))
        at = [float(when) for when in re.findall(r"^\d+ +([\d.]+) ", trace.read_text(), re.M)]
        found: Json = merged(lines)
        for stretch in (line for line in lines if "stretch" in line):
            calls = sum(stretch["start"] <= when <= stretch["end"] for when in at)
            found[f"syncs_per_step_{stretch['stretch']}"] = calls / stretch["steps"]
        return {key: found[key] for key in found if key == "info" or key.startswith("syncs")}

    def close(self) -> None:
        """End what still runs, and remove the folder."""
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # a session of its own, made by `start`
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def merged(lines: list[Json]) -> Json:
    """All findings of a process in one dict."""
    found: Json = {}
    for line in lines:
        found |= line
    return found


def read_marks(path: Path) -> list[tuple[int, int]]:
    """Number and time of each step body that has run, whichever process ran it."""
    raw = path.read_bytes()
    whole = raw[: len(raw) - len(raw) % MARK.size]
    return [(i, ns) for _pid, i, ns in MARK.iter_unpack(whole)]


def attempt(workload: str, engine: str, root: Path) -> Json:
    """Measure once; note how much else the machine did meanwhile."""
    folder = Path(tempfile.mkdtemp(prefix=f"{engine}-{workload}-", dir=root))
    job = Job(workload, engine, folder)
    start, busy, own = time.monotonic(), machine_busy_seconds(), sum(os.times()[:4])
    try:
        found = job.measure()
    finally:
        job.close()
    own = sum(os.times()[:4]) - own  # the processes of the job have ended and count as ours
    others = (machine_busy_seconds() - busy - own) / (time.monotonic() - start)
    found.setdefault("others_cores", max(0.0, others))
    return found


def quietest(workload: str, engine: str, root: Path, again: int) -> Json:
    """Measure, and again while others use the cores; keep the measurement least disturbed."""
    best = attempt(workload, engine, root)
    for _ in range(again):
        if best["others_cores"] <= NOISY_CORES:
            break
        best = min(best, attempt(workload, engine, root), key=lambda found: found["others_cores"])
    return best


def tell(what: str) -> None:
    """Show what is being measured, in one line of a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)


def main() -> None:
    """Measure what is asked for, print the table, write the JSON."""
    known = list(PARAMETERS)
    options = argparse.ArgumentParser(
        prog="python -m benchmarks", description="measure, beside the raw-SQLite floor"
    )
    options.add_argument("workloads", nargs="*", metavar="W1", help=f"of {', '.join(known)}")
    options.add_argument("--repeat", type=int, default=3, metavar="N", help="median of N (3)")
    options.add_argument("--json", metavar="FILE", help="write all figures here")
    options.add_argument(
        "--again", type=int, default=2, metavar="N", help="tries more when others disturb (2)"
    )
    args = options.parse_args()
    if unknown := [name for name in args.workloads if name not in known]:
        options.error(f"no workload {unknown[0]!r}; there are {', '.join(known)}")
    workloads = args.workloads or known
    if "S1" in workloads and not shutil.which("strace"):
        print("S1 is left out: it needs strace")
        workloads = [name for name in workloads if name != "S1"]

    for package in ("workflow_agents", "benchmarks"):
        compileall.compile_dir(ROOT / package, quiet=2)  # as pip does where it installs
    root = Path(tempfile.mkdtemp(prefix="workflow-agents-bench-"))
    samples: dict[str, dict[str, list[Json]]] = {name: {} for name in workloads}
    failures: list[str] = []
    try:
        for repetition in range(args.repeat):
            for workload in workloads:
                for engine in filter(None, ("ours", FLOOR_OF[workload])):
                    tell(f"{repetition + 1}/{args.repeat} {workload} {engine}")
                    try:
                        found = quietest(workload, engine, root, args.again)
                    except Failed as failure:
                        failures.append(f"{workload} {engine}: {failure}")
                        continue
                    samples[workload].setdefault(engine, []).append(found)
    finally:
        shutil.rmtree(root, ignore_errors=True)

    results = {
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "kernel": platform.release(),
            "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        },
        "durability": DURABILITY,
        "parameters": {name: PARAMETERS[name] for name in workloads},
        "results": {
            workload: {engine: summary(found) for engine, found in engines.items()}
            for workload, engines in samples.items()
        },
        "samples": samples,
        "failures": failures,
    }
    tell("")
    print(table(results))
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if failures:
        sys.exit("failed:\n  " + "\n  ".join(failures))


if __name__ == "__main__":
    main()
