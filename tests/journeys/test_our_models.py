"""Agents on each kind of model: loops, outputs, fallbacks, and processes that are killed."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests import sdks
from tests.forks import nursery
from tests.journeys.our_models import MODELS, made
from workflow_agents import (
    AsyncWorkflowContext,
    Engine,
    LangChainModel,
    RunFailed,
    agent_workflow,
    model,
)
from workflow_agents.agents.messages import ModelReply, UserMessage
from workflow_agents.agents.models.port import OutputSchema, Turn
from workflow_agents.testing.model_server import ScriptedModel

PROGRAM = Path(__file__).with_name("our_models.py")
ROOT = PROGRAM.parents[2]
CITY = OutputSchema("city", {"type": "object", "properties": {"name": {"type": "string"}}})
APIS = {"chat": "chat", "langchain": "chat", "responses": "responses"}


@pytest.fixture
def llm():
    with ScriptedModel() as llm:
        yield llm


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(str(tmp_path / "runs.db"))


def run(kind: str, store: Path, llm: ScriptedModel, *options: str) -> tuple[int, str]:
    done = nursery(*sdks.MODULES).run(
        [PROGRAM, kind, store, llm.base_url, *options],
        timeout=100,
        env=os.environ | {"PYTHONPATH": str(ROOT), "LANGSMITH_TRACING": "false"},
    )
    if done.returncode not in {0, -signal.SIGKILL}:
        pytest.fail(done.stderr[-3_000:])
    return done.returncode, done.stdout.strip()


@pytest.mark.parametrize("kind", MODELS)
def test_a_model_is_asked_no_second_time_by_who_goes_on(
    kind: str, tmp_path: Path, llm: ScriptedModel
) -> None:
    store = tmp_path / "runs.db"
    llm.call_tools(("add", {"a": 2, "b": 3}), usage=(10, 5))
    llm.say("It is 5.", usage=(20, 5))

    code, _ = run(kind, store, llm, "crash")
    assert code == -signal.SIGKILL
    assert len(llm.requests) == 1

    code, said = run(kind, store, llm)
    assert (code, said) == (0, "It is 5. 40")
    assert [request.api for request in llm.requests] == [APIS.get(kind, "messages")] * 2
    assert llm.requests[1].system == "You add."
    llm.assert_done()
    assert b"sk-of-the-test" not in b"".join(f.read_bytes() for f in tmp_path.glob("runs.db*"))


@pytest.mark.parametrize("kind", ["chat", "responses", "anthropic", "langchain"])
async def test_an_output_is_asked_for_in_the_way_of_each(
    kind: str, engine: Engine, llm: ScriptedModel
) -> None:
    llm.say('{"name": "Oslo"}')

    @engine.workflow("/ask")
    async def ask(context: AsyncWorkflowContext[None]) -> str:
        given = model(made(kind, agent_workflow(context), llm.base_url))
        turn = Turn(agent="a", transcript=[UserMessage("Where?")], output=CITY)
        reply: ModelReply = await given.ask(context, turn)
        return reply.message.content

    async with engine:
        assert await (await engine.client.trigger(ask)).result() == '{"name": "Oslo"}'
    [request] = llm.requests
    body: dict[str, Any] = request.body
    strict = {**CITY.schema, "required": ["name"], "additionalProperties": False}
    assert {
        "chat": lambda: body["response_format"]["json_schema"]["schema"] == strict,
        "responses": lambda: body["text"]["format"]["schema"] == strict,
        "anthropic": lambda: body["output_config"]["format"]["schema"] == strict,
        "langchain": lambda: "JSON schema" in request.system,
    }[kind]()


async def test_a_chain_that_fails_tells_all(engine: Engine, llm: ScriptedModel) -> None:
    llm.error(400, "no such model").error(400, "nor this")

    @engine.workflow("/ask", retries=0)
    async def ask(context: AsyncWorkflowContext[None]) -> str:
        agents = agent_workflow(context)
        once: Any = {"call_settings": {"retries": 0}, "api_key": "sk"}
        chain = agents.fallback(
            agents.openai("gpt-x", base_url=llm.base_url, **once),
            agents.anthropic("claude-x", base_url=llm.base_url, **once),
        )
        agent = agents.agent(model=chain, name="guide")
        return (await agents.task(agent=agent, prompt="Hi").run()).text

    async with engine:
        handle = await engine.client.trigger(ask)
        with pytest.raises(RunFailed) as caught:
            await handle.result()
        log = await handle.log()
    assert "none of 2 models" in str(caught.value)
    assert [step.name for step in log.steps] == ["Call Agent guide"] * 2
    detail = log.failure["detail"]["found"]
    assert "no such model" in detail[0]
    assert "nor this" in detail[1]


@pytest.mark.parametrize("kind", ["chat", "responses", "anthropic"])
@pytest.mark.parametrize("garbage", ["nonsense", "html", "truncated", "empty"])
async def test_garbage_under_status_200_is_tried_again(
    kind: str, garbage: Any, engine: Engine, llm: ScriptedModel
) -> None:
    llm.broken(garbage).say("Hello")
    quick: Any = {"retries": 1, "retry_delay": "1"}
    kwargs: Any = {"base_url": llm.base_url, "api_key": "sk", "call_settings": quick}

    @engine.workflow("/ask")
    async def ask(context: AsyncWorkflowContext[None]) -> str:
        names = {"chat": "openai", "responses": "openai-responses", "anthropic": "anthropic"}
        given = model(f"{names[kind]}:m", **kwargs)
        agents = agent_workflow(context)
        agent = agents.agent(model=given, name="greeter")
        return (await agents.task(agent=agent, prompt="Hi").run()).text

    async with engine:
        handle = await engine.client.trigger(ask)
        assert await handle.result() == "Hello"
        retries = [e async for e in handle.feed() if e.kind == "STEP_RETRY"]
    assert len(llm.requests) == 2
    [retry] = retries
    assert "answered 200 without" in retry.data["error"]


async def test_a_refusal_of_langchains_model_fails_the_run_with_its_words(
    engine: Engine, llm: ScriptedModel
) -> None:
    llm.error(404, "no such model")

    @engine.workflow("/ask", retries=0)
    async def ask(context: AsyncWorkflowContext[None]) -> str:
        agents = agent_workflow(context)
        given = LangChainModel(made("langchain", agents, llm.base_url))
        agent = agents.agent(model=given, name="guide")
        return (await agents.task(agent=agent, prompt="Hi").run()).text

    async with engine:
        with pytest.raises(RunFailed, match="no such model") as caught:
            await (await engine.client.trigger(ask)).result()
    assert "WA703" in str(caught.value)
    assert len(llm.requests) == 1, "a refusal is not tried again"
