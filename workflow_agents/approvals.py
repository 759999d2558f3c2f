"""`client.approvals`: what waits for a person, and the person's decisions.

    for approval in await client.approvals.list():
        print(approval.agent, approval.tool, approval.arguments)
        await client.approvals.approve(approval, by="ada")

A decision wakes the run in one transaction, as any notification does; whoever decides second is
told so. What an approval is to the run is in `agents/approvals`, the words of both sides in
`protocol/approvals`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from workflow_agents.core.bad_options import names_options, wrong_option
from workflow_agents.core.logs import RunLog
from workflow_agents.errors import ConfigurationError, NotFound, StateError
from workflow_agents.protocol.approvals import (
    PREFIX,
    Decision,
    Kind,
    OpenWait,
    Request,
    arguments_hash,
    run_of,
)
from workflow_agents.protocol.codec import Unencodable, decode, encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A call of a tool that waits for a person.

    Attributes:
        id: to decide it by.
        kind: "approval": the tool has not run yet. "unknown_outcome": it had begun when its
            process died, and nobody knows whether it did its work. "limit": no tool; what
            `UsageLimits` allow is used up, and approval allows as much again.
        workflow_run_id: the run that waits.
        workflow: the run's path.
        agent: the agent that wants the tool called; also inside managers, the inner one.
        tool: the tool's name.
        tool_call_id: the model's id of the call.
        description: what the tool does, as the model reads it.
        arguments: what it will run with.
        arguments_hash: of these arguments; a decision holds for them only.
        schema: the JSON schema that edited arguments have to fit.
        asked_at: when the run began to wait, Unix milliseconds.
        deadline: when it counts as rejected, Unix milliseconds.
        approvers: how many people have to approve these arguments.
        approved_by: those who have.
    """

    id: str
    kind: Kind
    workflow_run_id: str
    workflow: str
    agent: str
    tool: str
    tool_call_id: str
    description: str
    arguments: Mapping[str, Any]
    arguments_hash: str
    schema: Mapping[str, Any]
    asked_at: int
    deadline: int
    approvers: int = 1
    approved_by: tuple[str, ...] = ()


class Keeper(Protocol):
    """The part of a client's backend that approvals use."""

    def now_ms(self) -> int:
        """Its time."""
        ...

    async def notify(self, event_id: str, data: bytes, run_id: str | None) -> dict[str, Any]:
        """Notify an event."""
        ...

    async def waits(self, prefix: str, limit: int) -> Sequence[OpenWait]:
        """The waits for events whose ids begin so, by id."""
        ...

    async def log(self, run_id: str, *, steps: bool) -> RunLog:
        """One run."""
        ...


