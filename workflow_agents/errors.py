"""Every exception that users meet.

    WorkflowAgentsError             five parts: what, where, found, why, fix
    ├── UsageError                  the caller has to act
    │   ├── ConfigurationError      WA1xx: options and set-up
    │   ├── StepUsageError          WA2xx: how a step or payload was written
    │   ├── LimitError              WA5xx: too large, too many
    │   ├── NotFound                WA107, WA606, WA607, WA609: the id names nothing
    │   └── StateError              WA608: the verb does not fit the state
    ├── RemoteError                 WA3xx, WA703: the other side gave nothing usable
    ├── AgentStopped                WA7xx: an agent may not, or cannot, go on
    │   ├── OutputMismatch          WA711: its answers do not fit its output type
    │   ├── GuardrailTripped        WA712: a guardrail refused its prompt or its answer
    │   └── UsageLimitExceeded      WA713: what it was given is used up
    ├── StoreError                  WA6xx: the file or the disk
    ├── StepFailed                  WA206: a step's body raised in every attempt
    ├── HistoryMismatch             WA201: the code no longer fits the run's history
    ├── InvocationEnded             WA207: the run went on elsewhere
    ├── WorkflowNonRetryableError   raised by users: fail the run now
    └── WorkflowRetryAfterError     raised by users: try again at that time
    ToolRetry (Exception)           raised by a tool: tell the model what to do better
    WorkflowAbort (BaseException)   ends an invocation; never an error of yours

The codes and their standing texts are in `error_codes`; this room adds what is particular.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any


class WorkflowAgentsError(Exception):
    """An error of this project, in five parts.

    Args:
        code: a key of `error_codes.CODES`.
        what: one line, lower case: what happened. Default: the title of the code.
        where: the place in the user's code or data: "app.py:41", "step 'charge'". Default: the
            line of the user's code that led here.
        found: expected against actual; each line one fact.
        why: the cause; default: the usual one of the code.
        fix: what to do, safest first; default: that of the code.
        run_id: the run that it concerns.
    """

    def __init__(
        self,
        code: str,
        what: str = "",
        *,
        where: str = "",
        found: str | Sequence[str] = (),
        why: str = "",
        fix: Sequence[str] = (),
        run_id: str | None = None,
    ) -> None:
        from workflow_agents.error_codes import CODES  # where nothing goes wrong, nobody reads them

        standing = CODES[code]
        self.code = code
        self.what = what or standing.title
        self.where = where or line_of_the_user()
        self.found: tuple[str, ...] = (found,) if isinstance(found, str) else tuple(found)
        self.why = why or standing.why
        self.fix: tuple[str, ...] = tuple(fix) or standing.fix
        self.run_id = run_id
        super().__init__(code, self.what)

    def __str__(self) -> str:
        """The five parts as a person reads them, the first line complete in itself."""
        lines = [*_wrapped(f"{self.code}  {self.what}", _WIDTH)]
        if self.run_id:
            lines.append(f"  run    {self.run_id}")
        for label, part in (("where", (self.where,)), ("found", self.found), ("why", (self.why,))):
            lines += _labelled(label, [p for p in part if p])
        marks = [f"{chr(97 + i)}) {f}" for i, f in enumerate(self.fix)]
        lines += _labelled("fix", marks if len(marks) > 1 else list(self.fix))
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """The same parts as JSON data, for an HTTP answer or a stored failure."""
        return {
            "code": self.code,
            "what": self.what,
            "where": self.where,
            "found": list(self.found),
            "why": self.why,
            "fix": list(self.fix),
            **({"runId": self.run_id} if self.run_id else {}),
        }


_WIDTH = 100
_INDENT = 9
_OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep
_PYTHONS = os.path.dirname(os.__file__) + os.sep


def _labelled(label: str, parts: Sequence[str]) -> list[str]:
    lines = [line for part in parts for line in _wrapped(part, _WIDTH - _INDENT)]
    return [f"  {label if i == 0 else '':<6} {line}" for i, line in enumerate(lines)]


def _wrapped(text: str, width: int) -> Iterator[str]:
    """Lines of at most `width`, three of them at most; the whole text is in the attributes."""
    if len(text) <= width and "\n" not in text:
        yield text
        return
    import textwrap

    yield from textwrap.wrap(
        text, width, max_lines=3, placeholder=" …", subsequent_indent="  ", break_on_hyphens=False
    )


def line_of_the_user() -> str:
    """The innermost line on the stack that is neither ours nor a library's: "app.py:41"."""
    # What `inspect.currentframe` is, without the import of `inspect`.
    frame = sys._getframe(1)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] -- see above
    while frame is not None:
        file = frame.f_code.co_filename
        library = file.startswith((_OURS, _PYTHONS, "<")) or "site-packages" in file
        if not library:
            return f"{os.path.relpath(file)}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


class UsageError(WorkflowAgentsError):
    """The call itself is wrong; nothing was changed."""


class ConfigurationError(UsageError):
    """An option or the set-up is wrong (WA1xx)."""


class StepUsageError(UsageError):
    """A step or payload was written in a way that cannot work (WA2xx)."""


class LimitError(UsageError):
    """Something is larger or more than the limit (WA5xx)."""


class NotFound(UsageError):
    """The id names nothing that is stored or served."""


class StateError(UsageError):
    """What was asked does not fit the state of the thing (WA608)."""


class RemoteError(WorkflowAgentsError):
    """The other side failed or answered something unusable.

    Attributes:
        status: its HTTP status; 0 where no answer came.
        body: the start of its answer.
    """

    def __init__(
        self,
        code: str,
        what: str = "",
        *,
        status: int = 0,
        body: str = "",
        where: str = "",
        found: str | Sequence[str] = (),
        why: str = "",
        fix: Sequence[str] = (),
    ) -> None:
        super().__init__(code, what, where=where, found=found, why=why, fix=fix)
        self.status = status
        self.body = body


