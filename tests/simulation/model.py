"""What a program must come to: exactly, by plain asyncio; or where it races, what it may.

`Plain` plays a program without any engine, in virtual time. `expected` computes, without
running anything, what is right whatever crashed meanwhile: `OneOf` stands where several
values are.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from tests.simulation.programs import (
    Beside,
    Call,
    Cancel,
    Hook,
    Invoke,
    Node,
    Notify,
    Par,
    Race,
    Raise,
    Raised,
    Run,
    Seq,
    Sleep,
    Step,
    Try,
    Wait,
    caught,
    play,
    value_of,
)
from workflow_agents import StepFailed

RETRY_MS = 100
"""Between the attempts of everything that is tried again."""

LATER_S = 1
"""What a WorkflowRetryAfterError asks for."""

FUNCTION_RETRIES = 3


@dataclass(frozen=True)
class OneOf:
    """Any of these."""

    options: tuple[Any, ...]


@dataclass(frozen=True)
class End:
    """How a run ends: "success" with a value, "failed" with what was raised, "canceled"."""

    state: str
    value: Any = None


class Canceled(BaseException):
    """A program that cancels its run."""


def matches(expected: Any, found: Any) -> bool:
    match expected:
        case OneOf(options):
            return any(matches(option, found) for option in options)
        case list():
            return (
                isinstance(found, list)
                and len(expected) == len(found)
                and all(map(matches, expected, found))
            )
        case dict():
            return (
                isinstance(found, dict)
                and expected.keys() == found.keys()
                and all(matches(expected[key], found[key]) for key in expected)
            )
        case End():
            return (
                isinstance(found, End)
                and expected.state == found.state
                and matches(expected.value, found.value)
            )
        case _:
            return expected == found


# The outcomes of single steps.


def failure_of(step: Run | Call) -> StepFailed | None:
    """With what a step fails for good, whatever happens; None: it succeeds."""
    if isinstance(step, Call):
        if step.answer == "refused":
            return StepFailed(step.name, "RemoteError", "", 1, status=500)
        return None
    if step.how == "final" and step.fails:
        return StepFailed(step.name, "WorkflowNonRetryableError", "", 1, status=489)
    if step.heals or step.fails < 0 or step.fails > step.retries:
        name, status = ("Raised", 500) if step.how == "error" else ("WorkflowRetryAfterError", 429)
        return StepFailed(step.name, name, "", 1, status=status)
    return None


def call_value(step: Call) -> Any:
    if step.answer == "down":
        return {"status": 500, "body": "down"}
    if step.answer == "bytes":
        return {"status": 200, "body": bytes(range(256)).hex()}
    return {"status": 200, "body": {"call": step.name, "pad": "y" * step.size}}


GARBAGE = {"status": 200, "body": b"\xff{nonsense".hex()}
"""What a call returns if the network makes nonsense of the answer."""


def event_value(event: str) -> Any:
    return {"data": {"event": event}, "timeout": False}


TIMED_OUT = {"data": None, "timeout": True}


def notify_value(step: Notify) -> Any:
    return {"event": step.event}


def invoke_value(end: End) -> Any:
    return {
        "body": end.value if end.state == "success" else None,
        "failed": end.state == "failed",
        "canceled": end.state == "canceled",
    }


# Whatever crashed.


class _Fails(Exception):
    """The node raises, and this is what may be caught of it."""

    def __init__(self, options: list[Any]) -> None:
        self.options = options


def expected_end(node: Node, *, healed: bool = False) -> End:
    """How a run of the program ends, whatever happens to its process."""
    try:
        return End("success", _expected(node, healed))
    except _Fails as failed:
        return End("failed", OneOf(tuple(failed.options)))
    except Canceled:
        return End("canceled")


def _expected(node: Node, healed: bool) -> Any:
    match node:
        case Seq(parts):
            return [_expected(part, healed) for part in parts]
        case Par(parts, how):
            return _expected_branches(parts, how, healed)
        case Beside(parts, own, how):
            # Where no group tells the code that a branch has failed, it goes on until it joins.
            first = [] if how == "group" else [_expected(own, healed)]
            return first + _expected_branches((own, *parts)[len(first) :], how, healed)
        case Race(parts):
            return OneOf(
                tuple({"won": i, "value": _expected(part, healed)} for i, part in enumerate(parts))
            )
        case Try(part):
            try:
                return {"ok": _expected(part, healed)}
            except _Fails as failed:
                return {"caught": OneOf(tuple(failed.options))}
        case _:
            return _expected_step(node, healed)


def _expected_branches(parts: tuple[Node, ...], how: str, healed: bool) -> Any:
    values: list[Any] = []
    options: list[Any] = []
    for part in parts:
        try:
            values.append(_expected(part, healed))
        except _Fails as failed:
            options += failed.options
    if options:
        raise _Fails(["group"] if how == "group" else options)
    return values


def _expected_step(step: Step, healed: bool) -> Any:
    match step:
        case Run() | Call():
            failure = None if healed and getattr(step, "heals", False) else failure_of(step)
            if failure is not None:
                raise _Fails([caught(failure)])
            if isinstance(step, Run):
                return value_of(step)
            return OneOf((call_value(step), GARBAGE))
        case Sleep():
            return None
        case Wait():
            if step.source == "nobody":
                return TIMED_OUT
            options = (event_value(step.event), TIMED_OUT)
            return OneOf(options) if step.contested else options[0]
        case Notify():
            return notify_value(step)
        case Invoke():
            return invoke_value(expected_end(step.child))
        case Hook():
            # A caller that heard no answer calls again; how often is up to the faults.
            anyone = OneOf(tuple(range(1, step.times + 1)))
            return [1, *[anyone] * (step.times - 1)]
        case Cancel():
            raise Canceled
        case Raise():
            if step.times < 0 or step.times > FUNCTION_RETRIES or step.how == "final":
                raise _Fails([step.name])
            return None


# Exactly, with nothing going wrong.


class Plain:
    """Steps by plain asyncio. Each takes as long as it does on an engine that never fails.

    Attributes:
        notes: what the code has met, in order.
        determined: no two branches have ended a step at the same instant.
    """

    def __init__(self) -> None:
        self.notes: list[Any] = []
        self.determined = True
        self._ends: dict[float, Any] = {}
        self.raised: dict[str, int] = {}
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._kept: dict[str, int] = {}
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}

    @property
    def now_ms(self) -> float:
        return (self._loop.time() - self._began) * 1000

    def note(self, step: Step, value: Any) -> None:
        self.notes.append([step.name, value])
        if isinstance(step, Run | Call | Sleep | Hook) or getattr(step, "source", "") != "inside":
            self._ended()

    def _ended(self) -> None:
        """A step that takes time has ended; whose branch was it?"""
        at, task = round(self.now_ms, 3), asyncio.current_task()
        if self._ends.setdefault(at, task) is not task:
            self.determined = False

    def ask(self, step: Step) -> Coroutine[Any, Any, Any]:
        return self._step(step)

    async def _step(self, step: Step) -> Any:
        match step:
            case Run():
                return await self._run(step)
            case Call():
                return await self._call(step)
            case Sleep():
                await self._until(step.ms if step.until else self.now_ms + step.ms)
            case Wait():
                return await self._wait(step)
            case Notify():
                self._notify(step)
                # Whoever is told goes on first.
                for _ in range(20):
                    await asyncio.sleep(0)
                return notify_value(step)
            case Invoke():
                return invoke_value(await end_of(step.child))
            case Hook():
                began = self.now_ms
                self.note(step, "created")
                for i in range(1, step.times + 1):
                    await self._until(began + i * step.ms)
                    self.note(step, i)
                return list(range(1, step.times + 1))
            case Cancel():
                raise Canceled
            case Raise():
                self.raised[step.name] = self.raised.get(step.name, 0) + 1
                if step.times < 0 or self.raised[step.name] <= step.times:
                    raise Raised(step.name)
        return None

    async def _run(self, step: Run) -> Any:
        failure = failure_of(step)
        failed = 0
        while True:
            if not step.sync:
                await asyncio.sleep(step.ms / 1000)
            if failure is None and failed >= step.fails:
                return value_of(step)
            failed += 1
            if failure is not None and (step.how == "final" or failed > step.retries):
                raise failure
            await asyncio.sleep(LATER_S if step.how == "later" else RETRY_MS / 1000)

    async def _call(self, step: Call) -> Any:
        failed = step.answer in {"down", "refused"}
        for attempt in range(1 + step.retries if failed else 1):
            if attempt:
                await asyncio.sleep(RETRY_MS / 1000)
            await asyncio.sleep(step.ms / 1000)
        if failure := failure_of(step):
            raise failure
        return call_value(step)

    async def _wait(self, step: Wait) -> Any:
        if step.source == "nobody":
            await asyncio.sleep(step.timeout_ms / 1000)
            return TIMED_OUT
        if step.source in {"run", "everyone"}:
            await self._until(step.at_ms)
        elif self._kept.get(step.event):
            self._kept[step.event] -= 1
        else:
            told = self._loop.create_future()
            self._waiting.setdefault(step.event, []).append(told)
            await told
        return event_value(step.event)

    def _notify(self, step: Notify) -> None:
        waiting = self._waiting.pop(step.event, [])
        for told in waiting:
            if not told.done():
                told.set_result(None)
        if not waiting:
            self._kept[step.event] = self._kept.get(step.event, 0) + 1

    async def _until(self, ms: float) -> None:
        await asyncio.sleep(max(0.0, (ms - self.now_ms) / 1000))


async def end_of(node: Node, plain: Plain | None = None) -> End:
    """How plain asyncio ends the program; the function is called again as the engine does."""
    plain = plain or Plain()
    for _ in range(1 + FUNCTION_RETRIES):
        try:
            return End("success", await play(node, plain))
        except Raised as error:
            failure = End("failed", caught(error))
            await asyncio.sleep(RETRY_MS / 1000)
        except (StepFailed, ExceptionGroup) as error:
            return End("failed", caught(error))
        except Canceled:
            return End("canceled")
    return failure
