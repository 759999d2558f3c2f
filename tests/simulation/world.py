"""The world around an engine whose process dies: what it sends, sees, counts and demands.

A `Scenario` says what is to happen. `World.play` lets it happen: one process after the other
on one database, each with an engine of its own, until every run has ended; then it looks at
everything that must be true. What an outside caller has not heard an answer to, it does again.
"""

import asyncio
import contextlib
import json
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.durable import PATH, RETRY_DELAY, Durable
from tests.simulation.invariants import leftovers, recorded_steps, stored_problems
from tests.simulation.model import End, OneOf, call_value, expected_end, matches
from tests.simulation.programs import (
    Call,
    Hook,
    Invoke,
    Node,
    Raise,
    Run,
    Wait,
    play,
    steps_of,
)
from workflow_agents import Engine, FlowControl, StoreError, Webhook
from workflow_agents.engine.http_out import HttpRequest, HttpResponse
from workflow_agents.protocol.codec import decode
from workflow_agents.testing.faults import Crash, Database, Faults, FaultyHttp
from workflow_agents.testing.virtual_time import VirtualClock, VirtualLoop, VirtualTime

FAILURE_RETRIES = 3
_PATIENCE_MS = 90_000
"""How long after the beginning everything has to have ended; far longer than it takes."""


class Violation(AssertionError):
    """Something that must always be true was not."""


@dataclass
class Started:
    """A run that somebody outside starts.

    Attributes:
        name: its id.
        program: what it does.
        at_ms: when it is triggered.
        after: it is started when the trigger of this run was acknowledged.
        delay_ms: the trigger asks for a later start.
        cancel_at_ms: when somebody cancels it.
        flow: limits its invocations.
        resume: its dead letter is resumed, and steps that heal succeed then.
        twice: the caller triggers it twice.
    """

    name: str
    program: Node
    at_ms: int = 0
    after: str | None = None
    delay_ms: int = 0
    cancel_at_ms: int | None = None
    flow: FlowControl | None = None
    resume: bool = False
    twice: bool = False


@dataclass
class Scenario:
    """What is to happen.

    Attributes:
        runs: that are started from outside.
        keep_ms: how long the engine keeps tasks of parked runs.
        stops_ms: when the engine is stopped in an orderly way, and started again.
        crashes_ms: when its process dies, whatever it is doing.
        clock: (when, what, milliseconds): "step" or "freeze".
    """

    runs: list[Started]
    keep_ms: int = 0
    stops_ms: list[int] = field(default_factory=list)
    crashes_ms: list[int] = field(default_factory=list)
    clock: list[tuple[int, str, int]] = field(default_factory=list)


@dataclass
class Report:
    """What came of a scenario.

    Attributes:
        ends: of the runs that were started from outside, by id.
        bodies: how often each body ran, by (run id, step).
        met: what the code of each run met after its steps, in order.
        processes: how many there were.
        fired: how often each thing happened that was not a fault of the store or network.
        took_ms: of virtual time.
    """

    ends: dict[str, End]
    bodies: Counter[tuple[str, str]]
    met: dict[str, list[Any]]
    processes: int
    fired: Counter[str]
    took_ms: float


