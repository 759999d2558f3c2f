"""The Journal over HTTP on our own server: what one invocation comes to, as checkpoints.

The function goes on while its results are stored, as it does on an engine of its own process.
What it asks for becomes frames, what is stored comes back as news. Nothing is decided here.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from workflow_agents.context.invocation import Invocation
from workflow_agents.core.checkpoints import (
    Adoption,
    Cancel,
    End,
    News,
    Notified,
    Planned,
    Recall,
    Recalled,
    Record,
    Refused,
    Remember,
    Taken,
    Withdrawn,
)
from workflow_agents.core.journal import Call, Closed, Ending, Failed, Invoke, Plan
from workflow_agents.errors import (
    ConfigurationError,
    LimitError,
    NotFound,
    StateError,
    StepUsageError,
    WorkflowAgentsError,
)
from workflow_agents.protocol.history import Recorded, StepKey, StepKind, Waiting
from workflow_agents.qstash.checkpoints import Lines
from workflow_agents.qstash.connection import new_id, plain_headers
from workflow_agents.serve.wire_journal import WireRun, child_url

_CLASSES: dict[str, type[WorkflowAgentsError]] = {
    "WA1": ConfigurationError,
    "WA2": StepUsageError,
    "WA5": LimitError,
    "WA6": StateError,
    "WA606": NotFound,
    "WA607": NotFound,
}


class Over(NamedTuple):
    """The invocation is over.

    Attributes:
        failed: how, where the server does not keep the run by checkpoints: nothing was said.
        error: why the server could not be told.
    """

    failed: Failed | None = None
    error: Exception | None = None


class CheckpointJournal:
    """`core.journal.Journal` and `Keeper` of one invocation, and who hears of it.

    Attributes:
        over: the invocation is over, and the server knows how.

    Args:
        lines: by which the server is told.
        run: that is advanced.
        by: the fencing token, or how the run is adopted.
        webhook_base: what webhook addresses of this run begin with; it raises, if there is none.
    """

    def __init__(
        self, lines: Lines, run: WireRun, by: int | Adoption, webhook_base: Callable[[], str]
    ) -> None:
        self._run = run
        self._webhook_base = webhook_base
        self._invocation: Invocation | None = None
        self._sent: dict[int, Recorded] = {}
        self._planned: dict[int, asyncio.Future[None]] = {}
        self._recalls: dict[int, asyncio.Future[tuple[int, list[bytes]]]] = {}
        self._has_ended = False
        self._error: Exception | None = None
        self._loop = asyncio.get_running_loop()
        self.over: asyncio.Future[Over] = self._loop.create_future()
        self._line = lines.open(run.run_id, by, self)

    def begun(self, invocation: Invocation) -> None:
        """This is the invocation; nothing of it has run yet."""
        self._invocation = invocation

    # The journal.

    def record(
        self, key: StepKey, kind: StepKind, name: str, data: bytes, *, ok: bool, waited: bool
    ) -> None:
        """See `Journal.record`."""
        frame = self._line.say(Record(key, kind, name, ok, waited, data))
        self._sent[frame] = Recorded(key, kind, name, ok, data)

    def plan(self, key: StepKey, kind: StepKind, name: str, plan: Plan) -> "asyncio.Future[None]":
        """See `Journal.plan`.

        Raises:
            ConfigurationError: WA109, a secret names a variable that is not set.
        """
        planned: asyncio.Future[None] = self._loop.create_future()
        frame = self._line.say(Planned(key, kind, name, self._for_the_server(plan)))
        self._planned[frame] = planned
        return planned

    def _for_the_server(self, plan: Plan) -> Plan:
        """What only this process knows is put in: secrets, and where other workflows are."""
        match plan:
            case Call():
                return plan._replace(headers=plain_headers(plan.headers))
            case Invoke():
                url = child_url(self._run.url, self._run.workflow, plan.workflow)
                return plan._replace(workflow=url, headers=plain_headers(plan.headers))
            case _:
                return plan

    def withdraw(self, key: StepKey, name: str) -> None:
        """See `Journal.withdraw`."""
        self._line.say(Withdrawn(key, name))

    def notify(
        self, key: StepKey, name: str, event_id: str, data: bytes, run_id: str | None
    ) -> None:
        """See `Journal.notify`."""
        self._line.say(Notified(key, name, event_id, data, run_id))

    def recall(
        self, conversation: str, *, up_to: int | None, last: int | None
    ) -> "asyncio.Future[tuple[int, list[bytes]]]":
        """See `Journal.recall`."""
        recalled: asyncio.Future[tuple[int, list[bytes]]] = self._loop.create_future()
        self._recalls[self._line.say(Recall(conversation, up_to, last))] = recalled
        return recalled

    def remember(
        self, key: StepKey, name: str, conversation: str, messages: Sequence[bytes]
    ) -> None:
        """See `Journal.remember`."""
        self._line.say(Remember(key, name, conversation, messages))

    def new_event_id(self) -> str:
        """See `Journal.new_event_id`."""
        return f"evt_{new_id(22)}"

    def webhook_url(self, event_id: str) -> str:
        """See `Journal.webhook_url`."""
        return f"{self._webhook_base()}/{self._run.run_id}/{event_id}"

    def cancel(self) -> None:
        """See `Journal.cancel`."""
        self._line.say(Cancel())

    # The keeper.

    def idle(self) -> None:
        """See `Keeper.idle`."""
        self._line.rest()

    def ended(self, ending: Ending) -> None:
        """See `Keeper.ended`."""
        self._has_ended = True
        if isinstance(ending, Closed):
            self._line.leave()
            self._come_to(Over(error=self._error))
        elif isinstance(ending, Failed) and not self._line.has_spoken:
            # Before its first step, the run is the server's own: its visit has failed.
            self._line.leave()
            self._come_to(Over(failed=ending))
        else:
            self._line.say(End(ending))

    # What the server says.

    def news(self, news: News) -> None:
        """See `Listener.news`."""
        match news:
            case Taken(frame):
                self._deliver(self._sent.pop(frame))
            case Recalled(frame, up_to, messages):
                recalled = self._recalls.pop(frame)
                if not recalled.done():
                    recalled.set_result((up_to, messages))
            case Refused(frame, error):
                planned = self._planned.pop(frame)
                if not planned.done():
                    planned.set_exception(_error_of(error))
            case _:
                self._deliver(news)

    def settled(self, frame: int) -> None:
        """See `Listener.settled`."""
        while self._planned and (first := next(iter(self._planned))) <= frame:
            planned = self._planned.pop(first)
            if not planned.done():
                planned.set_result(None)

    def closed(self, error: Exception | None) -> None:
        """See `Listener.closed`."""
        if self._has_ended:
            self._come_to(Over(error=error))
            return
        self._error = error
        if self._invocation is not None:
            self._invocation.close()

    def _deliver(self, outcome: Recorded | Waiting) -> None:
        if self._invocation is not None:
            self._invocation.deliver(outcome)

    def _come_to(self, over: Over) -> None:
        if not self.over.done():
            self.over.set_result(over)


def _error_of(told: Mapping[str, Any]) -> WorkflowAgentsError:
    """The error that the server refuses something with."""
    code = str(told["code"])
    cls = _CLASSES.get(code) or _CLASSES.get(code[:3], StateError)
    return cls(
        code,
        told["what"],
        where=told["where"],
        found=told["found"],
        why=told["why"],
        fix=told["fix"],
    )
