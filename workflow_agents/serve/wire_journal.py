"""The Journal over HTTP: one visit of a QStash server, and the one thing that it comes to.

A visit replays the function with the server's list of steps (`core.lockstep`). Nothing is
sent from here: what the code comes to is noted in `decided`, once, and the endpoint closes the
invocation, sends it and answers the visit.
"""

import asyncio
import base64
import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from workflow_agents.core.checks import checked_run_id
from workflow_agents.core.failures import failure_of
from workflow_agents.core.journal import (
    Again,
    Asked,
    Call,
    Closed,
    Completed,
    Ending,
    Failed,
    Failure,
    Invoke,
    Plan,
    Sleep,
    Start,
    WaitForEvent,
)
from workflow_agents.core.lockstep import Discard, Execute, LockStep, PlanAll, Results
from workflow_agents.core.options import RunOptions
from workflow_agents.errors import ConfigurationError, HistoryMismatch, StateError, StepUsageError
from workflow_agents.protocol.codec import decode
from workflow_agents.protocol.history import Recorded, StepKey, StepKind
from workflow_agents.protocol.wire_steps import NotWire, WireStep
from workflow_agents.qstash import requests
from workflow_agents.qstash.connection import ServerRequest, plain_headers
from workflow_agents.qstash.requests import RunAddress
from workflow_agents.serve.wire_results import notify_out, recorded

if TYPE_CHECKING:
    from workflow_agents.serve.telling import Known

logger = logging.getLogger(__name__)


class Send(NamedTuple):
    """Send this; then what is made of the answer, if that is given."""

    request: ServerRequest
    then: Callable[[Any], ServerRequest] | None = None


class Nothing(NamedTuple):
    """The visit is of no consequence."""


Decided = Send | Nothing | Completed | Failed
"""What a visit comes to."""


@dataclass(frozen=True, slots=True)
class WireRun:
    """The run that is visited: `core.journal.StoredRun`, and what its messages need."""

    run_id: str
    workflow: str
    created_at: int
    input: bytes | None
    url: str
    depth: int = 0

    @property
    def address(self) -> RunAddress:
        """As its messages name it."""
        return RunAddress(self.run_id, self.url, self.depth)


