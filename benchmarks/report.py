"""Figures to medians, and medians to the table that `python -m benchmarks` prints."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

NOISY_CORES = 0.4  # others using more cores than this disturb a measurement
UNSTEADY = 1.5  # highest over lowest

# workload -> the floor that does it best: alone inline, together in groups; None: it brings its own
FLOOR_OF: dict[str, str | None] = {
    "W1": "floor-inline",
    "W2": "floor-group",
    "W3L": "floor-inline",
    "W4": "floor-inline",
    "W5": "floor-group",
    "W6": "floor-group",
    "W7": "floor-inline",
    "W7L": "floor-inline",
    "W8": None,
    "W8S": None,
    "S1": "floor-group",
    "A1": None,
    "H1": None,
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table.

    Attributes:
        key: the figure's name in the samples.
        title: what is said of it, with its unit.
        goal: the value to reach, or None.
        floor: what raw SQLite had on the machine that the goal was set on; None: not known.
        more: whether more is better.
        worst: whether the worst repetition counts instead of the median.
        ratio: whether the share of the floor says anything.
    """

    key: str
    title: str
    goal: float | None
    more: bool = False
    worst: bool = False
    ratio: bool = True
    floor: float | None = None

    def share(self, value: float, floor: float) -> float:
        """How much of the floor a value is; 1: as good."""
        return value / floor if self.more else floor / value

    def is_met(self, value: float, floor: float | None) -> bool:
        """Whether the goal is: as it is, or by the share that it was of the floor."""
        if self.goal is None:
            return True
        if value >= self.goal if self.more else value <= self.goal:
            return True
        if self.floor is None or not floor:
            return False
        return self.share(value, floor) >= self.share(self.goal, self.floor)


FIGURES: dict[str, tuple[str, list[Figure]]] = {
    "W1": (
        "one run of 200 steps",
        [
            Figure("steps_per_s", "steps/s", 2_500, more=True, floor=3_519),
            Figure("p50_ms", "p50, ms", 0.40),
            Figure("p99_ms", "p99, ms", None),
        ],
    ),
    "W2": (
        "200 runs of 10 steps, 50 at a time",
        [
            Figure("steps_per_s", "steps/s", 10_000, more=True, floor=37_014),
            Figure("cpu_s_per_1000_steps", "CPU s per 1,000 steps", 0.10, floor=0.02),
            Figure("run_p50_ms", "p50 of a run, ms", None),
        ],
    ),
    "W3L": (
        "one run of 10,000 steps",
        [
            Figure("growth", "last 200 / first 200", 1.05, ratio=False),
            Figure("total_s", "total, s", 4, floor=1.62),
        ],
    ),
    "W4": (
        "process start to the first run's result",
        [
            Figure("fresh_ms", "new store, ms", 150, floor=93),
            Figure("existing_ms", "existing store, ms", 150, floor=84),
        ],
    ),
    "W5": ("100 steps at once and a join", [Figure("total_ms", "ms", 8, floor=2.5)]),
    "W6": (
        "5,000 runs do a step and sleep",
        [
            Figure("parked_s", "until all sleep, s", 1.5, floor=0.3),
            Figure("pss_mib", "memory in all, MiB", 60),
            Figure("store_bytes_per_run", "store, bytes a run", 400),
            Figure("idle_cpu_percent", "idle CPU, %", 0.3),
        ],
    ),
    "W7": (
        "SIGKILL at step 150 of 300",
        [
            Figure("next_step_ms", "to the next step, ms", 200, floor=80),
            Figure("repeated", "bodies repeated", 1, worst=True, ratio=False),
            Figure("lost", "steps lost", 0, worst=True, ratio=False),
        ],
    ),
    "W7L": (
        "SIGKILL at step 4,800 of 5,000",
        [
            Figure("next_step_ms", "to the next step, ms", 250, floor=118),
            Figure("repeated", "bodies repeated", 1, worst=True, ratio=False),
            Figure("lost", "steps lost", 0, worst=True, ratio=False),
        ],
    ),
    "W8": (
        "100 tool calls on 200,000 tokens",
        [
            Figure("store_over_unique", "stored / what is new", 1.5),
            Figure("growth", "last 10 / first 10 turns", 1.5),
            Figure("last_ms", "a turn, ms", None),
            Figure("written_last", "bytes written a turn", None),
        ],
    ),
    "W8S": (
        "1,000 turns of short messages",
        [
            Figure("second_half", "store: second half / first half", 1.2),
            Figure("bytes_a_turn", "store, bytes a turn", None),
            Figure("written_last", "bytes written a turn", None),
        ],
    ),
    "S1": (
        "disk syncs (strace)",
        [
            Figure("syncs_per_step_alone", "a step, one run", None),
            Figure("syncs_per_step_together", "a step, 50 runs at once", 0.1),
        ],
    ),
    "A1": (
        "an agent, 50 turns with a tool call each",
        [
            Figure("added_ms", "CPU that the agents layer adds, ms a turn", 10),
            Figure("agent_ms", "CPU in all, ms a turn", None),
            Figure("bare_ms", "CPU of the same steps without it, ms a turn", None),
        ],
    ),
    "H1": (
        "outbound requests, 32 connections",
        [
            Figure("requests_per_s", "requests/s", None, more=True),
            Figure("cpu_us", "CPU, µs a request", None),
            Figure("httpx2_per_s", "httpx2, requests/s", None, more=True),
            Figure("httpx2_cpu_us", "httpx2, CPU, µs a request", None),
        ],
    ),
}