class AsyncApprovals:
    """See the module. An approval may be given as itself or by its id."""

    def __init__(self, backend: Keeper) -> None:
        self._backend = backend

    @names_options
    async def list(self, run_id: str | None = None, *, limit: int = 100) -> list[Approval]:
        """What waits for a person, in all runs or in one; what has waited longest comes first."""
        if not isinstance(limit, int) or limit < 1:  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
            raise wrong_option("limit", "a whole number from 1", limit)
        prefix = PREFIX if run_id is None else f"{PREFIX}{run_id}:"
        found = map(_approval, await self._backend.waits(prefix, limit))
        # Branches that meet the same limit wait for one decision.
        waiting = {approval.id: approval for approval in found if approval is not None}
        return sorted(waiting.values(), key=lambda approval: approval.asked_at)

    async def get(self, id: str) -> Approval:
        """One of them.

        Raises:
            StateError: WA608, it is decided already, or its time has passed.
            NotFound: WA609, it never was.
        """
        for wait in await self._backend.waits(id, 1):
            approval = _approval(wait)
            if approval is not None and approval.id == id:
                return approval
        raise await self._gone(id)

    @names_options
    async def approve(
        self,
        approval: Approval | str,
        *,
        arguments: Mapping[str, Any] | None = None,
        by: str | None = None,
    ) -> None:
        """Let the tool run, with the arguments that were shown or with edited ones.

        An `Approval` is approved as it was read: if what waits has other arguments, it is
        refused. Of an unknown outcome: let it run again, with the same idempotency key. Where
        several people have to approve, it runs when the last of them has; who edits the
        arguments is the first to approve the new ones.

        Args:
            approval: what is approved.
            arguments: all arguments to run with in place of those that were shown.
            by: who decides; told in the log. Where several have to approve, it must be given.

        Raises:
            StateError: WA608, it is decided already, its time has passed, it is another, or this
                person has approved it before.
            ConfigurationError: WA102, several have to approve, and nobody says who this is;
                WA610, the arguments do not fit the tool; nothing was decided.
        """
        waiting = await self._waiting(approval)
        edited = None if arguments is None else _edited(waiting, arguments)
        _ensure_another(waiting, by)
        await self._decide(waiting, "approve", Decision(
            verdict="approve", arguments_hash=waiting.arguments_hash, arguments=edited, by=by
        ))  # fmt: skip

    @names_options
    async def reject(
        self, approval: Approval | str, reason: str | None = None, *, by: str | None = None
    ) -> None:
        """Do not let it run; the model is told the reason, and goes on.

        Raises:
            StateError: WA608, it is decided already, or its time has passed.
        """
        waiting = await self._waiting(approval)
        await self._decide(waiting, "reject", Decision(
            verdict="reject", arguments_hash=waiting.arguments_hash, reason=reason, by=by
        ))  # fmt: skip

    @names_options
    async def respond(
        self, approval: Approval | str, answer: Any, *, by: str | None = None
    ) -> None:
        """Do not let it run; the model is told this answer in place of the tool's result.

        Args:
            approval: what is answered.
            answer: text or JSON data.
            by: who decides; told in the log.

        Raises:
            StateError: WA608, it is decided already, its time has passed, or it is no call that
                waits to be made.
        """
        waiting = await self._waiting(approval)
        if waiting.kind != "approval":
            raise _of_another_kind(
                waiting,
                "only a call that waits to be made can be answered",
                "an approval",
                "there is no result in place of which the model could be told something",
            )
        await self._decide(waiting, "respond", Decision(
            verdict="respond", arguments_hash=waiting.arguments_hash, result=answer, by=by
        ))  # fmt: skip

    @names_options
    async def resolve(
        self, approval: Approval | str, result: Any = None, *, by: str | None = None
    ) -> None:
        """Of an unknown outcome: it has happened, and this is its result.

        Raises:
            StateError: WA608, it is decided already, its time has passed, or the tool has not
                run yet.
        """
        waiting = await self._waiting(approval)
        if waiting.kind != "unknown_outcome":
            raise _of_another_kind(
                waiting,
                "only a call whose outcome is unknown can have happened",
                "an unknown outcome",
                "this tool has not run yet",
            )
        await self._decide(waiting, "resolve", Decision(
            verdict="resolve", arguments_hash=waiting.arguments_hash, result=result, by=by
        ))  # fmt: skip

    async def _waiting(self, approval: Approval | str) -> Approval:
        if isinstance(approval, str):
            return await self.get(approval)
        if not isinstance(approval, Approval):  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
            raise wrong_option("approval", "an Approval or its id", approval)
        waiting = await self.get(approval.id)
        if waiting.arguments_hash != arguments_hash(approval.arguments):
            raise StateError(
                "WA608",
                "the approval is for other arguments",
                where=f"approval {waiting.id!r}",
                found=f"expected the hash {waiting.arguments_hash}, found another",
                why="what is decided must be what was shown",
                fix=("read it again: await client.approvals.get(id)",),
            )
        return waiting

    async def _decide(self, waiting: Approval, verb: str, decision: Decision) -> None:
        decision = replace(decision, at=self._backend.now_ms())
        try:
            data = encode(decision.to_json())
        except Unencodable as error:
            raise wrong_option(verb, "JSON data", error.reason) from error
        # Without a run, so that a decision which comes too late is not kept for a later wait.
        done = await self._backend.notify(waiting.id, data, None)
        if not done["notified"]:
            raise await self._gone(waiting.id)

    async def _gone(self, id: str) -> StateError | NotFound:
        """Why there is nothing to decide."""
        run_id = run_of(id) if isinstance(id, str) else None  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
        where = f"approval {id!r}"
        if run_id is None:
            return NotFound("WA609", where=where, found="no id of an approval")
        try:
            log = await self._backend.log(run_id, steps=True)
        except NotFound:
            return NotFound("WA609", where=where, found=f"no run {run_id!r}")
        for step in log.steps:
            waited: Any = step.waits_for
            if isinstance(waited, dict) and waited.get("eventId") == id:  # pyright: ignore[reportUnknownMemberType] -- JSON
                return StateError(
                    "WA608",
                    "the approval no longer waits",
                    where=where,
                    found=f"expected a call that waits, found one that {_end_of(step.out)}",
                    why="a call is decided once",
                    fix=("see what waits: await client.approvals.list()",),
                    run_id=run_id,
                )
        return NotFound("WA609", where=where, found=f"run {run_id!r} asks for no such approval")


