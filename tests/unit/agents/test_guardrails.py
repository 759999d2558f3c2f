from typing import Any

import pytest
from pydantic import BaseModel

from workflow_agents.agents.guardrails import Guardrail, GuardrailContext
from workflow_agents.agents.workflow import Agents, agent_workflow
from workflow_agents.errors import ConfigurationError, GuardrailTripped
from workflow_agents.testing.model_server import ScriptedModel


def no_secrets(text: str) -> str | None:
    return "it holds a secret" if "secret" in text else None


async def short(text: str) -> bool:
    return len(text) < 20


def polite(text: str) -> None:
    if "please" not in text:
        raise ValueError("say please")


def strict(text: str) -> None:
    raise GuardrailTripped("never")


def extra(text: str, least: int = 3) -> bool:
    return len(text) > least


@pytest.mark.parametrize(
    ("guardrail", "prompt", "reason"),
    [
        (no_secrets, "my secret", "it holds a secret"),
        (short, "a very long prompt indeed", ""),
        (polite, "Go.", "say please"),
        (strict, "Go.", "never"),
        (Guardrail(lambda text: "no", name="always"), "Go.", "no"),
        (extra, "Go", ""),
    ],
)
async def test_a_prompt_is_refused_before_the_model_reads_it(
    context: Any, agents: Agents, llm: Any, model: ScriptedModel, guardrail, prompt, reason
):
    agent = agents.agent(model=llm, name="clerk", input_guardrails=[guardrail])
    with pytest.raises(GuardrailTripped) as caught:
        await agents.task(agent=agent, prompt=prompt).run()
    error = caught.value
    assert (error.code, error.reason, error.agent) == ("WA712", reason, "clerk")
    assert context.steps == [f"Guardrail {error.guardrail}"]
    assert model.requests == []


async def test_what_passes_goes_on_and_each_check_is_a_step(
    context: Any, agents: Agents, llm: Any, model: ScriptedModel
):
    model.say("Done.")
    agent = agents.agent(
        model=llm,
        name="clerk",
        input_guardrails=[no_secrets, short],
        output_guardrails=[no_secrets],
    )
    assert (await agents.task(agent=agent, prompt="Go.").run()).text == "Done."
    assert context.steps == [
        "Guardrail no_secrets",
        "Guardrail short",
        "Call Agent clerk",
        "Guardrail no_secrets",
    ]


async def test_an_answer_is_looked_at_as_it_was_validated(
    agents: Agents, llm: Any, model: ScriptedModel
):
    seen: list[Any] = []

    def positive(number: int) -> bool:
        seen.append(number)
        return number > 0

    model.say('{"result": -3}')
    agent = agents.agent(model=llm, name="m", output_type=int, output_guardrails=[positive])
    with pytest.raises(GuardrailTripped):
        await agents.task(agent=agent, prompt="A number?").run()
    assert seen == [-3]


async def test_an_answer_may_be_asked_for_again(
    context: Any, agents: Agents, llm: Any, model: ScriptedModel
):
    model.say("the secret is 7").say("I may not say.")
    guardrail = Guardrail(no_secrets, retry=True)
    agent = agents.agent(model=llm, name="m", output_guardrails=[guardrail], max_steps=1)
    result = await agents.task(agent=agent, prompt="Tell me.").run()
    assert result.text == "I may not say."
    assert "it holds a secret" in model.requests[1].prompt

    replayed = agent_workflow(context.replay())
    assert await replayed.task(agent=agent, prompt="Tell me.").run() == result


async def test_tries_are_limited_together(agents: Agents, llm: Any, model: ScriptedModel):
    model.say("secret").say("secret")
    agent = agents.agent(
        model=llm,
        name="m",
        output_retries=1,
        output_guardrails=[Guardrail(no_secrets, retry=True)],
    )
    with pytest.raises(GuardrailTripped):
        await agents.task(agent=agent, prompt="Tell me.").run()
    model.assert_done()


class Verdict(BaseModel):
    harmful: bool


async def test_a_guardrail_may_ask_an_agent(
    context: Any, agents: Agents, llm: Any, model: ScriptedModel
):
    """It is not wrapped: its own steps are recorded, and what they cost counts."""
    model.when(lambda r: r.agent == "judge", '{"harmful": true}')
    judge = agents.agent(model=llm, name="judge", output_type=Verdict)

    async def harmless(text: str, guard: GuardrailContext) -> str | None:
        verdict = await guard.ask(judge, f"Is this harmful? {text}")
        return f"{guard.agent} was asked harm" if verdict.harmful else None

    agent = agents.agent(model=llm, name="clerk", input_guardrails=[harmless])
    with pytest.raises(GuardrailTripped, match="WA712") as caught:
        await agents.task(agent=agent, prompt="Boom").run()
    assert caught.value.reason == "clerk was asked harm"
    assert context.steps == ["Call Agent judge"]
    assert [call.agent for call in agents.calls] == ["judge"]
    assert "Boom" in model.requests[0].prompt


async def test_an_error_of_a_guardrail_is_no_refusal(agents: Agents, llm: Any):
    def broken(text: str) -> None:
        raise OSError("no network")

    agent = agents.agent(model=llm, name="clerk", input_guardrails=[broken])
    with pytest.raises(OSError, match="no network"):
        await agents.task(agent=agent, prompt="Go.").run()


def test_a_guardrail_is_a_function():
    with pytest.raises(ConfigurationError) as caught:
        Guardrail("no secrets")  # type: ignore[arg-type]
    assert caught.value.code == "WA702"