def summary(samples: list[Json]) -> Json:
    """Median, lowest and highest of each figure."""
    figures: Json = {"repetitions": len(samples)}
    numbers = {key for s in samples for key, v in s.items() if isinstance(v, (int, float))}
    for key in sorted(numbers):
        values = [float(s[key]) for s in samples if key in s]
        figures[key] = {
            "median": statistics.median(values),
            "lowest": min(values),
            "highest": max(values),
        }
    return figures


def number(value: float) -> str:
    """Three digits that matter, thousands apart."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def flags(found: Json, key: str) -> str:
    """`*`: others disturbed the measurement; `~`: the repetitions differ much."""
    lowest, highest = found[key]["lowest"], found[key]["highest"]
    disturbed = found.get("others_cores", {"median": 0.0})["median"] > NOISY_CORES
    return "*" * disturbed + "~" * (lowest > 0 and highest / lowest > UNSTEADY)


def rows(results: Json) -> Iterator[tuple[str, ...]]:
    """The cells of each line."""
    for workload, engines in results.items():
        if "ours" not in engines:
            continue
        about, figures = FIGURES[workload]
        ours, floor = engines["ours"], engines.get(FLOOR_OF[workload] or "")
        for i, figure in enumerate(figures):
            pick = ("lowest" if figure.more else "highest") if figure.worst else "median"
            value = ours[figure.key][pick]
            least = floor[figure.key][pick] if floor else None
            share, goal, met = "", "", ""
            if least and value and figure.ratio:
                share = f"{figure.share(value, least):.2f}"
            if figure.goal is not None:
                goal = f"{'≥' if figure.more else '≤'} {number(figure.goal)}"
                if figure.floor is not None:
                    goal += f", or share ≥ {figure.share(figure.goal, figure.floor):.2f}"
                met = "yes" if figure.is_met(value, least) else "no"
            yield (
                f"{workload}: {about}" if i == 0 else "",
                figure.title,
                number(value) + flags(ours, figure.key),
                number(least) + flags(floor, figure.key) if floor and least is not None else "-",
                share,
                goal,
                met,
            )


def table(results: Json) -> str:
    """The results for a terminal; Markdown shows it too."""
    head = ("workload", "figure", "ours", "raw SQLite", "share of it", "goal", "met")
    lines = list(rows(results["results"]))
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]

    def text(cells: tuple[str, ...]) -> str:
        padded = (
            cell.ljust(w) if i < 2 or i > 4 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"

    rule = "|" + "|".join("-" * (w + 1) + ":-"[i < 2 or i > 4] for i, w in enumerate(widths)) + "|"
    machine = results["machine"]
    return "\n".join(
        [
            text(head),
            rule,
            *map(text, lines),
            "",
            f"ours:       {results['durability']['ours']}",
            "raw SQLite: the same settings; a lone run commits inline, many share commits",
            f"machine:    {machine['cores']} cores, Python {machine['python']}, {machine['when']}",
            "medians; share: 1 is as good as raw SQLite; "
            f"* others used over {NOISY_CORES} cores; ~ highest over lowest above {UNSTEADY}",
        ]
    )
