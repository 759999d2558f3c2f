"""Steps on a workflow's context, and what is watched while they run."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from tests.simulation.model import LATER_S, RETRY_MS
from tests.simulation.programs import (
    Call,
    Cancel,
    Hook,
    Invoke,
    Notify,
    Raise,
    Raised,
    Run,
    Sleep,
    Step,
    Wait,
    value_of,
)
from workflow_agents import (
    AsyncWorkflowContext,
    WorkflowNonRetryableError,
    WorkflowRetryAfterError,
)

if TYPE_CHECKING:
    from tests.simulation.outside import Outside
    from tests.simulation.watch import Watch

PATH = "/program"
RETRY_DELAY = str(RETRY_MS)


class Durable:
    """`programs.Ops` on a durable context."""

    def __init__(
        self, context: AsyncWorkflowContext[Any], outside: "Outside", watch: "Watch"
    ) -> None:
        self._context = context
        self._outside = outside
        self._watch = watch
        self._run_id = context.workflow_run_id
        self._noted = 0

    def note(self, step: Step, value: Any) -> None:
        """What a `Raise` raises is not recorded, so a replay need not meet it."""
        if not isinstance(step, Raise):
            self._watch.note(self._run_id, self._noted, step, value)
            self._noted += 1

    def ask(self, step: Step) -> Coroutine[Any, Any, Any]:
        context = self._context
        match step:
            case Run():
                return context.run(
                    step.name,
                    self._body(step),
                    retries=step.retries,
                    retry_delay=RETRY_DELAY,
                    flow_control=step.flow,
                )
            case Sleep(until=True):
                return context.sleep_until(step.name, (context.created_at + step.ms) / 1000)
            case Sleep():
                return context.sleep(step.name, step.ms / 1000)
            case Call():
                return _call_value(
                    context.call(
                        step.name,
                        url=f"http://service/{step.answer}/{step.name}",
                        method="POST",
                        body={"run": self._run_id, "pad": "z" * step.size},
                        retries=step.retries,
                        retry_delay=RETRY_DELAY,
                        timeout=2,
                        flow_control=step.flow,
                        raise_for_status=step.answer == "refused",
                        pause_key=step.pause_key,
                    )
                )
            case Wait():
                wait = context.wait_for_event(step.name, step.event, timeout=step.timeout_ms / 1000)
                return _wait_value(wait)
            case Notify():
                return self._notify(step)
            case Invoke():
                child = self._outside.child_payload(step.child)
                own = f"{self._run_id}.{step.name}" if step.own_id else None
                return _invoke_value(
                    context.invoke(
                        step.name, PATH, child, workflow_run_id=own, retry_delay=RETRY_DELAY
                    )
                )
            case Hook():
                return self._hook(step)
            case Cancel():
                return context.cancel()
            case Raise():
                return self._raise(step)

    def _body(self, step: Run) -> Callable[[], Any]:
        watch, run_id = self._watch, self._run_id

        def outcome(attempt: int) -> Any:
            if step.heals and watch.is_healed(run_id):
                return value_of(step)
            if step.how == "final" and step.fails:
                raise WorkflowNonRetryableError(step.name)
            if 0 <= step.fails < attempt and not step.heals:
                return value_of(step)
            if step.how == "later":
                raise WorkflowRetryAfterError(step.name, retry_after=LATER_S)
            raise Raised(step.name)

        def here() -> Any:
            return outcome(watch.body_starts(run_id, step))

        async def on_the_loop() -> Any:
            attempt = watch.body_starts(run_id, step)
            with watch.in_flight(run_id, step):
                await asyncio.sleep(step.ms / 1000)
            return outcome(attempt)

        return here if step.sync else on_the_loop

    def _notify(self, step: Notify) -> Coroutine[Any, Any, Any]:
        target = self._run_id if step.target == "self" else step.target
        data = {"event": step.event}
        asked = self._context.notify(step.name, step.event, data, workflow_run_id=target)

        async def told() -> Any:
            result = await asked
            if result.event_data != data:
                self._watch.violated(f"{step.name} says {result}", self._run_id)
            if target is not None and result.kept == bool(result.notify_response):
                self._watch.violated(f"{step.name}: kept or heard, not {result}", self._run_id)
            return {"event": result.event_id}

        return told()

    async def _hook(self, step: Hook) -> Any:
        context = self._context
        webhook = await context.create_webhook(step.name)
        self.note(step, "created")
        self._outside.webhook_made(self._run_id, webhook, step)
        bodies: list[Any] = []
        for i in range(step.times):
            result = await context.wait_for_webhook(f"{step.name}.{i}", webhook)
            bodies.append(None if result.request is None else result.request.json())
            self.note(step, bodies[-1])
        return bodies

    async def _raise(self, step: Raise) -> None:
        times = self._watch.raised_before(self._run_id, step)
        if step.times < 0 or times < step.times:
            if step.how == "final":
                raise WorkflowNonRetryableError(step.name)
            raise Raised(step.name)


def _plain(body: Any) -> Any:
    return body.hex() if isinstance(body, bytes) else body


async def _call_value(asked: Coroutine[Any, Any, Any]) -> Any:
    response = await asked
    return {"status": response.status, "body": _plain(response.body)}


async def _wait_value(asked: Coroutine[Any, Any, Any]) -> Any:
    result = await asked
    return {"data": result.event_data, "timeout": result.timeout}


async def _invoke_value(asked: Coroutine[Any, Any, Any]) -> Any:
    result = await asked
    body = None if result.body is None else result.body["value"]
    return {"body": body, "failed": result.is_failed, "canceled": result.is_canceled}
