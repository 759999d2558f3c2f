"""Recorded histories: what a run has stored, kept as a file, so that new code can be tried on it.

    await record_history(run).save("tests/histories/paid.json")   # once, with the old code

    @pytest.mark.parametrize("history", recorded_histories("tests/histories"))
    def test_old_runs_go_on(history):
        replay_history(history, checkout).assert_fits()            # with the code of today

This room is the format. How a history is replayed is in `replays`.

```json
{"format": "workflow_agents.history", "version": 1, "workflow": "/checkout",
 "runId": "wfr_...", "createdAt": 1767225600000, "state": "RUN_STARTED", "payload": {"order": 7},
 "steps": [{"step": 1, "type": "Run", "name": "reserve", "ok": true, "result": 1}],
 "waiting": [{"step": 2, "type": "SleepFor", "name": "a month"}]}
```
"""

import json
import sys
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from workflow_agents.client import AsyncRunHandle
from workflow_agents.core.journal import History
from workflow_agents.core.logs import RunLog
from workflow_agents.core.step_logs import FeedEntry, fold_steps
from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.codec import decode, encode
from workflow_agents.protocol.history import EntryKind, Recorded, StepKey, StepKind, Waiting

FORMAT = "workflow_agents.history"
VERSION = 1

_KINDS = {kind.wire: kind for kind in StepKind}
_OUTCOMES = {EntryKind.STEP_SUCCESS.name: True, EntryKind.STEP_FAILED.name: False}


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """The outcome of a step.

    Attributes:
        step: its place in the run.
        type: what it does, as on the wire: Run, Call, SleepFor ...
        name: as the code named it.
        ok: False where `result` describes a failure.
        result: JSON data.
    """

    step: StepKey
    type: str
    name: str
    ok: bool
    result: Any


