"""The options that tools of every kind have, checked when the tool is made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Literal, get_args

from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.times import duration_ms

if TYPE_CHECKING:
    from workflow_agents.context.context import Duration, FlowControl

OnUnknownOutcome = Literal["run_again", "ask", "fail"]
NeedsApproval = bool | Callable[[dict[str, Any]], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOptions:
    """How calls of a tool are made.

    Attributes:
        needs_approval: whether a person has to approve a call before it runs; or a plain
            function that says so of its arguments, a dict with the function's defaults filled
            in. It runs in a step, so its answer is recorded. If it raises, the call does not run.
        approval_timeout: after this long without a decision a call counts as rejected.
        approvers: how many people have to approve a call, each under another name. Who edits the
            arguments is the first to approve the new ones; one rejection is enough.
        retries: how often a call that raises is tried again before the model is told. Arguments
            that do not fit, and `ToolRetry`, are told at once.
        retry_delay: between these tries, an expression in milliseconds.
        timeout: of one try: seconds or "30s". An async tool is cancelled; the thread of another
            cannot be: it is left to itself and what it returns is dropped, so such a tool may
            still be at work when the model, which is told, goes on.
        flow_control: a key whose limits calls wait for, over all runs.
        on_unknown_outcome: what becomes of a call that had begun when its process died.
            "run_again": the body runs again, with the same idempotency key. "ask": the run waits
            for a person, see `client.approvals`. "fail": the run fails and is not retried; once
            it is resumed, a person is asked.
        max_errors: after so many failed calls of this tool in one task, the task fails (WA706);
            default: only `max_tool_errors` of the agent counts.
        strict: ask the provider to keep exactly to the schema; all arguments become required.
    """

    needs_approval: NeedsApproval = False
    approval_timeout: "Duration" = "7d"
    approvers: int = 1
    retries: int = 0
    retry_delay: str | None = "min(60000, pow(2, retried) * 1000)"
    timeout: "Duration | None" = None
    flow_control: "FlowControl | None" = None
    on_unknown_outcome: OnUnknownOutcome = "run_again"
    max_errors: int | None = None
    strict: bool = False

    def options(self) -> dict[str, Any]:
        """These options alone, whatever has them."""
        return {name: getattr(self, name) for name in OPTIONS}


OPTIONS = tuple(option.name for option in fields(ToolOptions))


def checked(options: ToolOptions, where: str, *, as_step: bool) -> None:
    """Refuse options that cannot be used.

    Args:
        options: of a tool.
        where: which tool.
        as_step: whether its calls are steps; others have no tries of their own.

    Raises:
        ConfigurationError: WA102, WA103, WA104.
    """
    from workflow_agents.context.context import check_step_options

    needed = options.needs_approval
    if not isinstance(needed, bool) and (not callable(needed) or iscoroutinefunction(needed)):
        _refuse("needs_approval", "True, or a plain function of the arguments", options, where)
    if options.on_unknown_outcome not in get_args(OnUnknownOutcome):
        _refuse("on_unknown_outcome", "'run_again', 'ask' or 'fail'", options, where)
    if options.max_errors is not None and not _is_count(options.max_errors, 1):
        _refuse("max_errors", "a whole number from 1, or None", options, where)
    if not _is_count(options.retries, 0):
        _refuse("retries", "a whole number from 0", options, where)
    check_step_options(options.retries, options.retry_delay, options.flow_control)
    if duration_ms(options.approval_timeout) <= 0:
        _refuse("approval_timeout", 'a length of time such as "7d"', options, where)
    if not _is_count(options.approvers, 1) or (options.approvers > 1 and needed is False):
        expected = "a whole number from 1; above 1 only of a tool with needs_approval"
        _refuse("approvers", expected, options, where)
    if options.timeout is not None and duration_ms(options.timeout) <= 0:
        _refuse("timeout", 'a length of time such as "30s", or None', options, where)
    if not as_step:
        default = ToolOptions()
        for name in ("retries", "retry_delay", "timeout", "flow_control", "on_unknown_outcome"):
            if getattr(options, name) != getattr(default, name):
                _refuse(
                    name, "nothing: calls that are no steps have no such option", options, where
                )


def known(given: Mapping[str, Any], names: tuple[str, ...], where: str) -> None:
    """Refuse names that are no options.

    Raises:
        ConfigurationError: WA101, with the nearest.
    """
    for name in given:
        if name not in names:
            close = get_close_matches(name, names, 1)
            raise ConfigurationError(
                "WA101",
                where=where,
                found=f"{name!r}; known are {', '.join(sorted(names))}",
                fix=(f"did you mean {close[0]!r}?",) if close else (),
            )


def _is_count(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _refuse(option: str, expected: str, options: ToolOptions, where: str) -> None:
    raise ConfigurationError(
        "WA102",
        f"{option} of the tool cannot be used",
        where=where,
        found=f"expected {expected}, found {getattr(options, option)!r}"[:200],
        fix=(f"pass {expected} as {option}",),
    )
