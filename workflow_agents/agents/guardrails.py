"""Guardrails: functions that look at what an agent is asked, or answers, and may refuse it.

Each execution is one `run` step, "Guardrail <name>", whose verdict is recorded. One that takes
a `GuardrailContext` uses steps of its own, an agent above all, and is not wrapped: what it does
between them runs again in a replay.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from workflow_agents.agents.ports import AgentContext, Ask
from workflow_agents.errors import ConfigurationError, GuardrailTripped


@dataclass(frozen=True, slots=True)
class GuardrailContext:
    """What a guardrail may use that does more than look.

        async def on_topic(text: str, guard: GuardrailContext) -> str | None:
            verdict = await guard.ask(judge, text)
            return None if verdict.on_topic else verdict.reason

    Attributes:
        context: of the run, for durable steps.
        agent: the name of the agent that is guarded.
        prompt: what it was asked.
        ask: gives a prompt to another agent, and returns its output; what that costs counts for
            the guarded agent.
    """

    context: AgentContext
    agent: str
    prompt: str
    ask: Ask


@dataclass(frozen=True, slots=True)
class Guardrail:
    """A check, with its options; plain functions do where they have none.

    Attributes:
        check: takes the prompt, or the output as it was validated; and a `GuardrailContext` if
            it has a second argument. Sync or async. None and True let pass; a text is the
            reason why not, False a refusal without one. It may raise `GuardrailTripped`, or
            `ValueError` and `AssertionError` as pydantic's validators do.
        name: default: that of the function.
        retry: on output: tell the model the reason and let it answer again, as long as the
            agent has `output_retries` left.
    """

    check: Callable[..., Any]
    name: str = ""
    retry: bool = False

    def __post_init__(self) -> None:
        if not callable(self.check):
            raise ConfigurationError(
                "WA702",
                "a guardrail is a function",
                where="Guardrail",
                found=f"expected a function, found {self.check!r}",
                fix=("def no_secrets(text: str) -> str | None: ...",),
            )
        if not self.name:
            name = getattr(self.check, "__name__", type(self.check).__name__)
            object.__setattr__(self, "name", name)


def guardrails(checks: Sequence["Guardrail | Callable[..., Any]"]) -> tuple[Guardrail, ...]:
    """Guardrails from themselves and from functions."""
    return tuple(c if isinstance(c, Guardrail) else Guardrail(c) for c in checks)


async def refusal(guardrail: Guardrail, value: Any, guard: GuardrailContext) -> str | None:
    """Why the guardrail refuses the value; None: it lets it pass."""
    if _takes_context(guardrail.check):
        verdict = await _verdict(guardrail.check, value, guard)
    elif inspect.iscoroutinefunction(guardrail.check):
        verdict = await guard.context.run(
            f"Guardrail {guardrail.name}", lambda: _verdict(guardrail.check, value)
        )
    else:
        verdict = await guard.context.run(
            f"Guardrail {guardrail.name}", lambda: _verdict_of_sync(guardrail.check, value)
        )
    return verdict["refused"]


async def _verdict(check: Callable[..., Any], *given: Any) -> dict[str, str | None]:
    try:
        said = check(*given)
        return _read(await said if inspect.isawaitable(said) else said)
    except (GuardrailTripped, ValueError, AssertionError) as error:
        return _raised(error)


def _verdict_of_sync(check: Callable[..., Any], value: Any) -> Any:
    try:
        said = check(value)
    except (GuardrailTripped, ValueError, AssertionError) as error:
        return _raised(error)
    return _verdict(lambda: said) if inspect.isawaitable(said) else _read(said)


def _read(said: object) -> dict[str, str | None]:
    if said is None or said is True:
        return {"refused": None}
    return {"refused": said if isinstance(said, str) else ""}


def _raised(error: Exception) -> dict[str, str | None]:
    return {"refused": error.reason if isinstance(error, GuardrailTripped) else str(error)}


def _takes_context(check: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(check).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p for p in parameters if p.kind in positional and p.default is p.empty]
    return len(needed) > 1
