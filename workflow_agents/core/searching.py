"""Searching for a text in what runs were given and gave: what is looked for, and what was found.

Pure. Bodies are searched as they are stored, which is compact JSON: so a text is looked for as it
stands inside a JSON string, and as a piece of JSON itself. ASCII letters are found in either case.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Literal

from workflow_agents.errors import ConfigurationError

MOST_RUNS = 10_000
"""So many runs are looked into at most, the newest first; then it is told where to go on."""

MOST_MS = 2_000
"""So long is looked at most."""

LARGEST_BYTES = 4 * 2**20
"""Values above this are left out, and counted."""

_LONGEST = 200
_AROUND = 48
_RULING = re.compile(r"[%_\\]")
_SPACED = re.compile(r'("|\d|\]|\}|true|false|null)\s*([:,])\s+(?=["\d\[{tfn-])')

Where = Literal["input", "result", "step", "request", "message"]


@dataclass(frozen=True, slots=True)
class SearchMatch:
    """A run in which the text was found.

    Attributes:
        workflow_run_id: of the run.
        workflow: its path or address.
        state: RUN_STARTED, RUN_SUCCESS, RUN_FAILED or RUN_CANCELED.
        created_at: Unix milliseconds.
        where: "input" or "result" of the run; "step": what a step gave; "request": the body of a
            step's request; "message": what was sent to or by a run elsewhere.
        step_name: of which step; None: it was of none.
        text: what stands around it, cut.
    """

    workflow_run_id: str
    workflow: str
    state: str
    created_at: int
    where: Where
    step_name: str | None
    text: str


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search has found, and how far it has looked.

    Attributes:
        matches: runs, the newest first, each once.
        looked_at: into how many runs it has looked.
        looked_until: when the oldest of them was created, Unix milliseconds; None: there are none.
        stopped_by: "end": all were looked into. "enough": as many were found as were asked for.
            "runs", "time": it looks into 10,000 runs and for 2 seconds at most.
        left_out: so many values are above 4 MiB, and were not looked into.
        cursor: goes on from here; None: there is no more.
    """

    matches: list[SearchMatch] = field(default_factory=list[SearchMatch])
    looked_at: int = 0
    looked_until: int | None = None
    stopped_by: Literal["end", "enough", "runs", "time"] = "end"
    left_out: int = 0
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Needle:
    """A text as it may stand in what is stored."""

    forms: tuple[bytes, ...]

    @classmethod
    def of(cls, text: str) -> "Needle":
        """What to look for.

        Raises:
            ConfigurationError: WA102, there is nothing to look for, or it is too long.
        """
        text = text.strip()
        if not text or len(text) > _LONGEST:
            raise ConfigurationError(
                "WA102",
                "'search' is not right",
                where="search",
                found=f"expected a text of 1 to {_LONGEST} characters, found {len(text)}",
            )
        inside = json.dumps(text, ensure_ascii=False)[1:-1]
        piece = _SPACED.sub(r"\1\2", text)
        forms = dict.fromkeys(form.encode("utf-8", "replace") for form in (inside, piece))
        return cls(tuple(form.lower() for form in forms))

    def patterns(self) -> tuple[str, ...]:
        """For LIKE, with a backslash as its ESCAPE."""
        texts = (form.decode("utf-8", "replace") for form in self.forms)
        return tuple("%" + _RULING.sub(r"\\\g<0>", text) + "%" for text in texts)

    def found_in(self, data: bytes) -> str | None:
        """What stands around the first place; None: it is not there."""
        lower = data.lower()
        for form in self.forms:
            at = lower.find(form)
            if at >= 0:
                return _around(data, at, at + len(form))
        return None


def _around(data: bytes, start: int, end: int) -> str:
    first, last = max(0, start - _AROUND), min(len(data), end + _AROUND)
    text = data[first:last].decode("utf-8", "ignore")
    return f"{'…' if first else ''}{text}{'…' if last < len(data) else ''}"
