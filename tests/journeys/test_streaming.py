"""The words of a model reach whoever listens, while the reply is a durable step like any other."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.server.reading import StreamReader
from tests.wire.conftest import AppOnLoopback
from workflow_agents import (
    AsyncRunHandle,
    AsyncWorkflowContext,
    Engine,
    FeedEntry,
    Limits,
    StepFailed,
    StoreError,
    StreamEnded,
    StreamGap,
    StreamRestarted,
    StreamStarted,
    TextDelta,
    ToolCallDelta,
    agent_workflow,
)
from workflow_agents.operations import EventStream
from workflow_agents.testing.model_server import CallTools, Error, Say, ScriptedModel

PATIENCE_S = 30
KEY = {"authorization": "Bearer sk-test"}
ASKED: dict[str, dict[str, Any]] = {
    "chat.completions": {
        "url": "/v1/chat/completions",
        "body": {
            "model": "m",
            "messages": [{"role": "user", "content": "Weather in Oslo?"}],
        },
        "headers": KEY,
    },
    "responses": {
        "url": "/v1/responses",
        "body": {"model": "m", "input": "Weather in Oslo?"},
        "headers": KEY,
    },
    "anthropic.messages": {
        "url": "/v1/messages",
        "body": {
            "model": "m",
            "max_tokens": 99,
            "messages": [{"role": "user", "content": "Weather in Oslo?"}],
        },
        "headers": {**KEY, "anthropic-version": "2023-06-01"},
    },
}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS: dict[str, Any] = {
    "chat.completions": {
        "type": "function",
        "function": {"name": "weather", "parameters": SCHEMA},
    },
    "responses": {"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False},
    "anthropic.messages": {"name": "weather", "input_schema": SCHEMA},
}


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel() as scripted:
        yield scripted


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


@pytest.fixture
async def engine(store: Path, model: ScriptedModel) -> AsyncIterator[Engine]:
    async with talking(Engine(str(store)), model) as engine:
        yield engine


def talking(engine: Engine, model: ScriptedModel, retries: int = 2) -> Engine:
    """Serve "/talk" on it: one streamed reply in the format of the payload."""

    @engine.workflow("/talk")
    async def talk(context: AsyncWorkflowContext[dict[str, Any]]) -> Any:
        told = context.request_payload
        asked = ASKED[told["format"]]
        body = {"stream": told.get("stream", True), **asked["body"]}
        if body["stream"] and told["format"] == "chat.completions":
            body["stream_options"] = {"include_usage": True}
        if told.get("tools"):
            body["tools"] = [TOOLS[told["format"]]]
        answer = await context.call(
            "Ask",
            url=model.anthropic_url + asked["url"],
            method="POST",
            headers=asked["headers"],
            body=body,
            retries=retries,
            retry_delay="0",
            raise_for_status=True,
            stream=told["format"],
        )
        return answer.body

    return engine


async def start(engine: Engine, stream_format: str = "chat.completions", **more: Any) -> Any:
    return await engine.client.trigger("/talk", {"format": stream_format, **more})


async def heard(run: AsyncRunHandle) -> list[Any]:
    """Everything that a listener hears of a run, without its feed."""
    async with asyncio.timeout(PATIENCE_S):
        return [event async for event in run.stream() if not isinstance(event, FeedEntry)]


async def until(events: AsyncIterator[Any], wanted: Any) -> list[Any]:
    """What comes up to an event."""
    found: list[Any] = []
    async with asyncio.timeout(PATIENCE_S):
        async for event in events:
            found.append(event)
            if event == wanted or (isinstance(wanted, type) and isinstance(event, wanted)):
                return found
    raise AssertionError(f"it ended without {wanted}: {found}")


def anonymous(reply: Any) -> Any:
    """A reply without its ids, which count up."""
    if isinstance(reply, dict):
        return {name: anonymous(value) for name, value in reply.items() if name != "id"}
    return [anonymous(item) for item in reply] if isinstance(reply, list) else reply


def said(events: list[Any]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize("stream_format", ASKED)
async def test_words_reach_a_listener_and_the_whole_reply_is_the_result(
    engine: Engine, model: ScriptedModel, stream_format: str
) -> None:
    for _ in range(2):
        model.say("It is cold.", usage=(20, 4))
    run = await start(engine, stream_format)
    streamed = await run.result()
    whole = await (await start(engine, stream_format, stream=False)).result()

    assert "It is cold." in str(streamed)
    assert anonymous(streamed) == anonymous(whole)
    assert [request.streams for request in model.requests] == [True, False]
    [step] = (await run.log()).steps
    assert step.out["header"]["content-type"] == ["application/json"]


@pytest.mark.parametrize("stream_format", ASKED)
async def test_a_listener_hears_each_word_and_the_feed_in_between(
    engine: Engine, model: ScriptedModel, stream_format: str
) -> None:
    go_on = threading.Event()
    model.sent(Say("It is very cold."), held=go_on, after=1)
    run = await start(engine, stream_format)
    stream = run.stream()
    before = await until(stream, StreamStarted)
    go_on.set()
    events = await until(stream, StreamEnded)
    after = [event async for event in stream]

    assert [entry.kind for entry in before[:-1]] == ["RUN_STARTED", "STEP_WAITING"]
    assert before[-1] == StreamStarted(1, "Ask", 1)
    assert events[:-1] == [TextDelta(1, "Ask", w) for w in ("It ", "is ", "very ", "cold.")]
    assert events[-1] == StreamEnded(1, "Ask", ok=True)
    assert [entry.kind for entry in after] == ["STEP_SUCCESS", "RUN_SUCCESS"]


@pytest.mark.parametrize("stream_format", ASKED)
async def test_tool_calls_come_in_pieces(
    engine: Engine, model: ScriptedModel, stream_format: str
) -> None:
    go_on = threading.Event()
    calls = CallTools((("weather", {"city": "Oslo"}), ("weather", {"city": "Bergen"})), text="Hm.")
    model.sent(calls, held=go_on, after=1)
    run = await start(engine, stream_format, tools=True)
    stream = run.stream()
    await until(stream, StreamStarted)
    go_on.set()
    events = await until(stream, StreamEnded)

    pieces = [event for event in events if isinstance(event, ToolCallDelta)]
    arguments = {i: "".join(p.arguments for p in pieces if p.index == i) for i in (0, 1)}
    assert arguments == {0: '{"city": "Oslo"}', 1: '{"city": "Bergen"}'}
    assert {(p.index, p.tool) for p in pieces} == {(0, "weather"), (1, "weather")}
    assert len({p.call_id for p in pieces}) == 2
    assert len(pieces) > 4
    assert said(events) == "Hm."
    assert "Bergen" in str(await run.result())


@pytest.mark.parametrize("api", ["chat.completions", "responses", "anthropic"])
async def test_an_agent_that_streams(
    engine: Engine, model: ScriptedModel, monkeypatch: pytest.MonkeyPatch, api: Any
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant")
    go_on = threading.Event()

    def weather(city: str) -> str:
        """Tell the weather of a city."""
        return f"It is cold in {city}."

    @engine.workflow("/advice")
    async def advice(context: AsyncWorkflowContext[Any]) -> str:
        agents = agent_workflow(context)
        if api == "anthropic":
            llm = agents.anthropic("claude", base_url=model.anthropic_url, stream=True)
        else:
            llm = agents.openai("gpt-4o", base_url=model.base_url, api=api, stream=True)
        one = agents.agent(model=llm, name="forecaster", background="You know.", tools=[weather])
        return (await agents.task(agent=one, prompt="Cold in Oslo?").run()).text

    model.sent(CallTools((("weather", {"city": "Oslo"}),)), held=go_on, after=1)
    model.say("Yes, very cold.")
    run = await engine.client.trigger(advice)
    stream = run.stream()
    events = await until(stream, StreamStarted)
    go_on.set()
    events += [event async for event in stream]

    assert await run.result() == "Yes, very cold."
    pieces = [event for event in events if isinstance(event, ToolCallDelta)]
    assert "".join(piece.arguments for piece in pieces) == '{"city": "Oslo"}'
    assert said(events) == "Yes, very cold."
    told = [e.name for e in events if isinstance(e, StreamStarted)]
    assert told == ["Call Agent forecaster"] * 2
    model.assert_done()


async def test_agents_of_one_provider_wait_together(
    engine: Engine, model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")

    @engine.workflow("/advice", retries=0)
    async def advice(context: AsyncWorkflowContext[Any]) -> str:
        agents = agent_workflow(context)
        llm = agents.openai("gpt-4o", base_url=model.base_url, call_settings={"retries": 0})
        one = agents.agent(model=llm, name="one", background="You know.")
        return (await agents.task(agent=one, prompt="Cold?").run()).text

    model.rate_limit(retry_after=1)
    model.when(lambda _request: len(model.requests) > 1, "Yes.", repeat=True)
    runs = [await engine.client.trigger(advice) for _ in range(5)]
    async with asyncio.timeout(PATIENCE_S):
        assert [await run.result() for run in runs] == ["Yes."] * 5


async def test_who_comes_in_the_middle_hears_all_of_it_once(
    engine: Engine, model: ScriptedModel
) -> None:
    go_on = threading.Event()
    model.sent(Say("It is very cold."), held=go_on, after=3)
    run = await start(engine)
    first = run.stream()
    await until(first, TextDelta(1, "Ask", "is "))
    late = run.stream()
    begins = await until(late, TextDelta)
    go_on.set()
    rest = [event async for event in late]

    assert begins[-2:] == [StreamStarted(1, "Ask", 1), TextDelta(1, "Ask", "It is ")]
    assert said(begins + rest) == "It is very cold."
    assert said([event async for event in first]) == "very cold."


async def test_the_run_is_parked_while_its_words_come(store: Path, model: ScriptedModel) -> None:
    go_on = threading.Event()
    model.sent(Say("It is cold."), held=go_on, after=2)
    async with talking(Engine(str(store), keep=0), model) as engine:
        run = await start(engine)
        stream = run.stream()
        await until(stream, TextDelta)
        assert engine.core.live == {}
        go_on.set()
        assert said(await until(stream, StreamEnded)) == "is cold."
        await run.result()


async def test_a_reply_that_breaks_off_is_tried_again_and_listeners_are_told(
    engine: Engine, model: ScriptedModel
) -> None:
    go_on = threading.Event()
    model.sent(Say("It is very cold."), held=go_on, after=2, cut=True)
    model.sent(Say("It is very cold."), failing=Error(529, "Overloaded", "overloaded_error"))
    model.say("It is mild.")
    run = await start(engine)
    stream = run.stream()
    await until(stream, StreamStarted)
    go_on.set()
    events = [event async for event in stream]

    kinds = [e.kind if isinstance(e, FeedEntry) else type(e).__name__ for e in events]
    assert [kind for kind in kinds if kind != "TextDelta"] == [
        "StreamEnded",
        "STEP_RETRY",
        "StreamRestarted",
        "StreamEnded",
        "STEP_RETRY",
        "StreamRestarted",
        "StreamEnded",
        "STEP_SUCCESS",
        "RUN_SUCCESS",
    ]
    ends = [event for event in events if isinstance(event, StreamEnded)]
    assert [end.ok for end in ends] == [False, False, True]
    assert [e.attempt for e in events if isinstance(e, StreamRestarted)] == [2, 3]
    last = max(i for i, event in enumerate(events) if isinstance(event, StreamRestarted))
    assert said(events[last:]) == "It is mild."
    cut, failed = [e for e in events if isinstance(e, FeedEntry) and e.kind == "STEP_RETRY"]
    assert "the connection was closed within the answer" in cut.data["error"]
    assert "the stream broke off" in failed.data["error"]
    assert "Overloaded" in failed.data["error"]


async def test_a_reply_that_always_breaks_off_fails_the_step(
    store: Path, model: ScriptedModel
) -> None:
    engine = talking(Engine(str(store)), model, retries=0)

    @engine.workflow("/careful")
    async def careful(context: AsyncWorkflowContext[Any]) -> str:
        try:
            await context.call(
                "Ask",
                url=model.base_url + "/responses",
                method="POST",
                headers=KEY,
                body={"model": "m", "input": "?", "stream": True},
                stream="responses",
            )
        except StepFailed as failed:
            return failed.message
        return "no"

    model.sent("It is very cold.", failing=Error(500, "try later"))
    async with engine:
        run = await engine.client.trigger(careful)
        assert "the stream broke off" in await run.result()


async def test_a_refusal_is_an_answer_as_without_streaming(
    engine: Engine, model: ScriptedModel
) -> None:
    model.error(500, "busy").say("It is cold.")
    run = await start(engine)
    events = await heard(run)
    assert "It is cold." in str(await run.result())
    assert not [event for event in events if isinstance(event, StreamStarted)]


async def test_parallel_replies_are_told_apart(engine: Engine, model: ScriptedModel) -> None:
    go_on = threading.Event()
    for word in ("one", "two"):
        model.sent(Say(f"{word} {word} {word}"), held=go_on, after=2)

    @engine.workflow("/both")
    async def both(context: AsyncWorkflowContext[Any]) -> None:
        asked = ASKED["chat.completions"]
        await asyncio.gather(
            *(
                context.call(
                    name,
                    url=model.anthropic_url + asked["url"],
                    method="POST",
                    headers=KEY,
                    body={"stream": True, **asked["body"]},
                    stream="chat.completions",
                )
                for name in ("a", "b")
            )
        )

    run = await engine.client.trigger(both)
    stream = run.stream()
    events = await until(stream, StreamStarted)
    go_on.set()
    events += [event async for event in stream]
    by_name = {n: said([e for e in events if getattr(e, "name", "") == n]) for n in ("a", "b")}
    assert sorted(by_name.values()) == ["one one one", "two two two"]


async def test_a_listener_that_is_too_slow_is_told_of_the_gap(
    engine: Engine, model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = " ".join(str(n) for n in range(12_000))
    go_on = threading.Event()
    model.sent(Say(text), held=go_on, after=1)
    run = await start(engine)
    stream = run.stream()
    before = await until(stream, StreamStarted)
    go_on.set()
    await run.result()  # meanwhile nobody takes what is heard
    events = before + [event async for event in stream]

    [gap] = [event for event in events if isinstance(event, StreamGap)]
    assert gap.lost >= 10_000
    assert said(events[events.index(gap) :]) == text


async def test_a_run_that_has_ended_is_told_from_its_feed(
    engine: Engine, model: ScriptedModel
) -> None:
    model.say("It is cold.")
    run = await start(engine)
    await run.result()
    events = [event async for event in run.stream()]
    assert all(isinstance(event, FeedEntry) for event in events)
    assert events[-1].kind == "RUN_SUCCESS"
    assert [event async for event in run.stream(events[-1].seq)] == []


async def test_a_cancelled_run_stops_its_stream(engine: Engine, model: ScriptedModel) -> None:
    model.sent(Say("It is very cold."), held=threading.Event(), after=2)
    run = await start(engine)
    stream = run.stream()
    await until(stream, TextDelta)
    await run.cancel()
    async with asyncio.timeout(PATIENCE_S):
        rest = [event async for event in stream]
    assert "RUN_CANCELED" in [e.kind for e in rest if isinstance(e, FeedEntry)]


async def test_a_reply_over_the_limit_is_refused(store: Path, model: ScriptedModel) -> None:
    model.say(f"{'a' * 40} " * 300)
    async with talking(Engine(str(store), limits=Limits(result_bytes=10_000)), model) as engine:
        run = await start(engine)
        events = await until(run.stream(), FeedEntry)
        events += [event async for event in run.stream(events[0].seq)]
    [failed] = [e for e in events if isinstance(e, FeedEntry) and e.kind == "STEP_FAILED"]
    assert "over the limit of 10,000 bytes" in failed.data["message"]
    assert failed.data["attempts"] == 1


async def test_the_engine_stops_in_the_middle_and_another_goes_on(
    store: Path, model: ScriptedModel
) -> None:
    model.sent(Say("It is very cold."), held=threading.Event(), after=2)
    go_on = threading.Event()
    model.sent(Say("It is very cold."), held=go_on, after=2)
    async with talking(Engine(str(store)), model) as engine:
        run = await start(engine)
        stream = run.stream()
        await until(stream, TextDelta)
    with pytest.raises(StoreError, match="WA111"):
        await until(stream, StreamRestarted)

    async with talking(Engine(str(store)), model) as engine:
        stream = engine.client.handle(run.run_id).stream()
        events = await until(stream, TextDelta)
        go_on.set()
        events += await until(stream, StreamEnded)
    assert [e for e in events if isinstance(e, StreamRestarted)] == [StreamRestarted(1, "Ask", 2)]
    assert said(events) == "It is very cold."


async def test_the_process_is_killed_in_the_middle(store: Path, model: ScriptedModel) -> None:
    """SIGKILL while words come; after the restart the reply begins anew, and says so."""
    held = threading.Event()
    model.sent(Say("It is very cold."), held=held, after=2)
    model.say("It is very cold.")
    worker = Path(__file__).with_name("streaming_worker.py")
    arguments = [sys.executable, str(worker), str(store), model.base_url]

    first = await asyncio.to_thread(start_worker, arguments, "TextDelta")
    first.kill()
    first.wait()
    second = await asyncio.to_thread(
        subprocess.run, arguments, capture_output=True, text=True, timeout=60, check=True
    )
    held.set()

    lines = second.stdout.splitlines()
    assert "StreamRestarted 2" in lines
    assert "StreamStarted 1" not in lines
    assert "result It is very cold." in lines
    assert len(model.requests) == 2


def start_worker(arguments: list[str], wanted: str) -> "subprocess.Popen[str]":
    """Start the worker, and wait until it has printed this."""
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(wanted):
            process.stdout.close()
            return process
    raise AssertionError("the worker has ended")


async def test_words_reach_a_reader_over_http_in_their_place(
    engine: Engine, model: ScriptedModel
) -> None:
    go_on = threading.Event()
    model.sent(Say("It is very cold."), held=go_on, after=1)
    run = await start(engine)
    app = AppOnLoopback(EventStream(engine), lifespan="off")
    await app.start()
    target = f"/?workflowRunId={run.run_id}&words=true"
    reader = await StreamReader.open(int(app.url.rpartition(":")[2]), target, token="")
    await reader.read_on(lambda r: any(event.name == "reply-started" for event in r.events))
    go_on.set()
    await reader.read_on(lambda r: r.ended)
    told = [event.data["kind"] if event.name == "entry" else event.name for event in reader.events]
    assert [name for name in told if name != "text"] == [
        "open",
        "RUN_STARTED",
        "STEP_WAITING",
        "reply-started",
        "reply-ended",
        "STEP_SUCCESS",
        "RUN_SUCCESS",
        "end",
    ]
    words = [event for event in reader.events if event.name == "text"]
    assert "".join(event.data["text"] for event in words) == "It is very cold."
    assert {(event.id, event.data["stepName"]) for event in words} == {(None, "Ask")}
    assert told.index("reply-started") < told.index("text") < told.index("reply-ended")
    reader.close()
    await app.stop()