class WireJournal:
    """`core.journal.Journal`, `Groups` and `Keeper` of one visit.

    Attributes:
        decided: what the visit comes to.
        over: the function's task has ended.
        failed_step: the step whose body raised, if one did.

    Args:
        run: that is visited.
        steps: what the server lists of it.
        retried: how often this visit has failed before.
        webhook_base: what webhook addresses of this run begin with; it raises, if there is none.
        new_id: makes ids that nobody can guess.
        dry: the code is only asked whether it comes to a step at all.
    """

    def __init__(
        self,
        run: WireRun,
        steps: Sequence[WireStep],
        *,
        retried: int,
        webhook_base: Callable[[], str],
        new_id: Callable[[int], str],
        dry: bool = False,
    ) -> None:
        self._run = run
        self._steps = LockStep(steps)
        self._known = len(steps)
        self._newest = steps[-1] if steps else None
        self._news: set[StepKey] = set()
        self._retried = retried
        self._webhook_base = webhook_base
        self._new_id = new_id
        self._dry = dry
        self._member = (0, 1)
        self.failed_step = ""
        loop = asyncio.get_running_loop()
        self.decided: asyncio.Future[Decided] = loop.create_future()
        self.over: asyncio.Future[None] = loop.create_future()

    @property
    def known(self) -> "Known | None":
        """A visit brings the last step of its list, and with it what else its group has."""
        from workflow_agents.serve.telling import Known

        return None if self._dry else Known(self._known, lambda key: key in self._news)

    # Groups: what the code asks for once every branch has come to rest.

    def decide(self, asked: Sequence[Asked]) -> Sequence[tuple[int, Recorded]] | Start | None:
        """See `Groups.decide`."""
        if self._dry:
            self._come_to(Nothing())
            return None
        match self._steps.decide(asked):
            case Results(results):
                return self._outcomes(asked, results)
            case Execute(member, number):
                self._member = (number, len(asked))
                return Start(member, self._retried)
            case PlanAll(first):
                planned = [_planned(ask, first + i, len(asked)) for i, ask in enumerate(asked)]
                self._come_to(Send(requests.steps(self._run.address, planned)))
            case Discard():
                self._come_to(Nothing())
        return None

    def _outcomes(
        self, asked: Sequence[Asked], results: Sequence[tuple[int, WireStep]]
    ) -> Sequence[tuple[int, Recorded]] | None:
        if any(step is self._newest for _, step in results):
            self._news = {asked[index].key for index, _ in results}
        try:
            return [
                (index, recorded(asked[index], step, self._child_of(asked[index], step.number)))
                for index, step in results
            ]
        except (NotWire, TypeError, KeyError, AttributeError) as error:
            self._come_to(Failed(failure_of(NotWire(f"a result cannot be read: {error}"))))
            return None

    def left(self) -> HistoryMismatch | None:
        """See `Groups.left`."""
        return self._steps.left()

    # The journal: what the one member comes to that was started.

    def record(
        self,
        key: StepKey,  # noqa: ARG002  # the wire has numbers
        kind: StepKind,
        name: str,
        data: bytes,
        *,
        ok: bool,
        waited: bool,  # noqa: ARG002  # it always has
    ) -> None:
        """See `Journal.record`. A step that failed fails the visit, which the server repeats."""
        if ok:
            step = self._result(kind, name, data.decode())
            self._come_to(Send(requests.steps(self._run.address, [(step, {})])))
            return
        self.failed_step = name
        # What the step itself allowed is used up: the server is not to try again.
        told = decode(data)
        status, detail = told.get("status", 500), told.get("detail")
        failure = Failure(told["error"], told["message"], status, detail=detail, final=True)
        self._come_to(Failed(failure))

    def plan(self, key: StepKey, kind: StepKind, name: str, plan: Plan) -> "asyncio.Future[None]":  # noqa: ARG002  # see `record`
        """See `Journal.plan`. It never returns: another visit goes on."""
        if isinstance(plan, Again):
            self.failed_step = name
        try:
            self._come_to(self._delegated(kind, name, plan))
        except Exception as error:  # noqa: BLE001  # whatever it is, the visit fails with it
            self._come_to(Failed(failure_of(error)))
        return asyncio.get_running_loop().create_future()

    def _delegated(self, kind: StepKind, name: str, plan: Plan) -> Decided:
        run = self._run.address
        match plan:
            case Again(failure=failure):
                return Failed(failure)
            case Sleep():
                number, size = self._member
                step, delay = _sleep(plan, kind, name, number, size)
                # In a group, the plan has waited already.
                return Send(requests.steps(run, [(step, delay if size == 1 else {})]))
            case Call():
                step = self._result(kind, name)
                return Send(requests.call(run, step, plan, self._in_plain(plan, step)))
            case WaitForEvent(event_id=event_id, timeout_ms=timeout_ms):
                step = self._result(kind, name)
                return Send(requests.wait(run, step, event_id, timeout_ms))
            case Invoke():
                return self._invoked(plan, self._result(kind, name))
            case _:
                raise AssertionError(f"{plan} has no place on the wire")

    def _invoked(self, plan: Invoke, step: WireStep) -> Send:
        run = self._run
        _refuse_binary(plan, step.name)
        options = replace(
            RunOptions.from_json(plan.options),
            headers=plain_headers(plan.headers),
        )
        url = child_url(run.url, run.workflow, plan.workflow)
        child = RunAddress(self._child_id(plan.run_id, step.number), url, run.depth + 1)
        return Send(
            requests.invoke(
                run.address, child, plan.body, options, created_at=run.created_at, step=step
            )
        )

    def _child_of(self, asked: Asked, number: int) -> str:
        plan = asked.plan
        return self._child_id(plan.run_id, number) if isinstance(plan, Invoke) else ""

    def _child_id(self, chosen: str | None, number: int) -> str:
        """The same in every visit: a step that is submitted twice starts one run."""
        if chosen is not None:
            return checked_run_id(chosen)
        mark = hashlib.sha256(f"{self._run.run_id}/{number}".encode()).digest()
        return f"wfr_{base64.urlsafe_b64encode(mark).decode()[:21]}"

    def _in_plain(self, call: Call, step: WireStep) -> dict[str, str]:
        headers = plain_headers(call.headers)
        # It may be made more than once; whoever receives it can tell.
        headers.setdefault("idempotency-key", f"{self._run.run_id}/{step.number}")
        return headers

    def withdraw(self, key: StepKey, name: str) -> None:
        """See `Journal.withdraw`. A visit has nothing that could be taken back."""

    def notify(
        self,
        key: StepKey,  # noqa: ARG002  # see `record`
        name: str,
        event_id: str,
        data: bytes,
        run_id: str | None,
    ) -> None:
        """See `Journal.notify`."""
        step = self._result(StepKind.NOTIFY, name)

        def then(answer: Any) -> ServerRequest:
            told = replace(step, out=notify_out(event_id, data, answer))
            return requests.steps(self._run.address, [(told, {})])

        self._come_to(Send(requests.notify(event_id, data, run_id), then))

    async def recall(
        self, conversation: str, *, up_to: int | None, last: int | None
    ) -> tuple[int, list[bytes]]:
        """A QStash server keeps no conversations.

        Raises:
            StateError: WA608.
        """
        del up_to, last
        raise _no_conversations(conversation)

    def remember(
        self,
        key: StepKey,  # noqa: ARG002  # see `record`
        name: str,  # noqa: ARG002  # see `record`
        conversation: str,
        messages: Sequence[bytes],  # noqa: ARG002  # see `record`
    ) -> None:
        """See `recall`."""
        raise _no_conversations(conversation)

    def new_event_id(self) -> str:
        """See `Journal.new_event_id`."""
        return f"evt_{self._new_id(15)}"

    def webhook_url(self, event_id: str) -> str:
        """See `Journal.webhook_url`."""
        return f"{self._webhook_base()}/{self._run.run_id}/{event_id}"

    def cancel(self) -> None:
        """See `Journal.cancel`."""
        self._come_to(Nothing() if self._dry else Send(requests.cancel(self._run.run_id)))

    # The keeper.

    def idle(self) -> None:
        """See `Keeper.idle`. In lock-step an invocation never is."""

    def ended(self, ending: Ending) -> None:
        """See `Keeper.ended`."""
        if not isinstance(ending, Closed):
            self._come_to(ending)
        if not self.over.done():
            self.over.set_result(None)

    def _come_to(self, decided: Decided) -> None:
        if not self.decided.done():
            self.decided.set_result(decided)

    def _result(self, kind: StepKind, name: str, out: str | None = None) -> WireStep:
        number, size = self._member
        return WireStep(number, name, kind.wire, size, out)


