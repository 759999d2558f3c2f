"""What each kind of step does between being asked for and returning.

All start the same way: what is recorded is returned. A new `run` step executes here and is
recorded; one that waits elsewhere is planned, and its outcome is delivered.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from workflow_agents.context.branches import BRANCH, InsideStep
from workflow_agents.context.invocation import Invocation
from workflow_agents.context.revive import revive
from workflow_agents.core.failures import failure_of, step_failed, to_json
from workflow_agents.core.journal import Admission, Again, Failure, Plan
from workflow_agents.core.retry import Retry, RetryPolicy, after_failure
from workflow_agents.errors import LimitError, StepUsageError
from workflow_agents.protocol.codec import Unencodable, decode, encode
from workflow_agents.protocol.history import Recorded, StepKey, StepKind, Waiting

if TYPE_CHECKING:
    from workflow_agents.context.listener import Listener
    from workflow_agents.core.flow_control import FlowControl

T = TypeVar("T")
Body = Callable[[], Awaitable[Any]] | Callable[[], Any]

_CO_COROUTINE = inspect.CO_COROUTINE


async def run_step(
    invocation: Invocation,
    key: StepKey,
    name: str,
    body: Body,
    policy: RetryPolicy,
    flow_control: "FlowControl | None",
) -> Any:
    """Execute a body here, until it succeeds or its retries are spent; return its result."""
    journal, listener = invocation.journal, invocation.listener
    step = await invocation.begin(key, StepKind.RUN, name)
    if step is None and flow_control is not None:
        step = await _planned(invocation, key, StepKind.RUN, name, Admission(flow_control))
    while not isinstance(step, Recorded):
        attempts = step.attempts if step is not None else 0
        invocation.body_starts(key, name)
        try:
            if listener is not None:
                await invocation.hear(listener.before(StepKind.RUN, name))
            inside = InsideStep(name, key, attempts + 1)
            value = await _execute(invocation, body, inside)
            data = _encoded(value, name, invocation.limits.result_bytes)
        except asyncio.CancelledError:
            if step is not None:
                # What it waited with, a retry or a slot, goes with it.
                invocation.withdraw(key, name)
            raise
        except Exception as error:  # noqa: BLE001  # whatever a body raises is recorded
            failure = failure_of(error)
            again = _again(failure, attempts + 1, policy, flow_control)
            if listener is not None:
                _tell_failure(listener, name, error, again)
            if again is not None:
                step = await _planned(invocation, key, StepKind.RUN, name, again)
                continue
            attempts += 1
            data = encode(to_json(failure, attempts=attempts))
            journal.record(key, StepKind.RUN, name, data, ok=False, waited=step is not None)
        else:
            journal.record(key, StepKind.RUN, name, data, ok=True, waited=step is not None)
        step = await invocation.outcome(key, elsewhere=False)
    if listener is not None:
        done = step
        listener.after(done, lambda: revive(body, _result(done)))
    return revive(body, _result(step))


async def wait_step(
    invocation: Invocation,
    key: StepKey,
    kind: StepKind,
    name: str,
    plan: Plan,
    read: Callable[[Any], T],
) -> T:
    """Wait for an outcome that comes from elsewhere; `read` makes the result of it."""
    step = await invocation.begin(key, kind, name, plan)
    if step is None:
        await _before(invocation, kind, name)
        step = await _planned(invocation, key, kind, name, plan)
    return _given(invocation, cast("Recorded", step), read)


async def notify_step(
    invocation: Invocation,
    key: StepKey,
    name: str,
    event_id: str,
    data: bytes,
    run_id: str | None,
) -> Any:
    """Notify, and record what it did, in one change."""
    step = await invocation.begin(key, StepKind.NOTIFY, name)
    if step is None:
        await _before(invocation, StepKind.NOTIFY, name)
        invocation.journal.notify(key, name, event_id, data, run_id)
        step = await invocation.outcome(key, elsewhere=False)
    return _given(invocation, cast("Recorded", step))


async def recall_step(
    invocation: Invocation, key: StepKey, name: str, conversation: str, last: int | None
) -> list[Any]:
    """Read a conversation; record up to where, and read that far again in a replay."""
    step = await invocation.begin(key, StepKind.RUN, name)
    if step is None:
        await _before(invocation, StepKind.RUN, name)
        journal = invocation.journal
        up_to, messages = await journal.recall(conversation, up_to=None, last=last)
        data = encode({"conversation": conversation, "upTo": up_to})
        journal.record(key, StepKind.RUN, name, data, ok=True, waited=False)
        step = await invocation.outcome(key, elsewhere=False)
        _given(invocation, cast("Recorded", step))
    else:
        up_to = _given(invocation, cast("Recorded", step))["upTo"]
        _, messages = await invocation.journal.recall(conversation, up_to=up_to, last=last)
    return [decode(message) for message in messages]


async def remember_step(
    invocation: Invocation, key: StepKey, name: str, conversation: str, messages: list[bytes]
) -> None:
    """Append to a conversation, and record that, in one change."""
    step = await invocation.begin(key, StepKind.RUN, name)
    if step is None:
        await _before(invocation, StepKind.RUN, name)
        invocation.journal.remember(key, name, conversation, messages)
        step = await invocation.outcome(key, elsewhere=False)
    _given(invocation, cast("Recorded", step))


async def create_webhook_step(invocation: Invocation, key: StepKey, name: str) -> Any:
    """Make up an address and record it."""
    step = await invocation.begin(key, StepKind.CREATE_WEBHOOK, name)
    if step is None:
        await _before(invocation, StepKind.CREATE_WEBHOOK, name)
        event_id = invocation.journal.new_event_id()
        url = invocation.journal.webhook_url(event_id)
        data = encode({"webhookUrl": url, "eventId": event_id})
        invocation.journal.record(key, StepKind.CREATE_WEBHOOK, name, data, ok=True, waited=False)
        step = await invocation.outcome(key, elsewhere=False)
    return _given(invocation, cast("Recorded", step))


async def _planned(
    invocation: Invocation, key: StepKey, kind: StepKind, name: str, plan: Plan
) -> Recorded | Waiting:
    """Plan the wait and wait. Cancelled by the user's code, it is taken back."""
    try:
        # Until it is stored, nothing would wake a run that parks.
        invocation.at_work += 1
        try:
            await invocation.journal.plan(key, kind, name, plan)
        finally:
            invocation.at_work -= 1
        return await invocation.outcome(key, elsewhere=True)
    except asyncio.CancelledError:
        invocation.withdraw(key, name)
        # As it may have kept the run from coming to rest, look again.
        invocation.kick()
        raise


