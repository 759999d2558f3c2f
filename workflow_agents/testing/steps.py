"""What a test says of the steps of a run: which there were, what they returned.

log = await env.ended(run)
assert_steps(log, ["reserve", {"mail", "invoice"}, ..., expect("charge", retries=1)])
assert step(log, "charge").out == {"id": "ch_1"}
"""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from workflow_agents.core.logs import RunLog
from workflow_agents.core.step_logs import StepLog
from workflow_agents.protocol.history import StepKind

Steps = RunLog | Sequence[StepLog]

_LABELS = {kind.wire: kind.label for kind in StepKind}
_ANYTHING: Any = object()


@dataclass(frozen=True, slots=True)
class Expected:
    """A step as a test expects it; what it does not say may be anything."""

    name: str
    type: str | None = None
    result: Any = _ANYTHING
    state: str | None = None
    retries: int | None = None
    waits_for: Any = _ANYTHING

    def differences(self, found: StepLog) -> Iterator[str]:
        """What is otherwise in the step that was found: "retries 0, not 1"."""
        kinds = (found.type, _LABELS.get(found.type, found.type))
        if self.type is not None and self.type.lower() not in (kind.lower() for kind in kinds):
            yield f"type {kinds[1]}, not {self.type}"
        pairs: tuple[tuple[str, Any, Any], ...] = (
            ("result", found.out, self.result),
            ("state", found.state, _ANYTHING if self.state is None else self.state),
            ("retries", found.retries, _ANYTHING if self.retries is None else self.retries),
            ("waits_for", found.waits_for, self.waits_for),
        )
        for what, value, wanted in pairs:
            if wanted is not _ANYTHING and value != wanted:
                yield f"{what} {value!r}, not {wanted!r}"

    def __str__(self) -> str:
        kind = "" if self.type is None else f"  {self.type}"
        return f"{self.name}{kind}"


def expect(
    name: str,
    *,
    type: str | None = None,
    result: Any = _ANYTHING,
    state: str | None = None,
    retries: int | None = None,
    waits_for: Any = _ANYTHING,
) -> Expected:
    """A step for `assert_steps`, with more than its name.

    Args:
        name: the step's name.
        type: what it does: "run", "call", "sleep", "wait" ..., or as logs call it: "SleepFor".
        result: what it returned, as JSON data. A failed step: error, message, status, attempts.
        state: STEP_SUCCESS, STEP_FAILED, STEP_PROGRESS, STEP_RETRY or STEP_CANCELED.
        retries: how often it was tried again.
        waits_for: what it waits for, or waited for.
    """
    return Expected(name, type, result, state, retries, waits_for)


def assert_steps(steps: Steps, expected: Sequence[Any]) -> None:
    """Check which steps a run has made, in the order in which they began.

    Args:
        steps: a run, or its steps.
        expected: a name, or what `expect` made, for each step; a set for steps in any order,
            such as those of parallel branches; `...` for any number of any steps.

    Raises:
        AssertionError: there were others; the message shows both side by side.
    """
    found = _steps(steps)
    wanted = [_wanted(one) for one in expected]
    if _fits(found, wanted):
        return
    lines = ["the steps are not as expected", *_heading(steps), *_compared(found, wanted)]
    raise AssertionError("\n".join(lines))


def step(steps: Steps, name: str, nth: int | None = None) -> StepLog:
    """The step of this name; where the name comes again, the `nth`, counting from 0.

    Raises:
        AssertionError: there is none, or more than one and `nth` does not say which.
    """
    named = steps_named(steps, name)
    if not named:
        known = list(dict.fromkeys(one.name for one in _steps(steps)))
        near = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise AssertionError(f"no step is named {name!r}{hint}\n  steps  {_listed(known)}")
    if nth is None and len(named) > 1:
        raise AssertionError(
            f"{len(named)} steps are named {name!r}\n  fix    step(log, {name!r}, 0)"
        )
    index = nth or 0
    if not -len(named) <= index < len(named):
        raise AssertionError(f"only {len(named)} steps are named {name!r}: no step {index}")
    return named[index]