def _approval(wait: OpenWait) -> Approval | None:
    request = Request.read(wait.details)
    if request is None:
        return None
    return Approval(
        id=wait.event_id,
        kind=request.kind,
        workflow_run_id=wait.workflow_run_id,
        workflow=wait.workflow,
        agent=request.agent,
        tool=request.tool,
        tool_call_id=request.tool_call_id,
        description=request.description,
        arguments=request.arguments,
        arguments_hash=request.hash,
        schema=request.schema,
        asked_at=wait.asked_at,
        deadline=wait.deadline,
        approvers=request.approvers,
        approved_by=request.approved_by,
    )


def _of_another_kind(waiting: Approval, what: str, expected: str, why: str) -> StateError:
    return StateError(
        "WA608",
        what,
        where=f"approval {waiting.id!r}",
        found=f"expected {expected}, found an {waiting.kind}",
        why=why,
        fix=("await client.approvals.approve(id)", "await client.approvals.reject(id)"),
    )


def _ensure_another(waiting: Approval, by: str | None) -> None:
    """Where several have to approve: that this is one of them, and not the same again."""
    if waiting.approvers <= 1:
        return
    if not by:
        expected = f"a name: {waiting.approvers} people have to approve this"
        raise wrong_option("by", expected, by)
    if by in waiting.approved_by:
        raise StateError(
            "WA608",
            "another person has to approve it too",
            where=f"approval {waiting.id!r}",
            found=f"expected somebody else than {', '.join(waiting.approved_by)}, found {by}",
            why=f"{waiting.approvers} people have to approve it, and {by} has",
            fix=("let somebody else look at it",),
            run_id=waiting.workflow_run_id,
        )


def _edited(waiting: Approval, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments as JSON data, if the tool takes them."""
    if not isinstance(arguments, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
        raise wrong_option("arguments", "a dict", arguments)
    if waiting.kind == "unknown_outcome":
        raise wrong_option("arguments", "None: what is run again is the same call", arguments)
    try:
        edited: dict[str, Any] = decode(encode(dict(arguments)))
    except Unencodable as error:
        raise wrong_option("arguments", "JSON data", error.reason) from error
    from workflow_agents.protocol.json_schema import faults

    wrong = faults(edited, waiting.schema)
    if wrong:
        raise ConfigurationError("WA610", where=f"tool {waiting.tool!r}", found=wrong[:5])
    return edited


def _end_of(outcome: Any) -> str:
    if not isinstance(outcome, dict):
        return "ended with its run"
    if outcome.get("timeout"):  # pyright: ignore[reportUnknownMemberType] -- JSON
        return "nobody decided in time"
    decision = Decision.read(outcome.get("data"))  # pyright: ignore[reportUnknownMemberType] -- JSON
    if decision is None:
        return "was answered"
    verbs = {"approve": "approved", "reject": "rejected", "respond": "answered"}
    verb = verbs.get(decision.verdict, "resolved")
    return f"was {verb}" + (f" by {decision.by}" if decision.by else "")