class World:
    """See the module."""

    def __init__(self, scenario: Scenario, faults: Faults | None = None, seed: int = 0) -> None:
        self.scenario = scenario
        self.time = VirtualTime()
        self.clock = VirtualClock(self.time)
        self.met: dict[str, list[Any]] = {}
        self.resumed: set[str] = set()
        self.fired: Counter[str] = Counter()
        self._faults = faults or Faults()
        self._disturbances = [*scenario.clock]
        self._random = random.Random(seed)
        self._database = _empty_database()
        self._programs: list[Node] = []
        self._calls = {s.name: s for run in scenario.runs for s in _calls(run.program)}
        self._keys: dict[str, int] = {}
        self._bodies: Counter[tuple[str, str]] = Counter()
        self._raised: Counter[tuple[str, str]] = Counter()
        self._failure_functions: Counter[str] = Counter()
        self._flying: Counter[str] = Counter()
        self._starts: defaultdict[str, list[float]] = defaultdict(list)
        self._webhooks: dict[str, tuple[str, Hook]] = {}
        self._hooked: Counter[str] = Counter()
        self._calling: dict[str, asyncio.Future[None]] = {}
        self._done: set[tuple[str, str]] = set()
        self._acknowledged: set[str] = set()
        self._canceled: set[str] = set()
        self._histories: dict[str, list[Any]] = {}
        self._problems: list[str] = []
        self._processes = 0
        self._engine: Engine | None = None

    # What happens.

    def play(self) -> Report:
        """Let it happen.

        Raises:
            Violation: something that must be true is not.
        """
        ended = False
        while not ended:
            ended = self._live()
            self._look_at_history()
            if self._problems:
                break
            if self._is_late():
                break
        if not self._problems:
            self._judge()
        if self._problems:
            raise Violation("\n".join(self._problems))
        return Report(
            {run.name: self._end(run.name) for run in self.scenario.runs},
            self._bodies,
            self.met,
            self._processes,
            self.fired,
            self.time.ms,
        )

    def _live(self) -> bool:
        """The life of one process. True: everything has ended, and it stopped in order."""
        self._processes += 1
        self._flying.clear()
        loop = VirtualLoop(self.time)
        loop.set_exception_handler(self._unhandled)
        store = self._database.store(self._faults)
        try:
            engine = self._new_engine(store)
            return loop.run_until_complete(self._process(engine))
        except Crash:
            self.fired["crash"] += 1
            self.time.advance(self._random.choice((0, 0, 5, 700)))
            return False
        finally:
            self._engine = None
            self._database.crash()
            loop.abandon()

    def _new_engine(self, store: Any) -> Engine:
        engine = Engine(
            ":memory:",
            clock=self.clock,
            http=FaultyHttp(self._faults, self._answer),
            seed=self._random.getrandbits(32),
            store=store,
            keep=self.scenario.keep_ms / 1000,
            base_url="http://here",
        )

        async def program(context: Any) -> Any:
            node = self._programs[context.request_payload["program"]]
            return {"value": await play(node, Durable(context, self))}

        engine.add(
            PATH,
            program,
            retries=FAILURE_RETRIES,
            retry_delay=RETRY_DELAY,
            failure_function=self._failed,
        )
        return engine

    async def _process(self, engine: Engine) -> bool:
        loop = asyncio.get_running_loop()
        self._engine = engine
        for at_ms in self.scenario.crashes_ms:
            if at_ms > self.time.ms:
                loop.call_at(at_ms / 1000, self._die)
        for at_ms, what, ms in self._disturbances:
            loop.call_at(at_ms / 1000, self._disturb_clock, at_ms, what, ms)
        self.clock.thaw()
        try:
            await engine.start()
        except Exception:
            # Whoever supervises the process starts it again.
            self.fired["start failed"] += 1
            await asyncio.sleep(0.5)
            return False
        outside = [asyncio.ensure_future(self._start(engine, run)) for run in self.scenario.runs]
        everything = asyncio.gather(*outside)
        self._calling = {event: self._caller(event) for event in self._webhooks}
        stop = min((at for at in self.scenario.stops_ms if at > self.time.ms), default=None)
        try:
            async with asyncio.timeout_at(None if stop is None else stop / 1000):
                await everything
                await self._quiet(engine)
            complete = True
        except TimeoutError:
            complete = False
            self.fired["stop"] += 1
        outside += self._calling.values()
        for task in outside:
            task.cancel()
        await asyncio.gather(*outside, everything, return_exceptions=True)
        await self._stop(engine, complete)
        return complete

    async def _stop(self, engine: Engine, complete: bool) -> None:
        if complete and engine.core.live:
            self._problems.append(f"still in hand: {[*engine.core.live]}")
        await engine.stop()
        # Tasks that were cancelled end within a few turns.
        for _ in range(20):
            await asyncio.sleep(0)
        left = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        if left:
            self._problems.append(f"tasks are left after the stop: {left}")

    def _die(self) -> None:
        raise Crash("at an instant")

    def _disturb_clock(self, at_ms: int, what: str, ms: int) -> None:
        self._disturbances.remove((at_ms, what, ms))
        self.fired[f"clock {what} {ms}"] += 1
        loop = asyncio.get_running_loop()
        if what == "freeze":
            self.clock.freeze()
            loop.call_later(ms / 1000, self.clock.thaw)
        else:
            self.clock.step(ms)

    def _unhandled(self, _loop: Any, context: dict[str, Any]) -> None:
        self._problems.append(f"nobody handled: {context}")

    # Who does something outside.

    async def _start(self, engine: Engine, run: Started) -> None:
        client = engine.client
        await self._at(run.at_ms)
        while run.after is not None and run.after not in self._acknowledged:
            await asyncio.sleep(0.01)

        async def trigger() -> None:
            await client.trigger(
                PATH,
                self.child_payload(run.program),
                workflow_run_id=run.name,
                delay=run.delay_ms / 1000 if run.delay_ms else None,
                flow_control=run.flow,
            )

        await self._once(run.name, "trigger", trigger)
        self._acknowledged.add(run.name)
        if run.twice:
            self.fired["triggered twice"] += 1
            await self._once(run.name, "trigger again", trigger)
        await asyncio.gather(
            self._cancel(engine, run),
            *(
                self._notify(engine, run.name, step)
                for step in steps_of(run.program)
                if isinstance(step, Wait) and step.source in {"run", "everyone"}
            ),
        )
        await self._ended(engine, run.name)
        if run.resume and self._end(run.name).state == "failed":
            await self._resume(engine, run)

    async def _resume(self, engine: Engine, run: Started) -> None:
        resumed = f"{run.name}.resumed"

        async def resume() -> None:
            letters = await engine.client.dlq.list()
            mine = [x for x in letters if x.workflow_run_id == run.name]
            if mine:
                handle = await engine.client.dlq.resume(mine[0].dlq_id)
                self._done.add((resumed, handle.run_id))

        before = {what for who, what in self._done if who == resumed}
        self.resumed |= self._all_ids()
        if not before:
            await self._once(run.name, "resume", resume)
            self.fired["resumed"] += 1

    async def _cancel(self, engine: Engine, run: Started) -> None:
        if run.cancel_at_ms is None:
            return
        await self._at(run.cancel_at_ms)

        async def cancel() -> None:
            await engine.client.cancel(run.name)

        await self._once(run.name, "cancel", cancel)
        self._canceled.add(run.name)
        self.fired["cancel"] += 1

    async def _notify(self, engine: Engine, name: str, step: Wait) -> None:
        await self._at(step.at_ms)
        data = {"event": step.event}
        if step.source == "run":

            async def notify() -> None:
                await engine.client.notify(step.event, data, workflow_run_id=name)

            await self._once(name, f"notify {step.name}", notify)
            self.fired["notify run"] += 1
            return
        while not (self._is_recorded(name, step.name) or self._has_ended(name) or self._is_late()):
            with contextlib.suppress(StoreError):
                await engine.client.notify(step.event, data)
            await asyncio.sleep(0.05)
        self.fired["notify everyone"] += 1

    def _caller(self, event: str) -> asyncio.Future[None]:
        return asyncio.ensure_future(self._call_webhook(event))

    async def _call_webhook(self, event: str) -> None:
        """Call a webhook as often as its program waits for it."""
        run_id, step = self._webhooks[event]
        engine = self._engine
        assert engine is not None
        while self._hooked[event] < step.times and not self._has_ended(run_id):
            await asyncio.sleep(step.ms / 1000)
            body = self._hooked[event] + 1
            request = _request(body)
            with contextlib.suppress(StoreError):
                await engine.receive_webhook(run_id, event, request)
                self._hooked[event] = body
                self.fired["webhook"] += 1

    async def _once(self, who: str, what: str, act: Callable[[], Awaitable[None]]) -> None:
        """Act until it is acknowledged; an answer that was not heard is none."""
        if (who, what) in self._done:
            return
        while True:
            try:
                await act()
            except StoreError:
                await asyncio.sleep(0.3)
                continue
            self._done.add((who, what))
            return

    async def _ended(self, engine: Engine, name: str) -> None:
        while not self._has_ended(name):
            if self._is_late():
                return
            with contextlib.suppress(Exception):
                async with asyncio.timeout(5):
                    await engine.client.run(name).result()
                    return
            await asyncio.sleep(0.02)

    async def _quiet(self, engine: Engine) -> None:
        """Wait until nothing more happens: children, failure functions, kept tasks."""
        while True:
            open_runs = self._database.all("SELECT 1 FROM runs WHERE ended_at IS NULL")
            owed = self._database.all("SELECT 1 FROM deliveries")
            if not open_runs and not owed and not engine.core.live:
                await asyncio.sleep(0.01)
                return
            if self._is_late():
                return
            await asyncio.sleep(0.05)

    async def _at(self, ms: int) -> None:
        await asyncio.sleep(max(0.0, (ms - self.time.ms) / 1000))

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        """The service that `call` steps call."""
        step = self._calls[request.url.rpartition("/")[2]]
        run_id = decode(request.body)["run"]
        self._never_after_the_end(run_id, step.name)
        if request.headers["idempotency-key"] != self._keys_of(run_id, step, request):
            self.violated(f"call {step.name} has another idempotency key", run_id)
        with self.in_flight(run_id, step):
            await asyncio.sleep(step.ms / 1000)
        value = call_value(step)
        if step.answer in {"down", "refused"}:
            return HttpResponse(500, {}, b"down")
        if step.answer == "bytes":
            return HttpResponse(
                200, {"content-type": ["application/octet-stream"]}, bytes(range(256))
            )
        body = json.dumps(value["body"]).encode()
        return HttpResponse(200, {"content-type": ["application/json"]}, body)

    def _keys_of(self, run_id: str, step: Call, request: HttpRequest) -> Any:
        found = request.headers["idempotency-key"]
        return self._keys.setdefault(f"{run_id} {step.name}", found)  # type: ignore[arg-type]

    async def _failed(self, context: Any, status: int, response: str, headers: Any) -> str:
        self._failure_functions[context.workflow_run_id] += 1
        if self._failure_functions[context.workflow_run_id] == 1 and status == 489:
            raise RuntimeError("the first attempt of a failure function")
        return "noted"

    # What programs ask and tell.

    def child_payload(self, program: Node) -> dict[str, int]:
        for i, known in enumerate(self._programs):
            if known is program:
                return {"program": i}
        self._programs.append(program)
        return {"program": len(self._programs) - 1}

    def run_id_of(self, own: str, target: str | None) -> str | None:
        return own if target == "self" else target

    def webhook_made(self, run_id: str, webhook: Webhook, step: Hook) -> None:
        if not webhook.webhook_url.endswith(f"/{run_id}/{webhook.event_id}"):
            self.violated(f"{webhook} is no address of it", run_id)
        event = webhook.event_id
        if event in self._webhooks:
            return
        self._webhooks[event] = (run_id, step)

        def call() -> None:
            self._calling[event] = self._caller(event)

        # Whoever calls is no branch of the workflow.
        asyncio.get_running_loop().call_soon(call, context=Context())

    def raised_before(self, run_id: str, step: Raise) -> int:
        self._raised[run_id, step.name] += 1
        return self._raised[run_id, step.name] - 1

    def body_starts(self, run_id: str, step: Run) -> int:
        """A body starts; how often it has started, this time included."""
        self._bodies[run_id, step.name] += 1
        self._never_after_the_end(run_id, step.name)
        if self._is_recorded(run_id, step.name):
            self.violated(f"the body of {step.name} starts after its result was recorded", run_id)
        if step.flow is not None:
            self._starts_under(run_id, step.flow)
        return self._bodies[run_id, step.name]

    def _never_after_the_end(self, run_id: str, step: str) -> None:
        if run_id in self._canceled:
            self.violated(f"{step} starts after the cancel was acknowledged", run_id)

    def _starts_under(self, run_id: str, flow: FlowControl) -> None:
        if flow.rate is not None and not self.scenario.clock and not self._faults.errors:
            starts = self._starts[flow.key]
            starts.append(self.time.ms)
            within = [at for at in starts if at > self.time.ms - flow.period_ms]
            if len(within) > flow.rate:
                self.violated(f"{len(within)} starts of {flow.key} in a period: {within}", run_id)

    @contextlib.contextmanager
    def in_flight(self, run_id: str, step: Run | Call) -> Iterator[None]:
        """A body or request takes its time."""
        flow = step.flow
        if flow is None:
            yield
            return
        flying, process = self._flying, self._processes
        flying[flow.key] += 1
        if flow.parallelism is not None and flying[flow.key] > flow.parallelism:
            self.violated(f"{flying[flow.key]} of {flow.key} at a time", run_id)
        try:
            yield
        finally:
            if process == self._processes:
                flying[flow.key] -= 1

    def violated(self, what: str, run_id: str) -> None:
        self._problems.append(f"run {run_id}: {what}")

    # What must be true.

    def _look_at_history(self) -> None:
        """What was recorded stays, in its order; more may follow."""
        for run_id, steps in recorded_steps(self._database).items():
            before = self._histories.get(run_id, [])
            if steps[: len(before)] != before:
                self._problems.append(f"run {run_id}: the history {before} became {steps}")
            self._histories[run_id] = steps

    def _judge(self) -> None:
        self._problems += leftovers(self._database)
        self._problems += stored_problems(self._database, self._failure_functions)
        for run in self.scenario.runs:
            expected = expected_end(run.program)
            if run.cancel_at_ms is not None:
                expected = OneOf((expected, End("canceled")))
            found = self._end(run.name)
            if not matches(expected, found):
                self._problems.append(f"run {run.name} ended {found}, expected {expected}")
            self._judge_resumed(run, found)

    def _judge_resumed(self, run: Started, found: End) -> None:
        if not run.resume or found.state != "failed":
            return
        resumed = [what for who, what in self._done if who == f"{run.name}.resumed"]
        expected = expected_end(run.program, healed=True)
        for run_id in resumed:
            if not matches(expected, self._end(run_id)):
                self._problems.append(
                    f"run {run_id} was resumed and ended {self._end(run_id)}, expected {expected}"
                )

    def _is_recorded(self, run_id: str, step: str) -> bool:
        found = self._database.all(
            "SELECT 1 FROM feed f JOIN runs r ON r.id = f.run"
            " WHERE r.run_id = ? AND f.name = ? AND f.mark = 0",
            _prefixed(run_id),
            step,
        )
        return bool(found)

    def _is_late(self) -> bool:
        if self.time.ms > _PATIENCE_MS and not self._problems:
            self._problems.append(f"it does not end: {self._unended()}")
        return self.time.ms > _PATIENCE_MS

    def _has_ended(self, name: str) -> bool:
        rows = self._database.all(
            "SELECT 1 FROM runs WHERE run_id = ? AND ended_at IS NOT NULL", _prefixed(name)
        )
        return bool(rows)

    def _unended(self) -> list[Any]:
        return (
            self._database.all(
                "SELECT run_id, phase, due_at, token, wakes FROM runs WHERE ended_at IS NULL"
            )
            + self._database.all("SELECT * FROM waiters")
            + self._database.all(
                "SELECT id, run, step, kind, leased, due_at, attempt FROM deliveries"
            )
        )

    def _all_ids(self) -> set[str]:
        return {row[0] for row in self._database.all("SELECT run_id FROM runs")}

    def _end(self, name: str) -> End:
        rows = self._database.all(
            "SELECT phase, result FROM runs WHERE run_id = ?", _prefixed(name)
        )
        if not rows:
            return End("missing")
        phase, result = rows[0]
        if phase == 10:
            return End("success", decode(result)["value"])
        if phase == 11:
            return End("failed", _failure(decode(result)))
        return End("canceled" if phase == 12 else f"phase {phase}")


