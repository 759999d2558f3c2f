"""Small workflow programs as data: played on a durable context, or by plain asyncio.

A program is a tree. Its leaves are steps, its inner nodes are what Python offers to put them
together: sequence, `gather`, `TaskGroup`, code that goes on beside them, `wait(FIRST_COMPLETED)`,
`try`. `play` is the one
interpreter; what a step does is asked of an `Ops`, of which `durable` has one on a workflow's
context and `model` one on plain asyncio.
"""

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from workflow_agents import FlowControl, StepFailed


@dataclass(frozen=True)
class Run:
    """A `run` step. Its body takes `ms`, and fails `fails` times (-1: always) as `how` says.

    `heals`: it fails always, until the dead letter of its run is resumed.
    """

    name: str
    ms: int = 1
    size: int = 0
    sync: bool = False
    fails: int = 0
    how: str = "error"  # error | later (WorkflowRetryAfterError) | final (NonRetryable)
    retries: int = 3
    flow: FlowControl | None = None
    heals: bool = False


@dataclass(frozen=True)
class Sleep:
    name: str
    ms: int
    until: bool = False  # sleep_until, counted from the run's creation


@dataclass(frozen=True)
class Call:
    """A `call` step. The service takes `ms`; `answer` is what it says."""

    name: str
    ms: int = 1
    answer: str = "ok"  # ok | bytes | down (500 for ever) | refused (500, raise_for_status)
    retries: int = 30
    size: int = 0
    flow: FlowControl | None = None

    @property
    def pause_key(self) -> str | None:
        """Every other call goes to one account of a provider; who is refused stops them all."""
        number = int(self.name.lstrip("c") or 0) if self.name[1:].isdigit() else 1
        return None if number % 2 else "account"


@dataclass(frozen=True)
class Wait:
    """A wait for an event. `source` says who notifies it, `at_ms` when, from the start."""

    name: str
    event: str
    source: str = "run"  # run (with run id) | everyone | inside (a Notify does) | nobody
    at_ms: int = 1
    timeout_ms: int = 30 * 86_400_000
    contested: bool = False  # the notification may come as the time runs out


@dataclass(frozen=True)
class Notify:
    name: str
    event: str
    target: str | None = "self"  # self, the name of another top-level run, or None: everyone


@dataclass(frozen=True)
class Invoke:
    name: str
    child: "Node"
    own_id: bool = False


@dataclass(frozen=True)
class Hook:
    """A webhook, waited for several times; its caller calls every `ms`."""

    name: str
    times: int = 1
    ms: int = 5


@dataclass(frozen=True)
class Cancel:
    name: str = "cancel"


@dataclass(frozen=True)
class Raise:
    """The function raises the first `times` times (-1: always) that it comes here."""

    name: str
    times: int = 1
    how: str = "error"


Step = Run | Sleep | Call | Wait | Notify | Invoke | Hook | Cancel | Raise


@dataclass(frozen=True)
class Seq:
    parts: "tuple[Node, ...]"


@dataclass(frozen=True)
class Par:
    """Branches side by side.

    `how`: gather | group | direct (steps whose coroutines this branch makes: Run, Sleep)
    """

    parts: "tuple[Node, ...]"
    how: str = "gather"


@dataclass(frozen=True)
class Beside:
    """Branches, and beside them what the code does itself before it joins them.

    `how`: gather | group
    """

    parts: "tuple[Node, ...]"
    own: "Node"
    how: str = "gather"


@dataclass(frozen=True)
class Race:
    """The first to finish wins; the others are cancelled."""

    parts: "tuple[Node, ...]"


@dataclass(frozen=True)
class Try:
    part: "Node"


Node = Step | Seq | Par | Beside | Race | Try


def seq(*parts: Node) -> Seq:
    return Seq(parts)


def gather(*parts: Node) -> Par:
    return Par(parts, "gather")


def group(*parts: Node) -> Par:
    return Par(parts, "group")


def direct(*parts: Step) -> Par:
    return Par(parts, "direct")


def beside(own: Node, *parts: Node, how: str = "gather") -> Beside:
    return Beside(parts, own, how)


def race(*parts: Node) -> Race:
    return Race(parts)


def steps_of(node: Node) -> Iterator[Step]:
    """The steps of a program, without those of the runs that it invokes."""
    match node:
        case Seq(parts) | Par(parts) | Race(parts):
            for part in parts:
                yield from steps_of(part)
        case Beside(parts, own):
            yield from steps_of(Seq((own, *parts)))
        case Try(part):
            yield from steps_of(part)
        case _:
            yield node


class Raised(Exception):
    """What a `Raise` raises."""


class Ops(Protocol):
    """What steps do."""

    def ask(self, step: Step) -> Coroutine[Any, Any, Any]:
        """Ask for the step now; awaiting it gives its value as JSON data."""
        ...

    def note(self, step: Step, value: Any) -> None:
        """The code after the step runs: it has returned this, or raised it."""
        ...


async def play(node: Node, ops: Ops) -> Any:
    match node:
        case Seq(parts):
            return [await play(part, ops) for part in parts]
        case Par(parts, "gather"):
            return list(await asyncio.gather(*(play(part, ops) for part in parts)))
        case Par(parts, "group"):
            async with asyncio.TaskGroup() as tasks:
                branches = [tasks.create_task(play(part, ops)) for part in parts]
            return [branch.result() for branch in branches]
        case Par(parts):
            values = list(await asyncio.gather(*(ops.ask(part) for part in parts)))
            for part, value in zip(parts, values, strict=True):
                ops.note(part, value)
            return values
        case Beside():
            return await _beside(node, ops)
        case Race(parts):
            return await _race(parts, ops)
        case Try(part):
            try:
                return {"ok": await play(part, ops)}
            except (StepFailed, ExceptionGroup, Raised) as error:
                return {"caught": caught(error)}
        case _:
            return await _step(node, ops)


async def _beside(node: Beside, ops: Ops) -> Any:
    if node.how == "group":
        async with asyncio.TaskGroup() as tasks:
            branches = [tasks.create_task(play(part, ops)) for part in node.parts]
            own = await play(node.own, ops)
        return [own, *(branch.result() for branch in branches)]
    joined = asyncio.gather(*(play(part, ops) for part in node.parts))
    try:
        own = await play(node.own, ops)
    except BaseException:
        joined.cancel()
        await asyncio.gather(joined, return_exceptions=True)
        raise
    return [own, *await joined]


async def _race(parts: tuple[Node, ...], ops: Ops) -> Any:
    branches = [asyncio.create_task(play(part, ops)) for part in parts]
    try:
        await asyncio.wait(branches, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # Whoever has lost, or everyone where the race itself was called off.
        done = [branch for branch in branches if branch.done()]
        for branch in branches:
            branch.cancel()
    await asyncio.gather(*branches, return_exceptions=True)
    won = next(i for i, branch in enumerate(branches) if branch in done)
    return {"won": won, "value": branches[won].result()}


async def _step(step: Step, ops: Ops) -> Any:
    try:
        value = await ops.ask(step)
    except (StepFailed, Raised) as error:
        ops.note(step, caught(error))
        raise
    ops.note(step, value)
    return value


def caught(error: BaseException) -> Any:
    if isinstance(error, StepFailed):
        return {"step": error.step_name, "error": error.error, "status": error.status}
    if isinstance(error, ExceptionGroup):
        return "group"
    return str(error)


def value_of(step: Run) -> Any:
    """What the body of a `run` step returns."""
    return {"v": step.name, "pad": "é" * step.size} if step.size else {"v": step.name}