def _planned(asked: Asked, number: int, size: int) -> tuple[WireStep, dict[str, str]]:
    """The announcement of a member, and the headers of its message. Source: protocol 1.5."""
    kind, plan = asked.kind, asked.plan
    delay: dict[str, str] = {}
    extra: dict[str, Any] = {}
    match plan:
        case Sleep():
            step, delay = _sleep(plan, kind, asked.name, number, size)
            extra = dict(step.extra)
        case WaitForEvent(event_id=event_id, timeout_ms=timeout_ms):
            timeout = f"{requests.whole_seconds(timeout_ms)}s"
            extra = {"waitEventId": event_id, "timeout": timeout}
        case _:
            pass
    return WireStep(0, asked.name, kind.wire, size, target=number, extra=extra), delay


def _sleep(
    plan: Sleep, kind: StepKind, name: str, number: int, size: int
) -> tuple[WireStep, dict[str, str]]:
    ms = (plan.after_ms if kind is StepKind.SLEEP else plan.due_at) or 0
    extra = {
        "sleepFor" if kind is StepKind.SLEEP else "sleepUntil": requests.whole_seconds(ms),
    }
    step = WireStep(number, name, kind.wire, size, "null", extra=extra)
    return step, requests.sleep_headers(kind, ms)


def _refuse_binary(plan: Invoke, name: str) -> None:
    try:
        plan.body.decode()
    except UnicodeDecodeError as error:
        raise StepUsageError(
            "WA204",
            where=f"invoke {name!r}",
            found="a body that is no text",
            why="a QStash server hands on the payload of an invoked run as text",
            fix=("send text, for example base64.b64encode(data).decode()",),
        ) from error


def child_url(url: str, own: str, workflow: str) -> str:
    """The address of a workflow that is served beside the one at `url`.

    Args:
        url: of the one that invokes.
        own: its path, as it is served.
        workflow: the path of the other, its name (the last part of its path), or its address.
    """
    if "://" in workflow:
        return workflow
    bare = url.partition("?")[0]
    if workflow.startswith("/") and bare.endswith(own):
        return bare.removesuffix(own) + workflow
    if workflow.startswith("/"):
        scheme, _, rest = bare.partition("://")
        return f"{scheme}://{rest.partition('/')[0]}{workflow}"
    return f"{bare.rpartition('/')[0]}/{workflow}"


def user_of(token: str) -> str:
    """The user whose hooks a token's webhooks are. Source: protocol 4.7 and 8.1.

    Raises:
        ConfigurationError: WA106, the token names nobody.
    """
    try:
        user = json.loads(base64.b64decode(token + "=" * (-len(token) % 4)))["UserID"]
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigurationError(
            "WA106",
            "the token names no user, whom a webhook's address needs",
            found="expected base64 of JSON with a UserID",
            fix=("use the token that the QStash server gave out, as it is",),
        ) from error
    return str(user)


def _no_conversations(key: str) -> StateError:
    return StateError(
        "WA608",
        "a QStash server keeps no conversations",
        where=f"conversation {key!r}",
        found="a run that a QStash server keeps",
        why="only the embedded engine keeps them",
        fix=("pass messages along: agents.task(history=...)",),
    )