def _failure(data: dict[str, Any]) -> Any:
    """A stored failure as `programs.caught` has it."""
    detail = data.get("detail")
    if detail and detail["code"] == "WA206":
        step = detail["where"].split("'")[1]
        return {"step": step, "error": data["error"], "status": data["status"]}
    if data["error"] in {"Raised", "WorkflowNonRetryableError"}:
        return data["message"]
    return data


def _prefixed(name: str) -> str:
    return name if name.startswith("wfr_") else f"wfr_{name}"


def _calls(node: Node) -> Iterator[Call]:
    for step in steps_of(node):
        if isinstance(step, Call):
            yield step
        elif isinstance(step, Invoke):
            yield from _calls(step.child)


def _request(body: int) -> dict[str, Any]:
    import base64

    return {
        "method": "POST",
        "header": {},
        "body": base64.b64encode(json.dumps(body).encode()).decode(),
        "proto": "http",
        "host": "here",
        "url": "/",
    }


_database: Database | None = None
_template: bytes = b""


def _empty_database() -> Database:
    """A database with nothing in it; one connection serves all scenarios of the process."""
    global _database, _template
    if _database is None:
        _database = Database()
        store = _database.store(Faults())
        store.open()
        store.close()
        _database.crash()
        _template = _database.snapshot()
    _database.restore(_template)
    return _database