def steps_named(steps: Steps, name: str) -> list[StepLog]:
    """All steps of this name."""
    return [one for one in _steps(steps) if one.name == name]


def step_names(steps: Steps) -> list[str]:
    """The names of the steps, in the order in which they began."""
    return [one.name for one in _steps(steps)]


def step_results(steps: Steps) -> dict[str, Any]:
    """What each step that succeeded returned, by name; the last where a name comes again."""
    return {one.name: one.out for one in _steps(steps) if one.state == "STEP_SUCCESS"}


def _steps(steps: Steps) -> Sequence[StepLog]:
    found = getattr(steps, "steps", steps)
    if not isinstance(found, Sequence):
        raise TypeError(f"expected a RunLog or its steps, found {steps!r}; await run.log()")
    return cast("Sequence[StepLog]", found)


_Wanted = Any
"""An `Expected`, a tuple of them for a set, or `...`."""


def _wanted(one: Any) -> _Wanted:
    if one is Ellipsis or isinstance(one, Expected):
        return one
    if isinstance(one, str):
        return Expected(one)
    if isinstance(one, set | frozenset):
        return tuple(sorted((_wanted(o) for o in cast("set[Any]", one)), key=str))
    raise TypeError(f"expected a step's name, expect(...), a set of them or ..., found {one!r}")


def _fits(found: Sequence[StepLog], wanted: Sequence[_Wanted]) -> bool:
    """Whether the steps are the expected ones."""
    if not wanted:
        return not found
    first, rest = wanted[0], wanted[1:]
    if first is Ellipsis:
        return any(_fits(found[n:], rest) for n in range(len(found) + 1))
    if isinstance(first, tuple):
        many = cast("tuple[Expected, ...]", first)
        return _fit_any_order(found[: len(many)], many) and _fits(found[len(many) :], rest)
    return bool(found) and _is(found[0], first) and _fits(found[1:], rest)


def _fit_any_order(found: Sequence[StepLog], wanted: Sequence[Expected]) -> bool:
    if not wanted:
        return not found
    if not found:
        return False
    return any(
        _is(found[0], one) and _fit_any_order(found[1:], [*wanted[:n], *wanted[n + 1 :]])
        for n, one in enumerate(wanted)
    )


def _is(found: StepLog, wanted: Expected) -> bool:
    return found.name == wanted.name and not any(wanted.differences(found))


def _heading(steps: Steps) -> list[str]:
    if not isinstance(steps, RunLog):
        return []
    failure = "" if steps.failure is None else f": {steps.failure.get('message')}"
    return [f"  of {steps.workflow} {steps.workflow_run_id}, {steps.state}{failure}"]


def _compared(found: Sequence[StepLog], wanted: Sequence[_Wanted]) -> Iterator[str]:
    """Both, line by line: "-" is missing, "+" was not expected, "!" is otherwise."""
    flat: list[Any] = []
    for one in wanted:
        flat += cast("tuple[Any, ...]", one) if isinstance(one, tuple) else [one]
    left = ["..." if one is Ellipsis else one.name for one in flat]
    matcher = difflib.SequenceMatcher(None, left, [one.name for one in found], autojunk=False)
    for _tag, a, a_end, b, b_end in matcher.get_opcodes():
        same = _tag == "equal"
        for n in range(a, a_end):
            if flat[n] is Ellipsis:
                yield "    ..."
            elif not same:
                yield f"  - {flat[n]}"
        for n in range(b, b_end):
            about = f"{found[n].name}  {_LABELS.get(found[n].type, found[n].type)}"
            if not same:
                yield f"  + {about}"
                continue
            differences = ", ".join(flat[a + n - b].differences(found[n]))
            yield f"  ! {about}: {differences}" if differences else f"    {about}"
    yield "  (- expected, + found, ! found otherwise)"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