async def _before(invocation: Invocation, kind: StepKind, name: str) -> None:
    if invocation.listener is not None:
        await invocation.hear(invocation.listener.before(kind, name))


def _given(
    invocation: Invocation, step: Recorded, read: Callable[[Any], Any] = lambda data: data
) -> Any:
    """What the code gets of an outcome, of which the listener is told."""
    if invocation.listener is not None:
        invocation.listener.after(step, lambda: read(_result(step)))
    return read(_result(step))


def _tell_failure(listener: "Listener", name: str, error: Exception, again: Again | None) -> None:
    listener.failed(error)
    if again is not None:
        wait = f"{again.after_ms} ms"
        listener.warn(f"step {name!r}: attempt {again.attempts} failed; tried again in {wait}")


def _again(
    failure: Failure, failures: int, policy: RetryPolicy, flow: "FlowControl | None"
) -> Again | None:
    decision = after_failure(
        policy,
        failures=failures,
        retry_after_ms=failure.retry_after_ms,
        non_retryable=failure.final,
    )
    if not isinstance(decision, Retry):
        return None
    return Again(decision.after_ms, failures, failure, flow)


def _result(step: Recorded) -> Any:
    data = decode(step.data)
    if not step.ok:
        raise step_failed(step.name, data)
    return data


def _encoded(value: object, name: str, limit: int) -> bytes:
    try:
        data = encode(value)
    except Unencodable as error:
        raise StepUsageError(
            "WA204", where=f"step {name!r}, at {error.path}", found=error.reason
        ) from error
    if len(data) > limit:
        raise LimitError(
            "WA502",
            where=f"step {name!r}",
            found=f"expected at most {limit:,} bytes of JSON, found {len(data):,}",
        )
    return data


async def _execute(invocation: Invocation, body: Body, inside: InsideStep) -> object:
    """Call the body: on the loop if it is a coroutine function, else in a thread."""
    token = BRANCH.set(inside)
    invocation.at_work += 1
    try:
        if _is_async(body):
            return await body()
        value = await invocation.bodies(body, inside)
        # A lambda that calls a coroutine function is as common as the function itself.
        return await value if inspect.isawaitable(value) else value
    except asyncio.CancelledError:
        # Nothing is recorded of it, and so nothing else will look again.
        invocation.kick()
        raise
    finally:
        invocation.at_work -= 1
        BRANCH.reset(token)


def _is_async(body: Body) -> bool:
    code = getattr(body, "__code__", None)
    if code is not None:
        return bool(code.co_flags & _CO_COROUTINE)
    inner = getattr(body, "func", None) or getattr(body, "__func__", None)
    return inspect.iscoroutinefunction(inner or getattr(body, "__call__", body))  # noqa: B004
