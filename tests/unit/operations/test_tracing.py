"""Spans follow from the record: 20 replays of a run give the same ones, and no more."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from workflow_agents import AsyncWorkflowContext, Engine, RunFailed, agent_workflow, tool
from workflow_agents.operations import trace
from workflow_agents.operations.spans import span_id_of, trace_id_of
from workflow_agents.testing.model_server import CallTools, ScriptedModel


class Collector:
    """What a backend would receive."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def spans(self) -> dict[str, ReadableSpan]:
        """By name; no two may have one id."""
        spans = self._exporter.get_finished_spans()
        assert len({span.context.span_id for span in spans}) == len(spans)
        return {span.name: span for span in spans}

    def shape(self) -> set[Any]:
        return {
            (s.name, s.context.trace_id, s.context.span_id, s.parent and s.parent.span_id)
            for s in self._exporter.get_finished_spans()
        }


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.provider.shutdown()


async def test_twenty_replays_give_the_same_spans_and_no_more(
    tmp_path: Path, collector: Collector
) -> None:
    replays, naps = 20, 30
    invocations = 0
    # Nothing is kept in memory while the run waits: each wait is followed by a replay.
    engine = Engine(str(tmp_path / "a.db"), keep=0)

    @engine.workflow("/replayed")
    async def replayed(context: AsyncWorkflowContext[Any]) -> int:
        nonlocal invocations
        invocations += 1
        total = 0
        for number in range(naps):
            total += await context.run(f"add {number}", lambda: 1)
            await context.sleep(f"nap {number}", 0.04)
        return total

    trace(engine, tracer_provider=collector.provider)
    async with engine:
        run = await engine.client.trigger(replayed, workflow_run_id="one")
        assert await run.result() == naps
    # A nap that is over before the run has parked is followed by none; a few may be.
    assert invocations > replays
    spans = collector.spans()
    assert len(spans) == 2 * naps + 1
    whole = spans["workflow /replayed"]
    assert whole.context.trace_id == trace_id_of(run.run_id)
    assert whole.context.span_id == span_id_of(run.run_id)
    steps = [span for span in spans.values() if span is not whole]
    assert {span.parent and span.parent.span_id for span in steps} == {whole.context.span_id}
    assert {span.context.trace_id for span in steps} == {whole.context.trace_id}
    assert all(whole.start_time <= s.start_time <= s.end_time <= whole.end_time for s in steps)

    # Another process that looks at the same record comes to the same.
    other = Collector()
    again = Engine(str(tmp_path / "a.db"))
    trace(again, tracer_provider=other.provider)
    async with again:
        row = again.core.admin.find(run.run_id)
        (watcher, finish) = again.core.broadcast._watchers[0]
        (end,) = [
            event
            for event in again.core.store.overview.events(
                run=row.id, label=None, after=0, limit=1_000
            )
            if event.kind.name == "RUN_SUCCESS"
        ]
        watcher(end)
        await finish()
    assert other.shape() == collector.shape()
    other.provider.shutdown()


async def test_when_a_step_began(tmp_path: Path, collector: Collector) -> None:
    engine = Engine(str(tmp_path / "a.db"))

    async def pause() -> None:
        await asyncio.sleep(0.02)

    @engine.workflow("/branches")
    async def branches(context: AsyncWorkflowContext[Any]) -> None:
        await context.run("first", pause)

        async def branch(name: str) -> None:
            await context.run(f"{name} 1", pause)
            await context.run(f"{name} 2", pause)

        await asyncio.gather(branch("left"), branch("right"))

    trace(engine, tracer_provider=collector.provider)
    async with engine:
        await (await engine.client.trigger(branches)).result()
    spans = collector.spans()
    for name in ("left", "right"):
        assert spans[f"{name} 1"].start_time == spans["first"].end_time
        assert spans[f"{name} 2"].start_time == spans[f"{name} 1"].end_time


async def test_failures_and_children(tmp_path: Path, collector: Collector) -> None:
    engine = Engine(str(tmp_path / "a.db"))

    @engine.workflow("/child", retries=0)
    async def child(context: AsyncWorkflowContext[Any]) -> int:
        return await context.run("of the child", lambda: 1)

    @engine.workflow("/parent", retries=1, retry_delay="1")
    async def parent(context: AsyncWorkflowContext[Any]) -> None:
        await context.invoke("ask the child", workflow=child, body={})
        await context.run("divide", lambda: 1 / 0)

    trace(engine, tracer_provider=collector.provider)
    async with engine:
        run = await engine.client.trigger(parent)
        with pytest.raises(RunFailed):
            await run.result()
    spans = collector.spans()
    trace_ids = {span.context.trace_id for span in spans.values()}
    assert trace_ids == {trace_id_of(run.run_id)}
    below = spans["workflow /child"].parent
    assert below is not None
    assert below.span_id == spans["ask the child"].context.span_id
    failed = spans["divide"]
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.attributes is not None
    assert failed.attributes["error.type"] == "ZeroDivisionError"
    assert [event.name for event in failed.events] == ["retry"]
    assert spans["workflow /parent"].status.status_code is StatusCode.ERROR
    assert spans["of the child"].status.status_code is StatusCode.UNSET


async def test_llm_calls_and_tools_are_told_by_the_conventions(
    tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    engine = Engine(str(tmp_path / "a.db"))

    @tool
    def weather(city: str) -> str:
        """Tell the weather of a city."""
        return f"sunny in {city}"

    with ScriptedModel() as model:
        model.when(lambda _request: True, CallTools((("weather", {"city": "Rome"}),)))
        model.when(lambda _request: True, "It is sunny.")

        @engine.workflow("/advice")
        async def advice(context: AsyncWorkflowContext[str]) -> str:
            agents = agent_workflow(context)
            one = agents.openai("gpt-4o", base_url=model.base_url)
            adviser = agents.agent(model=one, name="adviser", background="", tools=[weather])
            return (await agents.task(agent=adviser, prompt="Umbrella?").run()).text

        trace(engine, tracer_provider=collector.provider)
        async with engine:
            await (await engine.client.trigger(advice, "hello")).result()
    finished = collector._exporter.get_finished_spans()
    calls = [span for span in finished if span.name == "chat gpt-4o"]
    assert len(calls) == 2
    for call in calls:
        assert call.kind is SpanKind.CLIENT
        told: Any = call.attributes
        assert told["gen_ai.operation.name"] == "chat"
        assert told["gen_ai.provider.name"] == "openai"
        assert told["gen_ai.request.model"] == "gpt-4o"
        assert told["gen_ai.response.model"]
        assert told["gen_ai.agent.name"] == "adviser"
        assert told["gen_ai.usage.input_tokens"] > 0
        assert told["gen_ai.usage.output_tokens"] > 0
        assert told["http.response.status_code"] == 200
    (used,) = [span for span in finished if span.name == "execute_tool weather"]
    assert used.attributes is not None
    assert used.attributes["gen_ai.operation.name"] == "execute_tool"
    assert "secret" not in str([span.to_json() for span in finished])
    assert "sunny" not in str([span.to_json() for span in finished])


async def test_a_tracer_of_the_api_alone_does_nothing(tmp_path: Path) -> None:
    engine = Engine(str(tmp_path / "a.db"))

    @engine.workflow("/one")
    async def one(context: AsyncWorkflowContext[Any]) -> int:
        return await context.run("step", lambda: 1)

    trace(engine)
    async with engine:
        assert await (await engine.client.trigger(one)).result() == 1