class AgentStopped(WorkflowAgentsError):
    """An agent may not, or cannot, go on. A run that fails with it is not tried again.

    All that led here is recorded: another attempt would come to the same end.
    """


class OutputMismatch(AgentStopped):
    """The agent's answers did not fit its output type, as often as it may try (WA711).

    Attributes:
        text: its last answer.
        problem: what is wrong with it, as the model was told.
    """

    def __init__(self, agent: str, text: str, problem: str, tries: int) -> None:
        self.text = text
        self.problem = problem
        found = (f"{tries} answer{'s' if tries != 1 else ''}, the last: {text[:200]!r}", problem)
        super().__init__("WA711", where=f"agent {agent!r}", found=found)


class GuardrailTripped(AgentStopped):
    """A guardrail refused what an agent was asked, or what it answered (WA712).

    Guardrails may raise it themselves: `raise GuardrailTripped("no secrets, please")`.

    Attributes:
        reason: why, in the guardrail's words.
        guardrail: its name.
        agent: the agent that it guards.
    """

    def __init__(self, reason: str = "", *, guardrail: str = "", agent: str = "") -> None:
        self.reason = reason
        self.guardrail = guardrail
        self.agent = agent
        super().__init__(
            "WA712",
            f"the guardrail {guardrail!r} refused" if guardrail else "",
            where=f"agent {agent!r}" if agent else "",
            found=reason or "it gave no reason",
        )


class UsageLimitExceeded(AgentStopped):
    """A limit of `UsageLimits` is used up, so the next step was not taken (WA713).

    Attributes:
        limit: the name of the limit: "total_tokens".
        allowed: how much it allows.
        used: how much is used, with what the next step would certainly add.
        of: whose limit it is: "agent 'writer'", "the task", "the run".
        usage: the tokens spent within it so far, a `Usage`.
        reason: what the person said who refused to raise it; "" if nobody was asked.
    """

    def __init__(
        self, limit: str, allowed: Any, used: Any, of: str, usage: Any, reason: str = ""
    ) -> None:
        self.limit = limit
        self.allowed = allowed
        self.used = used
        self.of = of
        self.usage = usage
        self.reason = reason
        found = [f"expected at most {allowed} {limit}, found {used}"]
        if reason:
            found.append(f"more was refused: {reason}")
        super().__init__("WA713", f"the {limit} of {of} are used up", where=of, found=found)


class StoreError(WorkflowAgentsError):
    """The store cannot be opened, read or written (WA6xx)."""


class StepFailed(WorkflowAgentsError):
    """A step failed for good: its retries are spent, or it asked not to be retried.

    It may be caught: the failure is recorded, and every replay raises the same.

    Attributes:
        step_name: the step's name.
        error: the class name of the last exception.
        message: its text.
        attempts: how often the body ran.
        status: the HTTP status that stands for the failure.
        body: of a call that was answered: the start of the answer.
    """

    def __init__(
        self,
        step_name: str,
        error: str,
        message: str,
        attempts: int,
        status: int = 500,
        body: str = "",
    ) -> None:
        self.body = body
        self.step_name = step_name
        self.error = error
        self.message = message
        self.attempts = attempts
        self.status = status
        super().__init__(
            "WA206",
            f"step {step_name!r} failed: {error}: {message}",
            where=f"step {step_name!r}",
            found=f"{attempts} attempt{'s' if attempts != 1 else ''}, the last: {error}",
        )


class HistoryMismatch(WorkflowAgentsError):
    """The code asks for another step than the one that this run has recorded there.

    Attributes:
        expected: what the run has recorded, or "nothing".
        asked: what the code asks for, or "nothing".
    """

    def __init__(self, where: str, expected: str, asked: str, *, run_id: str | None = None) -> None:
        self.expected = expected
        self.asked = asked
        super().__init__(
            "WA201",
            where=where,
            found=(f"expected  {expected}  (recorded by this run)", f"found     {asked}"),
            run_id=run_id,
        )


class InvocationEnded(WorkflowAgentsError):
    """The run was cancelled, finished or taken over while this invocation still ran."""


class WorkflowNonRetryableError(WorkflowAgentsError):
    """Raise it to fail the run at once, whatever retries are left.

    Source: `WorkflowNonRetryableError` of the Workflow SDK; HTTP status 489 on the wire.
    """

    def __init__(self, message: str = "") -> None:
        Exception.__init__(self, message)
        self.message = message

    def __str__(self) -> str:
        """The message as it was given."""
        return self.message


class WorkflowRetryAfterError(WorkflowAgentsError):
    """Raise it to be tried again at a time of your choice; it counts as a retry.

    Args:
        message: what is told in the logs.
        retry_after: seconds, or a duration such as "10s" or "5m".

    Source: `WorkflowRetryAfterError` of the Workflow SDK; HTTP status 429 on the wire.
    """

    def __init__(self, message: str = "", retry_after: int | float | str = 0) -> None:
        Exception.__init__(self, message)
        self.message = message
        self.retry_after = retry_after

    def __str__(self) -> str:
        """The message as it was given."""
        return self.message


class ToolRetry(Exception):  # named after what the model is to do
    """Raise it in a tool to tell the model what to do better; the text is for the model.

    It is told at once, whatever retries the tool has. Outside a tool it is an error like others.
    """


class WorkflowAbort(BaseException):
    """Ends an invocation that must not go on. Let it pass: it is not an error of yours.

    It is raised only where the cancellation of the workflow's task was swallowed and the
    code asks for another step. Being no `Exception`, `except Exception` lets it pass.
    """
