"""Every error as people read it: five parts, a code that stands for one thing, 15 lines at most.

The first half looks at the catalogue; the second makes users' mistakes, each in the way in which
it is usually made, and reads what they are told.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from workflow_agents import (
    Agent,
    AsyncClient,
    AsyncWorkflowContext,
    Conversation,
    Engine,
    FlowControl,
    GuardrailTripped,
    HistoryMismatch,
    Limits,
    OpenAIModel,
    OutputMismatch,
    Price,
    StepFailed,
    UsageLimitExceeded,
    UsageLimits,
    WorkflowAgentsError,
    WorkflowNonRetryableError,
    WorkflowRetryAfterError,
    mcp_server,
    messages_from_json,
    tool,
    workflow_tool,
)
from workflow_agents.agents.messages import ToolMessage
from workflow_agents.agents.tool_calls import check_errors
from workflow_agents.agents.tools import toolset
from workflow_agents.error_codes import CODES, ErrorCode
from workflow_agents.fastapi import Serve
from workflow_agents.protocol.approvals import Request, approval_id

PACKAGE = Path(__file__).parents[1] / "workflow_agents"
RESERVED = {"WA207", "WA210"}
"""Codes that have a meaning and are raised by nothing yet."""


@pytest.mark.parametrize("entry", CODES.values(), ids=lambda entry: entry.code)
def test_an_entry_of_the_catalogue_is_complete(entry: ErrorCode) -> None:
    assert re.fullmatch(r"WA[1-7]\d\d", entry.code)
    assert entry.title[0].islower() or entry.title.split()[0].isupper()
    assert not entry.title.endswith(".")
    assert entry.why
    assert not entry.why.endswith(".")
    assert entry.fix
    assert all(entry.fix)
    blamed = " ".join((entry.title, entry.why, *entry.fix)).lower()
    assert not re.search(r"\b(illegal|invalid|you (?:must|should)|forbidden|fatal)\b", blamed)


@pytest.mark.parametrize("code", CODES)
def test_an_error_fits_a_terminal(code: str) -> None:
    assert_readable(WorkflowAgentsError(code, found="expected this, found that"))


@pytest.mark.parametrize("code", sorted(CODES.keys() - RESERVED))
def test_a_code_is_raised_somewhere(code: str) -> None:
    sources = [path for path in PACKAGE.rglob("*.py") if path.name != "error_codes.py"]
    raising = re.compile(rf'["\']{code}\b')

    assert any(raising.search(path.read_text("utf-8")) for path in sources)


def test_reserved_codes_are_raised_by_nothing() -> None:
    text = "".join(
        p.read_text("utf-8") for p in PACKAGE.rglob("*.py") if p.name != "error_codes.py"
    )

    assert [code for code in sorted(RESERVED) if f'"{code}"' in text] == []


def test_a_long_error_is_shortened_and_its_attributes_are_not() -> None:
    error = StepFailed("charge", "ValueError", "no " * 2_000, attempts=4)

    assert_readable(error)
    assert error.message == "no " * 2_000


def test_the_parts_come_in_one_order() -> None:
    error = WorkflowAgentsError(
        "WA201", where="app.py:41", found=("expected a", "found b"), run_id="wfr_8f2"
    )

    assert str(error).splitlines()[:6] == [
        "WA201  a step changed while this run was in progress",
        "  run    wfr_8f2",
        "  where  app.py:41",
        "  found  expected a",
        "         found b",
        "  why    finished steps are matched by place and name; this run began with other code",
    ]
    assert list(error.as_dict()) == ["code", "what", "where", "found", "why", "fix", "runId"]


def test_where_is_a_line_of_the_user() -> None:
    with pytest.raises(WorkflowAgentsError) as raised:
        FlowControl("a b", rate=1)

    assert re.fullmatch(r"tests/test_errors\.py:\d+", raised.value.where)


def test_control_errors_say_what_they_were_given() -> None:
    assert str(WorkflowNonRetryableError("no such account")) == "no such account"
    later = WorkflowRetryAfterError("closed", retry_after="5m")
    assert (str(later), later.retry_after) == ("closed", "5m")


def test_a_mismatch_names_both_sides() -> None:
    mismatch = HistoryMismatch("step 3", "run 'reserve'", "run 'charge'", run_id="wfr_8f2")

    assert (mismatch.expected, mismatch.asked) == ("run 'reserve'", "run 'charge'")
    assert_readable(mismatch)


def assert_readable(error: WorkflowAgentsError) -> None:
    assert error.code in CODES
    lines = str(error).splitlines()
    assert len(lines) <= 15
    assert max(map(len, lines)) <= 100
    for part in (error.what, error.where, error.found, error.why, error.fix):
        assert part, f"a part is missing:\n{error}"


# mistakes: where workflows are served


async def step_once(context: AsyncWorkflowContext[Any]) -> None:
    await context.run("step", lambda: 1)


def served(**options: Any) -> Callable[[], object]:
    return lambda: Engine(":memory:").add("/x", step_once, **options)


def routed(path: Any = "/x", **options: Any) -> Callable[[], object]:
    return lambda: Serve(FastAPI(), engine=Engine(":memory:")).post(path, **options)(step_once)


def generates(context: Any) -> Iterator[int]:
    yield 1


def wants_await(context: AsyncWorkflowContext[Any]) -> None: ...


def two_under_one_path() -> None:
    engine = Engine(":memory:")
    engine.add("/x", step_once)
    engine.add("/x", step_once)


@pytest.mark.parametrize(
    ("code", "mistake"),
    [
        ("WA101", served(retrys=3)),
        ("WA101", routed(failure_fn=print)),
        ("WA101", lambda: Engine(":memory:", sync="FULL")),
        ("WA101", lambda: Serve(FastAPI(), path="x.db")),
        ("WA102", served(retries="3")),
        ("WA102", served(retries=-1)),
        ("WA102", served(retries=True)),
        ("WA102", served(retries=1_001)),
        ("WA102", served(flow_control={"key": "a", "rate": 1})),
        ("WA102", served(label=3)),
        ("WA102", served(label=["a", 3])),
        ("WA102", served(label="")),
        ("WA102", served(failure_function="notify_me")),
        ("WA102", served(failure_url="example.com/failed")),
        ("WA102", served(failure_url=3)),
        ("WA102", served(schema=3)),
        ("WA102", served(schema=dict, initial_payload_parser=print)),
        ("WA102", served(initial_payload_parser={})),
        ("WA102", served(env="PRODUCTION")),
        ("WA102", served(redact="body")),
        ("WA102", served(redact={"payload": True})),
        ("WA102", lambda: Engine(":memory:").add("/x", generates)),
        ("WA102", lambda: Engine(":memory:").add("/x", wants_await)),
        ("WA107", lambda: Engine(":memory:").add_agent("/x")),
        ("WA102", lambda: Engine(":memory:").add("", step_once)),
        ("WA102", lambda: Engine(":memory:").add(None, step_once)),
        ("WA102", routed("orders")),
        ("WA102", routed(receiver="sig_key")),
        ("WA102", lambda: Serve("app")),
        ("WA102", lambda: Engine(Path("x.db"))),
        ("WA102", lambda: Engine(":memory:", synchronous="fast")),
        ("WA102", lambda: Engine(":memory:", limits={"steps": 3})),
        ("WA103", lambda: Engine(":memory:", retention="a month")),
        ("WA103", lambda: Engine(":memory:", keep=-1)),
        ("WA104", served(retry_delay="1000 * retires")),
        ("WA104", served(retry_delay="__import__('os').getcwd()")),
        ("WA104", served(retry_delay="")),
        ("WA104", served(retry_delay=1_000)),
        ("WA105", lambda: FlowControl("openai")),
        ("WA105", lambda: FlowControl("openai", rate=0)),
        ("WA105", lambda: FlowControl("openai", parallelism="3")),
        ("WA105", lambda: FlowControl("openai", rate=1, period="a while")),
        ("WA102", routed(qstash_client=object())),
        ("WA106", lambda: AsyncClient(token="")),
        ("WA110", two_under_one_path),
        ("WA504", lambda: FlowControl("open ai", rate=1)),
    ],
)
def test_a_mistake_where_workflows_are_served(code: str, mistake: Callable[[], object]) -> None:
    with pytest.raises(WorkflowAgentsError) as raised:
        mistake()

    assert raised.value.code == code
    assert_readable(raised.value)


def test_a_server_without_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QSTASH_URL", "https://qstash.example.com")
    monkeypatch.delenv("QSTASH_TOKEN", raising=False)

    with pytest.raises(WorkflowAgentsError, match=r"WA106(?s:.*)QSTASH_URL is set") as raised:
        Serve(FastAPI())
    assert_readable(raised.value)
    Serve(FastAPI(), engine=Engine(":memory:"))  # an engine that is given is meant


async def test_a_server_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflow_agents.qstash.connection._RETRIES", 0)
    async with AsyncClient("token", base_url="http://127.0.0.1:9") as client:
        with pytest.raises(WorkflowAgentsError, match="WA303") as raised:
            await client.trigger("https://my-app.com/")
    assert_readable(raised.value)


def test_an_unknown_option_names_the_nearest() -> None:
    with pytest.raises(WorkflowAgentsError) as raised:
        served(retrys=3)()

    assert raised.value.fix == ("did you mean 'retries'?",)
    assert "failure_function" in raised.value.found[0]


# mistakes: where agents are made; how they stop


MODEL = OpenAIModel("gpt-4o")


@pytest.mark.parametrize(
    ("code", "mistake"),
    [
        ("WA702", lambda: Agent(model=MODEL, name="a", output_type=object())),
        ("WA702", lambda: Agent(model=MODEL, name="a", output_retries=-1)),
        ("WA702", lambda: Agent(model=MODEL, name="a", handoffs=["billing"])),
        ("WA702", lambda: Agent(model=MODEL, name="a", input_guardrails=["no secrets"])),
        ("WA702", lambda: Agent(model=MODEL, name="a", limits={"steps": 3})),
        ("WA702", lambda: UsageLimits(total_tokens=-1)),
        ("WA702", lambda: UsageLimits(on_breach="ask")),
        ("WA702", lambda: Price(input="cheap", output=1)),
        ("WA702", lambda: Conversation("")),
        ("WA702", lambda: messages_from_json([{"role": "robot"}])),
    ],
)
def test_a_mistake_where_an_agent_is_made(code: str, mistake: Callable[[], object]) -> None:
    with pytest.raises(WorkflowAgentsError) as raised:
        mistake()

    assert raised.value.code == code
    assert_readable(raised.value)


@pytest.mark.parametrize(
    "error",
    [
        OutputMismatch("writer", "no JSON " * 100, "Invalid JSON", 3),
        GuardrailTripped("it holds a secret", guardrail="no_secrets", agent="writer"),
        GuardrailTripped("never"),
        UsageLimitExceeded("total_tokens", 100, 120, "the task", None, "too dear"),
    ],
)
def test_how_an_agent_stops_is_readable(error: WorkflowAgentsError) -> None:
    assert_readable(error)


# mistakes: where runs are started and followed


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    engine = Engine(":memory:", limits=Limits(payload_bytes=1_000, result_bytes=2_000, steps=20))
    engine.add("/x", step_once)
    async with engine:
        yield engine


@pytest.mark.parametrize(
    ("code", "mistake"),
    [
        ("WA101", lambda c: c.trigger("/x", workflow_id="1")),
        ("WA101", lambda c: c.trigger_many([{"workflow": "/x", "retrys": 1}])),
        ("WA101", lambda c: c.dlq.resume("1-1", retrys=1)),
        ("WA102", lambda c: c.trigger("/x", retries=1.5)),
        ("WA102", lambda c: c.trigger("/x", headers=["x-a"])),
        ("WA102", lambda c: c.trigger("/x", headers={"x a": "1"})),
        ("WA102", lambda c: c.trigger("/x", headers={"x-a": "1\nx-b: 2"})),
        ("WA102", lambda c: c.trigger("/x", headers={"x-a": 1})),
        ("WA102", lambda c: c.trigger("/x", headers={1: "x"})),
        ("WA102", lambda c: c.trigger("/x", not_before="tomorrow")),
        ("WA102", lambda c: c.trigger("/x", not_before=1_700_000_000_000)),
        ("WA102", lambda c: c.trigger("/x", delay=1, not_before=1)),
        ("WA102", lambda c: c.logs(state="RUNNING")),
        ("WA102", lambda c: c.logs(limit="all")),
        ("WA103", lambda c: c.trigger("/x", delay="soon")),
        ("WA103", lambda c: c.trigger("/x", delay=-1)),
        ("WA104", lambda c: c.trigger("/x", retry_delay="retries * 2")),
        ("WA107", lambda c: c.trigger("/y")),
        ("WA107", lambda c: c.trigger("https://example.com/y")),
        ("WA107", lambda c: c.trigger(step_once)),
        ("WA107", lambda c: c.logs(workflow=3)),
        ("WA204", lambda c: c.trigger("/x", {1, 2})),
        ("WA204", lambda c: c.notify("event", float("nan"))),
        ("WA501", lambda c: c.trigger("/x", "x" * 1_001)),
        ("WA501", lambda c: c.notify("event", "x" * 1_001)),
        ("WA504", lambda c: c.trigger("/x", workflow_run_id="order 7")),
        ("WA504", lambda c: c.trigger("/x", workflow_run_id="")),
        ("WA504", lambda c: c.trigger("/x", workflow_run_id="7" * 300)),
        ("WA504", lambda c: c.notify("")),
        ("WA504", lambda c: c.notify(7)),
        ("WA504", lambda c: c.conversations.get("")),
        ("WA504", lambda c: c.conversations.delete("a\nb")),
        ("WA102", lambda c: c.conversations.get("user-1", last=0)),
        ("WA102", lambda c: c.conversations.list(limit="all")),
        ("WA606", lambda c: c.log("wfr_none")),
        ("WA606", lambda c: c.cancel("wfr_none")),
        ("WA606", lambda c: c.handle("wfr_none").result()),
        ("WA606", lambda c: c.handle("wfr_none").fork("step")),
        ("WA101", lambda c: c.handle("wfr_none").fork(payload=1)),
        ("WA102", lambda c: c.handle("wfr_none").fork(result=1)),
        ("WA204", lambda c: c.handle("wfr_none").fork("step", result={1})),
        ("WA606", lambda c: c.notify("event", workflow_run_id="wfr_none")),
        ("WA607", lambda c: c.dlq.get("none")),
        ("WA607", lambda c: c.dlq.resume("none")),
        ("WA607", lambda c: c.dlq.delete("none")),
        ("WA101", lambda c: c.approvals.approve("approval:wfr_none:1", args={})),
        ("WA102", lambda c: c.approvals.reject(7)),
        ("WA609", lambda c: c.approvals.get("none")),
        ("WA609", lambda c: c.approvals.approve("approval:wfr_none:1")),
    ],
)
async def test_a_mistake_where_runs_are_started(
    engine: Engine, code: str, mistake: Callable[[AsyncClient], Any]
) -> None:
    with pytest.raises(WorkflowAgentsError) as raised:
        await mistake(engine.client)

    assert raised.value.code == code
    assert_readable(raised.value)
    assert await engine.client.logs() == []


async def test_an_engine_that_does_not_run() -> None:
    engine = Engine(":memory:")
    engine.add("/x", step_once)

    with pytest.raises(WorkflowAgentsError) as raised:
        await engine.client.trigger("/x")
    assert raised.value.code == "WA111"
    assert_readable(raised.value)


async def test_a_synchronous_call_on_the_loop_that_has_to_answer(engine: Engine) -> None:
    with pytest.raises(WorkflowAgentsError) as raised:
        engine.run_sync("/x")
    assert raised.value.code == "WA112"
    assert_readable(raised.value)


async def test_an_engine_that_runs_already(engine: Engine) -> None:
    with pytest.raises(WorkflowAgentsError) as raised:
        await engine.start()
    assert raised.value.code == "WA608"
    assert_readable(raised.value)


async def test_a_run_without_a_result(engine: Engine) -> None:
    async def fails(context: AsyncWorkflowContext[Any]) -> None:
        raise WorkflowNonRetryableError("no such account")

    engine.add("/fails", fails)
    run = await engine.client.trigger("/fails")

    with pytest.raises(WorkflowAgentsError, match="no such account") as raised:
        await run.result()
    assert raised.value.code == "WA608"
    assert_readable(raised.value)


# mistakes: in the workflow function


async def nested(context: AsyncWorkflowContext[Any]) -> None:
    await context.run("inner", lambda: 1)


async def huge() -> str:
    return "x" * 2_000


def called_in_place_of_passed(context: AsyncWorkflowContext[Any]) -> Any:
    coroutine = huge()
    try:
        return context.run("step", coroutine)
    finally:
        coroutine.close()


async def not_json() -> Any:
    return {"when": {1, 2}}


@pytest.mark.parametrize(
    ("code", "mistake"),
    [
        ("WA101", lambda c: c.run("step", huge, retry=1)),
        ("WA101", lambda c: c.call("step", url="http://127.0.0.1/", json={})),
        ("WA101", lambda c: c.invoke("step", "/x", payload={})),
        ("WA101", lambda c: c.wait_for_event("step", "event", timeout_s=1)),
        ("WA102", called_in_place_of_passed),
        ("WA102", lambda c: c.run("step", "huge")),
        ("WA102", lambda c: c.run("step", huge, retries="3")),
        ("WA102", lambda c: c.run("step", huge, flow_control="openai")),
        ("WA102", lambda c: c.call("step", url="http://127.0.0.1/", method=3)),
        ("WA102", lambda c: c.call("step", url="http://127.0.0.1/", method="G E T")),
        ("WA102", lambda c: c.call("step", url="http://127.0.0.1/", headers=["x"])),
        ("WA102", lambda c: c.call("step", url="http://127.0.0.1/", flow_control=3)),
        ("WA102", lambda c: c.invoke("step", "/x", headers={"a b": "c"})),
        ("WA102", lambda c: c.sleep_until("step", "tomorrow")),
        ("WA102", lambda c: c.wait_for_webhook("step", "https://example.com/hook")),
        ("WA103", lambda c: c.sleep("step", "soon")),
        ("WA103", lambda c: c.sleep("step", -1)),
        ("WA103", lambda c: c.wait_for_event("step", "event", timeout="soon")),
        ("WA104", lambda c: c.run("step", huge, retry_delay="sooner")),
        ("WA107", lambda c: c.invoke("step", step_once)),
        ("WA107", lambda c: c.invoke("step", "/y")),
        ("WA202", lambda c: c.run("", huge)),
        ("WA202", lambda c: c.run(None, huge)),
        ("WA202", lambda c: c.sleep(30, "30s")),
        ("WA203", lambda c: c.run("step", lambda: nested(c), retries=0)),
        ("WA204", lambda c: c.run("step", not_json, retries=0)),
        ("WA204", lambda c: c.call("step", url="http://127.0.0.1/", body={1})),
        ("WA204", lambda c: c.invoke("step", "/x", {1})),
        ("WA204", lambda c: c.wait_for_event("step", "event", details={1})),
        ("WA302", lambda c: c.call("step", url="127.0.0.1/path")),
        ("WA302", lambda c: c.call("step", url="ftp://127.0.0.1/path")),
        ("WA302", lambda c: c.call("step", url="http://me:secret@127.0.0.1/path")),
        ("WA502", lambda c: c.run("step", huge, retries=0)),
        ("WA504", lambda c: c.wait_for_event("step", "")),
        ("WA101", lambda c: c.recall("step", "user-1", limit=3)),
        ("WA102", lambda c: c.recall("step", "user-1", last=0)),
        ("WA204", lambda c: c.remember("step", "user-1", [{1}])),
        ("WA504", lambda c: c.recall("step", "")),
        ("WA504", lambda c: c.remember("step", 7, [])),
        ("WA504", lambda c: c.notify("step", "event", workflow_run_id=7)),
    ],
)
async def test_a_mistake_in_the_workflow_function(
    engine: Engine, code: str, mistake: Callable[[AsyncWorkflowContext[Any]], Any]
) -> None:
    """It is raised where it was made, and leaves the run as it was: the next step works."""
    raised: list[WorkflowAgentsError] = []

    async def mistaken(context: AsyncWorkflowContext[Any]) -> str:
        try:
            await mistake(context)
        except WorkflowAgentsError as error:
            raised.append(error)
        return await context.run("next", lambda: "went on")

    engine.add("/mistaken", mistaken)
    run = await engine.client.trigger("/mistaken")

    async with asyncio.timeout(10):
        assert await run.result() == "went on"
    [error] = raised
    if isinstance(error, StepFailed):
        assert error.message.startswith(code)
        [step] = [s for s in (await run.log()).steps if s.state == "STEP_FAILED"]
        assert step.retries == 0
        detail = step.out["detail"]
        assert detail["code"] == code
        assert all(detail[part] for part in ("what", "where", "found", "why", "fix"))
    else:
        assert error.code == code
        assert_readable(error)


@pytest.mark.parametrize(
    ("code", "status", "payload"),
    [("WA205", 422, b'{"items": "many"}'), ("WA501", 413, b"x" * 1_001)],
)
async def test_a_payload_that_is_refused_over_http(
    engine: Engine, code: str, status: int, payload: bytes
) -> None:
    import httpx2
    from pydantic import BaseModel

    class Order(BaseModel):
        items: int

    app = FastAPI()

    @Serve(app, engine=engine).post("/orders")
    async def orders(context: AsyncWorkflowContext[Order]) -> None: ...

    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://shop") as http:
        answer = await http.post("/orders", content=payload)

    assert answer.status_code == status
    told = answer.json()
    told = told.get("detail", told)
    assert told["code"] == code
    assert all(told[part] for part in ("what", "where", "found", "why", "fix"))
    assert await engine.client.logs() == []


async def test_too_many_steps_end_the_run(engine: Engine) -> None:
    async def endless(context: AsyncWorkflowContext[Any]) -> None:
        while True:
            await context.run("again", lambda: 1)

    engine.add("/endless", endless)
    run = await engine.client.trigger("/endless")

    with pytest.raises(WorkflowAgentsError, match="WA503"):
        await run.result()
    log = await run.log()
    assert len(log.steps) == 20
    assert log.failure is not None
    assert log.failure["attempts"] == 1


async def test_a_context_that_outlives_its_function(engine: Engine) -> None:
    kept: list[AsyncWorkflowContext[Any]] = []

    async def keeps(context: AsyncWorkflowContext[Any]) -> None:
        kept.append(context)
        await context.run("step", lambda: 1)

    engine.add("/keeps", keeps)
    await (await engine.client.trigger("/keeps")).result()

    with pytest.raises(WorkflowAgentsError) as raised:
        await kept[0].run("step", lambda: 1)
    assert raised.value.code == "WA208"
    assert_readable(raised.value)


# mistakes: about tools and approvals


def untyped(city):  # type: ignore[no-untyped-def]
    """A city."""


def weather(city: str) -> str:
    """The weather of a city."""
    return city


@pytest.mark.parametrize(
    ("code", "mistake"),
    [
        ("WA101", lambda: tool(retrys=1)(weather)),
        ("WA101", lambda: mcp_server("npx", retrys=1)),
        ("WA102", lambda: tool(retries=-1)(weather)),
        ("WA102", lambda: mcp_server("ftp://example.com")),
        ("WA103", lambda: tool(timeout="soon")(weather)),
        ("WA104", lambda: tool(retry_delay="sooner")(weather)),
        ("WA701", lambda: tool(untyped)),
        ("WA701", lambda: workflow_tool("/x", description="d", schema={"type": "string"})),
        ("WA701", lambda: workflow_tool("/x", description="", schema={"type": "object"})),
    ],
)
def test_a_mistake_where_a_tool_is_made(code: str, mistake: Callable[[], Any]) -> None:
    with pytest.raises(WorkflowAgentsError) as raised:
        mistake()

    assert raised.value.code == code
    assert_readable(raised.value)


async def test_edited_arguments_that_do_not_fit(engine: Engine) -> None:
    request = Request(
        kind="approval",
        agent="clerk",
        tool="refund",
        tool_call_id="call_1",
        description="Refunds.",
        arguments={"amount": 5},
        schema={"type": "object", "properties": {"amount": {"type": "integer"}}},
    )

    async def waits(context: AsyncWorkflowContext[Any]) -> None:
        event = approval_id(context.workflow_run_id, 1)
        await context.wait_for_event("wait", event, details=request.to_json())

    engine.add("/waits", waits)
    run = await engine.client.trigger("/waits")
    async for entry in run.feed():
        if entry.kind == "STEP_WAITING":
            break
    [approval] = await engine.client.approvals.list()

    with pytest.raises(WorkflowAgentsError) as raised:
        await engine.client.approvals.approve(approval, arguments={"amount": "x"})
    assert raised.value.code == "WA610"
    assert_readable(raised.value)
    with pytest.raises(WorkflowAgentsError) as raised:
        await engine.client.approvals.resolve(approval)
    assert raised.value.code == "WA608"
    assert_readable(raised.value)


def test_a_tool_that_fails_too_often() -> None:
    made = toolset([tool(max_errors=1)(weather)])
    failed = ToolMessage("call_1", "weather", "Error: no weather", is_error=True)

    with pytest.raises(WorkflowAgentsError) as raised:
        check_errors([failed], made, "forecaster")  # pyright: ignore[reportArgumentType]
    assert raised.value.code == "WA706"
    assert_readable(raised.value)