@dataclass(frozen=True, slots=True)
class WaitingStep:
    """A step that has no outcome yet; `attempts` of its body have failed."""

    step: StepKey
    type: str
    name: str
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class RecordedHistory:
    """A run as it was stored, to be replayed with other code.

    Attributes:
        workflow: its path.
        run_id: its id.
        created_at: Unix milliseconds.
        state: RUN_STARTED, or how it has ended.
        payload: what it was started with.
        labels: as given.
        headers: of its request; a recorded history leaves them out.
        steps: the outcomes, in the order of recording.
        waiting: the steps without one.
        result: what it returned.
        name: of the file that it was read from.
    """

    workflow: str
    run_id: str
    created_at: int
    state: str
    payload: Any = None
    labels: tuple[str, ...] = ()
    headers: Mapping[str, Any] = field(default_factory=dict[str, Any])
    steps: tuple[RecordedStep, ...] = ()
    waiting: tuple[WaitingStep, ...] = ()
    result: Any = None
    name: str = ""

    @property
    def __name__(self) -> str:  # what pytest shows of a parameter
        """What pytest shows of it."""
        return self.name or self.run_id

    def history(self) -> History:
        """The steps as a replay takes them."""
        return History(
            [Recorded(s.step, _kind(s), s.name, s.ok, encode(s.result)) for s in self.steps],
            [Waiting(w.step, _kind(w), w.name, w.attempts) for w in self.waiting],
        )

    def input(self) -> bytes:
        """The payload as the request's body."""
        return encode(self.payload)

    def as_dict(self) -> dict[str, Any]:
        """The JSON form; see the module."""
        data: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "workflow": self.workflow,
            "runId": self.run_id,
            "createdAt": self.created_at,
            "state": self.state,
            "payload": self.payload,
            "steps": [asdict(step) for step in self.steps],
            "waiting": [asdict(step) for step in self.waiting],
        }
        if self.labels:
            data["labels"] = [*self.labels]
        if self.state == "RUN_SUCCESS":
            data["result"] = self.result
        return data

    @classmethod
    def from_dict(cls, data: Any, *, name: str = "") -> "RecordedHistory":
        """The reverse of `as_dict`.

        Raises:
            ConfigurationError: WA102, it is no history, or one of a later version.
        """
        if not isinstance(data, Mapping) or cast("Any", data).get("format") != FORMAT:
            raise _unreadable(name, f"expected the format {FORMAT!r}, found other data")
        data = cast("Any", data)
        if data.get("version") != VERSION:
            raise _unreadable(name, f"expected version {VERSION}, found {data.get('version')!r}")
        try:
            return cls(
                data["workflow"],
                data["runId"],
                data["createdAt"],
                data["state"],
                data.get("payload"),
                tuple(data.get("labels", ())),
                {},
                tuple(RecordedStep(**step) for step in data["steps"]),
                tuple(WaitingStep(**step) for step in data["waiting"]),
                data.get("result"),
                name,
            )
        except (KeyError, TypeError) as error:
            raise _unreadable(name, f"a part is missing or unknown: {error}") from error

    def save(self, path: str | Path) -> Path:
        """Write it to a file; its folder is made where it is missing."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.as_dict(), indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")
        return path

    @classmethod
    def load(cls, path: str | Path) -> "RecordedHistory":
        """Read it from a file.

        Raises:
            ConfigurationError: WA102, it is no history.
        """
        path = Path(path)
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise _unreadable(str(path), f"expected JSON: {error}") from error
        return cls.from_dict(data, name=path.stem)


class Recording:
    """A history that is being read: `await` it, or await its `save`."""

    def __init__(self, run: AsyncRunHandle) -> None:
        self._run = run

    def __await__(self) -> Generator[Any, Any, RecordedHistory]:
        return self._read().__await__()

    async def save(self, path: str | Path) -> RecordedHistory:
        """Write it to a file."""
        history = await self._read()
        history.save(path)
        return history

    async def _read(self) -> RecordedHistory:
        log = await self._run.log()
        # One call gives all that has happened, without waiting for more.
        backend = self._run._backend  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001  # see above
        entries, _ = await backend.feed(self._run.run_id, 0)
        return history_of(log, entries)


def record_history(run: AsyncRunHandle) -> Recording:
    """Record what a run has stored by now, ended or not.

    `history = await record_history(run)`, or `await record_history(run).save(path)`. It holds
    the payload and the results of steps as they are, but for what the workflow redacts: mind
    what you put under version control.
    """
    return Recording(run)


def history_of(log: RunLog, entries: Sequence[FeedEntry]) -> RecordedHistory:
    """The history that the feed of a run tells."""
    steps = [
        RecordedStep(e.step, _wire(e.step_type), e.step_name or "", _OUTCOMES[e.kind], e.data)
        for e in entries
        if e.kind in _OUTCOMES and e.step is not None
    ]
    waiting = [
        WaitingStep(s.step, s.type, s.name, s.retries)
        for s in fold_steps(entries)
        if s.state in ("STEP_PROGRESS", "STEP_RETRY")
    ]
    return RecordedHistory(
        log.workflow,
        log.workflow_run_id,
        log.created_at,
        log.state,
        log.payload,
        log.labels,
        {},
        tuple(steps),
        tuple(waiting) if log.state == "RUN_STARTED" else (),
        log.result,
    )


def recorded_histories(folder: str | Path) -> list[RecordedHistory]:
    """The histories in a folder, by name, for `pytest.mark.parametrize`.

    Args:
        folder: relative to the working folder, or to the file that calls.

    Raises:
        ConfigurationError: WA102, there is none: a test of nothing would pass.
    """
    beside = Path(sys._getframe(1).f_code.co_filename).parent  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] -- what inspect does too
    for place in (Path(folder), beside / folder):
        found = sorted(place.glob("*.json"))
        if found:
            return [RecordedHistory.load(path) for path in found]
    raise ConfigurationError(
        "WA102",
        "there are no recorded histories",
        where=str(folder),
        found="expected a folder with *.json files, found none",
        why="the folder is looked for in the working folder, and beside the test",
        fix=("await record_history(run).save(...)",),
    )


def _unreadable(name: str, found: str) -> ConfigurationError:
    return ConfigurationError(
        "WA102",
        "this is no recorded history",
        where=name or "history",
        found=found,
        why="it was not made by record_history, or by a later version",
        fix=("await record_history(run).save(...)",),
    )


def _kind(step: RecordedStep | WaitingStep) -> StepKind:
    try:
        return _KINDS[step.type]
    except KeyError:
        raise _unreadable(step.name, f"a step of unknown type {step.type!r}") from None


def _wire(name: str | None) -> str:
    return StepKind[name or ""].wire


def plain(data: bytes | None) -> Any:
    """A stored payload as JSON data, or as text where it is none."""
    if not data:
        return None
    try:
        return decode(data)
    except ValueError:
        return data.decode("utf-8", "replace")
