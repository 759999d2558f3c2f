"""Agents behind a route, with a model that is in trouble, or answers garbage."""

import pytest

from workflow_agents import AsyncWorkflowContext, agent_workflow
from workflow_agents.testing.model_server import ScriptedModel


@pytest.fixture
def model(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-t0p")
    with ScriptedModel() as model:
        yield model


@pytest.fixture
def asking(serve, model):
    ran = []

    def look_up(city: str) -> str:
        """Look a city up."""
        ran.append(city)
        return f"{city} is far away"

    @serve.post("/ask", retries=0)
    async def ask(context: AsyncWorkflowContext[str]) -> str:
        agents = agent_workflow(context)
        agent = agents.agent(
            model=agents.openai("gpt-4o", base_url=model.base_url, call_settings={"retries": 0}),
            name="guide",
            background="You know cities.",
            tools=[look_up],
        )
        return (await agents.task(agent=agent, prompt=context.request_payload).run()).text

    ask.ran = ran
    return ask


async def failed(site) -> object:
    log = await site.run("/ask", "Where is Oslo?")
    assert log.state == "RUN_FAILED"
    assert log.failure["message"].startswith("WA703")
    assert all(log.failure["detail"][part] for part in ("what", "where", "found", "why", "fix"))
    return log


@pytest.mark.parametrize("trouble", ["error", "dropped", "truncated", "html", "empty", "nonsense"])
async def test_a_model_in_trouble_is_asked_again_by_a_resumed_run(
    site, asking, model, trouble
) -> None:
    """Garbage with status 200 is no answer: it is not recorded as one."""
    model.call_tools(("look_up", {"city": "Oslo"}))
    if trouble == "error":
        model.error(400, "no such model")
    else:
        model.broken(trouble)
    log = await failed(site)

    model.say("Far away.")
    resumed = await site.client.dlq.resume(log.dlq_id)

    assert await resumed.result() == "Far away."
    assert asking.ran == ["Oslo"]
    assert len(model.requests) == 3  # the tool call, the trouble, the answer
    assert b"sk-t0p" not in site.stored_bytes()
    model.assert_done()
