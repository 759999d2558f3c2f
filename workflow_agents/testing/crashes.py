"""Workflows played in virtual time, to the end; and again with a crash at every commit.

`crash_everywhere` plays a workflow once to learn its commits, then once for each commit and
each fault: the process ends right before the commit, or right after it, and another one goes
on with what is stored. Whatever a body or a request does lies between two commits, so these
are all the moments at which a crash makes a difference. Each time the run has to end as it did
without a crash, and nothing that was recorded may be done again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from workflow_agents.core.logs import RunLog
from workflow_agents.testing._theatre import Play, Said, Theatre, Trial
from workflow_agents.testing.faults import AtCommit, Database, FaultAt
from workflow_agents.testing.processes import apart

CRASHES = (AtCommit.CRASH_BEFORE, AtCommit.CRASH_AFTER)

_SHOWN = 10


@dataclass(slots=True)
class CrashReport:
    """What came of a workflow that was run with each crash.

    Attributes:
        log: the run without a crash, with its steps.
        trials: those with one.
        first: the trial without.
    """

    log: RunLog
    trials: list[Trial]
    first: Trial

    @property
    def result(self) -> Any:
        """What the workflow returned, in every trial."""
        return self.log.result

    @property
    def results(self) -> dict[str, Any]:
        """The result of each step, by name; the last one where a name comes again."""
        return {step.name: step.out for step in self.log.steps}

    @property
    def executions(self) -> dict[str, int]:
        """By the name of a step: how often its body ran in the worst trial."""
        return _worst((name, n) for t in self._all for (*_, name), n in t.executions.items())

    @property
    def requests(self) -> dict[str, int]:
        """By "POST https://...": how often the worst trial sent one and the same request."""
        return _worst(
            (f"{method} {url}", n) for t in self._all for (method, url, _), n in t.requests.items()
        )

    @property
    def problems(self) -> list[str]:
        """What was not as it should be, with the crash that led to it."""
        return [f"{t.crash}: {problem}" for t in self.trials for problem in t.problems]

    @property
    def _all(self) -> list[Trial]:
        return [self.first, *self.trials]


class NotCrashProof(AssertionError):
    """In some trials a crash made a difference.

    Attributes:
        report: all trials.
    """

    def __init__(self, report: CrashReport) -> None:
        problems = report.problems
        bad = sum(bool(trial.problems) for trial in report.trials)
        shown = [f"  {problem}" for problem in problems[:_SHOWN]]
        if len(problems) > _SHOWN:
            shown.append(f"  and {len(problems) - _SHOWN} more: error.report.problems")
        head = f"a crash made a difference in {bad} of {len(report.trials)} trials"
        super().__init__("\n".join([head, *shown]))
        self.report = report


class CrashPoint:
    """One crash, for `pytest.mark.parametrize("crash", crash_points(...))`."""

    def __init__(self, trials: "_Trials", fault: AtCommit, commit: int, times: int) -> None:
        self._trials = trials
        self._where = (fault, commit, times)
        self.__name__ = trials.name(fault, commit)
        """What pytest shows."""

    def play(self) -> CrashReport:
        """Play the workflow with this crash.

        Raises:
            NotCrashProof: it made a difference.
        """
        return apart(lambda: self._trials.report([self._trials.crashed(*self._where)]))

    def __repr__(self) -> str:
        return f"<CrashPoint {self.__name__}>"


def run_workflow(workflow: Any, body: Any = None, **how: Any) -> RunLog:
    """Run a workflow to its end in virtual time, and return the run with its steps.

    A plain function, for tests that are not async. Its keywords are those of `crash_everywhere`
    that are attributes of `Play`: events, world, model, served, outside, check, environment.
    A run that fails is returned as well.
    """
    return apart(lambda: _Trials(Play(workflow=workflow, body=body, **how)).first_log())


def crash_everywhere(
    workflow: Any,
    body: Any = None,
    *,
    faults: Sequence[AtCommit] = CRASHES,
    times: int = 1,
    **how: Any,
) -> CrashReport:
    """Run a workflow with a crash before and after each of its commits.

    It may be called in async tests too; their loop stands still meanwhile.

    Args:
        workflow: it, or its function.
        body: its payload.
        faults: what happens at a commit.
        times: how many commits in a row: with 2, the process that recovers crashes too.
        how: the attributes of `Play`: events, world, model, served, outside, check, environment.

    Raises:
        NotCrashProof: a crash made a difference: another result, no end, or something recorded
            that was done again.
        AssertionError: without any crash it fails already.
    """

    def play() -> CrashReport:
        trials = _Trials(Play(workflow=workflow, body=body, **how))
        trials.learn()
        points = [(fault, n) for n in range(1, trials.commits + 1) for fault in faults]
        return trials.report([trials.crashed(fault, n, times) for fault, n in points])

    return apart(play)


def crash_points(
    workflow: Any,
    body: Any = None,
    *,
    faults: Sequence[AtCommit] = CRASHES,
    times: int = 1,
    **how: Any,
) -> list[CrashPoint]:
    """The crashes of `crash_everywhere`, each to be a test of its own; the same arguments."""

    def learn() -> list[CrashPoint]:
        trials = _Trials(Play(workflow=workflow, body=body, **how))
        trials.learn()
        commits = range(1, trials.commits + 1)
        return [CrashPoint(trials, fault, n, times) for n in commits for fault in faults]

    return apart(learn)


class _Trials:
    """Plays it, first without a crash and then with each."""

    def __init__(self, play: Play) -> None:
        self._play = play
        self._database = Database()
        self._said = Said()
        self._commit_names: dict[int, str] = {}
        self._first: Trial | None = None
        self.commits = 0

    def first_log(self) -> RunLog:
        """The run without a crash, however it ends."""
        trial = Trial("")
        Theatre(self._play, trial, self._database, self._said).play(FaultAt(None))
        if trial.log is None or trial.problems:
            raise AssertionError("\n".join(trial.problems))
        return trial.log

    def learn(self) -> None:
        """Play it without a crash, and count its commits."""
        trial, faults = Trial("no crash"), FaultAt(None)
        theatre = Theatre(self._play, trial, self._database, self._said)
        theatre.commit_names = self._commit_names
        theatre.play(faults)
        log = trial.log
        if log is not None and log.state != "RUN_SUCCESS":
            trial.problems.append(f"it ends as {log.state}: {log.failure}")
        if trial.problems:
            problems = "\n  ".join(trial.problems)
            raise AssertionError(f"without any crash it goes wrong already\n  {problems}")
        self.commits, self._first = faults.commits, trial

    def crashed(self, fault: AtCommit, commit: int, times: int) -> Trial:
        """Play it with a crash."""
        trial = Trial(self.name(fault, commit))
        self._said.again()
        theatre = Theatre(self._play, trial, self._database, self._said)
        theatre.play(FaultAt(fault, *range(commit, commit + times)))
        first = self._first
        if first is not None and first.log is not None and trial.log is not None:
            expected, found = _end(first.log), _end(trial.log)
            if expected != found:
                trial.problems.append(f"it ended as {found}, without a crash as {expected}")
        return trial

    def name(self, fault: AtCommit, commit: int) -> str:
        """Where a crash is."""
        return f"{fault.value} {commit}, {self._commit_names.get(commit, 'the start')}"

    def report(self, trials: list[Trial]) -> CrashReport:
        """What came of them."""
        assert self._first is not None  # noqa: S101  # for the type checker
        assert self._first.log is not None  # noqa: S101  # as above
        report = CrashReport(self._first.log, trials, self._first)
        if report.problems:
            raise NotCrashProof(report)
        return report


def _end(log: RunLog) -> tuple[Any, ...]:
    failure = log.failure or {}
    if log.state == "RUN_SUCCESS":
        return log.state, log.result
    return log.state, failure.get("error"), failure.get("message")


def _worst(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    worst: dict[str, int] = {}
    for name, n in pairs:
        worst[name] = max(n, worst.get(name, 0))
    return worst
