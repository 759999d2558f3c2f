"""Branches: the tree of tasks that one invocation of a workflow function forks.

A step's identity must not depend on timing. Every task of a workflow function is a branch
with a path: the root has none, the j-th task (from 0) that a branch forks after its k-th step
has its parent's path and "k.j/". Steps count from 1 within a branch. Code that is
deterministic between its steps therefore gives every step the same key in every replay,
whichever branch happens to be faster.

Tasks find their branch in a context variable, which a task factory sets; so `gather`,
`TaskGroup`, `create_task` and every library on top of them fork branches without knowing it.
"""

import asyncio
from collections.abc import Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Any

from workflow_agents.protocol.history import StepKey

if TYPE_CHECKING:
    from workflow_agents.context.invocation import Invocation


class Branch:
    """One task of a workflow function, and the steps that it has asked for."""

    __slots__ = (
        "children", "depth", "finished", "forks", "invocation", "parent", "path", "position",
        "task",
    )  # fmt: skip

    def __init__(self, invocation: "Invocation", parent: "Branch | None" = None) -> None:
        self.invocation = invocation
        self.parent = parent
        self.position = 0
        self.forks = 0
        self.children = 0
        self.finished = False
        self.task: asyncio.Task[Any] | None = None
        if parent is None:
            self.path, self.depth = "", 0
        else:
            self.path = f"{parent.path}{parent.position}.{parent.forks}/"
            self.depth = parent.depth + 1
            parent.forks += 1

    def next_key(self) -> StepKey:
        """The key of the step that this branch asks for now."""
        self.position += 1
        self.forks = 0
        return f"{self.path}{self.position}" if self.path else self.position


class InsideStep:
    """Stands in a branch's place while the body of a step runs: no step may start there."""

    __slots__ = ("attempt", "key", "name")

    def __init__(self, name: str, key: StepKey, attempt: int) -> None:
        self.name = name
        self.key = key
        self.attempt = attempt


BRANCH: ContextVar[Branch | InsideStep | None] = ContextVar("workflow_branch", default=None)


def _plain_task(
    loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **kwargs: Any
) -> asyncio.Task[Any]:
    return asyncio.Task(coro, loop=loop, **kwargs)


def install(loop: asyncio.AbstractEventLoop) -> None:
    """Make tasks of this loop fork branches. Keeps a task factory that is already there."""
    previous = loop.get_task_factory()
    if getattr(previous, "forks_branches", False):
        return

    def forking(
        loop: asyncio.AbstractEventLoop,
        coro: Coroutine[Any, Any, Any],
        context: Context | None = None,
        **kwargs: Any,
    ) -> "asyncio.Future[Any]":
        parent = BRANCH.get() if context is None else context.get(BRANCH)
        if not isinstance(parent, Branch):
            if context is not None:
                kwargs["context"] = context
            if previous is not None:
                return previous(loop, coro, **kwargs)
            return asyncio.Task(coro, loop=loop, **kwargs)
        context = context or copy_context()
        branch = Branch(parent.invocation, parent)
        context.run(BRANCH.set, branch)
        make: Any = _plain_task if previous is None else previous
        task: asyncio.Future[Any] = make(loop, coro, context=context, **kwargs)
        parent.invocation.opened(branch, task)
        return task

    forking.forks_branches = True  # type: ignore[attr-defined]  # marks our own factory
    loop.set_task_factory(forking)  # pyright: ignore[reportArgumentType]  # typeshed knows no **kwargs
