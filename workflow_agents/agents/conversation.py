"""One task of one agent: the loop, followed step by step to its end.

Every turn of the model is one `call` step, "Call Agent <name>", every tool call one `run`
step. Between them is only `loop.next_action`, so that a replay takes the same way. Who is at the
helm may change by a handoff; the transcript goes on.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workflow_agents.agents import loop, outputs, schemas, tool_calls, tool_sources
from workflow_agents.agents.agent import Agent
from workflow_agents.agents.guardrails import Guardrail, GuardrailContext, refusal
from workflow_agents.agents.handoffs import Handoffs
from workflow_agents.agents.messages import (
    AssistantMessage,
    ChatMessage,
    FinishReason,
    SystemMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from workflow_agents.agents.models.port import Turn
from workflow_agents.agents.pausing import make_room
from workflow_agents.agents.ports import AgentContext
from workflow_agents.agents.spending import Spending
from workflow_agents.agents.tools import Tool
from workflow_agents.errors import GuardrailTripped, OutputMismatch, WorkflowAgentsError


@dataclass(frozen=True, slots=True)
class Question:
    """What an agent is asked.

    Attributes:
        prompt: the question itself.
        earlier: what was said before, without backgrounds.
        max_steps: how often models may be called for it; None: as the agent says.
    """

    prompt: str
    earlier: Sequence[ChatMessage] = ()
    max_steps: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a conversation ended.

    Attributes:
        transcript: all of it, with the background of the last agent.
        agent: who answered.
        text: what it said last.
        reason: why it ended.
        answered: whether there is an output.
        output: the value that was asked for.
    """

    transcript: list[ChatMessage]
    agent: Agent[Any]
    text: str
    reason: FinishReason
    answered: bool
    output: Any


async def converse(
    context: AgentContext, agent: Agent[Any], question: Question, spending: Spending
) -> Ended:
    """Follow the loop to its end; what it spends counts within `spending`.

    Raises:
        WorkflowAgentsError: see `Task.run`.
    """
    talk = _Talk(context, agent, question)
    await talk.take_over(agent, spending)
    return await talk.follow()


class _Talk:
    """One conversation, while it goes on."""

    agent: Agent[Any]
    spending: Spending
    handoffs: Handoffs
    usable: Sequence[Tool]

    def __init__(self, context: AgentContext, asked: Agent[Any], question: Question) -> None:
        self.context = context
        self.asked = asked
        self.question = question
        self.max_steps = question.max_steps or asked.max_steps
        self.transcript: list[ChatMessage] = [*question.earlier, UserMessage(question.prompt)]

    async def take_over(self, agent: Agent[Any], outer: Spending) -> None:
        """From here on this agent speaks, with its own background, tools and model."""
        self.agent = agent
        self.spending = outer.within(f"agent {agent.name!r}", agent.limits)
        self.spending.check_price(agent.model)
        self.handoffs = agent.to_whom()
        usable = (*agent.toolset, *self.handoffs.tools)
        self.usable = await tool_sources.expanded(self.context, usable, self._ask_member)
        if isinstance(self.transcript[0], SystemMessage):
            del self.transcript[0]
        if agent.background:
            self.transcript.insert(0, SystemMessage(agent.background))

    async def follow(self) -> Ended:
        """Ask, and do what is asked for, until there is an answer."""
        await self._check_prompt()
        while True:
            action = loop.next_action(
                self.transcript,
                max_steps=self.max_steps,
                max_tool_errors=self.agent.max_tool_errors,
            )
            match action:
                case loop.CallModel():
                    await self._call_model()
                case loop.RunTools(calls):
                    direct = await self._run_tools(calls)
                    if direct is not None and (ended := await self._ended(direct)) is not None:
                        return ended
                case loop.Finish() as end:
                    if (ended := await self._ended(end)) is not None:
                        return ended
                case loop.GiveUp(turns, errors):
                    raise WorkflowAgentsError(
                        "WA705",
                        where=f"agent {self.agent.name!r}",
                        found=(
                            f"{turns} turns in a row whose tool calls all failed; the last:",
                            *(f"{error.name}: {error.content}" for error in errors),
                        ),
                    )

    async def _call_model(self) -> None:
        agent = self.agent
        await make_room(self.context, agent.name, self.spending, model_calls=1)
        turn = Turn(
            agent=agent.name,
            transcript=self.transcript,
            tools=self.usable,
            settings=agent.model_settings,
            output=self.asked.output.schema,
        )
        reply = await agent.model.ask(self.context, turn)
        self.spending.replied(agent.name, agent.model, reply)
        self.transcript.append(reply.message)

    async def _run_tools(self, calls: Sequence[ToolCall]) -> loop.Finish | None:
        """Make the calls; the end, if what they returned is the answer."""
        name = self.agent.name
        taken, told = self.handoffs.answer(calls)
        made = [call for call in calls if call.id not in told]
        await make_room(self.context, name, self.spending, tool_calls=len(made))
        started = [tool_calls.start(self.context, c, self.usable, agent=name) for c in made]
        results: list[ToolMessage] = await asyncio.gather(*started)
        told |= {result.tool_call_id: result for result in results}
        self.transcript += [told[call.id] for call in calls]
        tool_calls.check_errors(self._new_messages(), self.usable, name)
        if taken is not None:
            await self.take_over(self.handoffs.agents[taken], self.spending)
            return None
        direct = tool_calls.direct_answer(results, self.usable)
        return None if direct is None else loop.Finish(direct, "stop")

    def _new_messages(self) -> list[ChatMessage]:
        background = isinstance(self.transcript[0], SystemMessage)
        return self.transcript[len(self.question.earlier) + background :]

    async def _ended(self, end: loop.Finish) -> Ended | None:
        """The end, if the answer is as it should be; else it was sent back."""
        said = isinstance(last := self.transcript[-1], AssistantMessage) and not last.tool_calls
        out_of_turns = end.reason == "max_steps"
        if out_of_turns and self.asked.output is not outputs.TEXT:
            return self._end(end, answered=False, output=None)
        try:
            output = self.asked.output.read(end.text)
        except outputs.BadOutput as bad:
            return self._mismatched(end.text, str(bad), may_retry=said)
        for guardrail in self.agent.output_checks:
            reason = await refusal(guardrail, output, self._guarded())
            if reason is not None:
                return self._refused(guardrail, reason, may_retry=said)
        answered = bool(end.text) or not out_of_turns
        return self._end(end, answered=answered, output=output)

    def _end(self, end: loop.Finish, *, answered: bool, output: Any) -> Ended:
        return Ended(
            transcript=self.transcript,
            agent=self.agent,
            text=end.text,
            reason=end.reason,
            answered=answered,
            output=output,
        )

    def _mismatched(self, text: str, problem: str, *, may_retry: bool) -> None:
        told = outputs.feedback(self.asked.output, problem)
        if not (may_retry and self._send_back(told)):
            tries = 1 + loop.times_sent_back(self.transcript)
            raise OutputMismatch(self.agent.name, text, problem, tries)

    def _refused(self, guardrail: Guardrail, reason: str, *, may_retry: bool) -> None:
        told = f"Your answer was refused: {reason or 'it may not be given'}\nAnswer again."
        if not (guardrail.retry and may_retry and self._send_back(told)):
            raise GuardrailTripped(reason, guardrail=guardrail.name, agent=self.agent.name)

    def _send_back(self, feedback: str) -> bool:
        """Tell the model, unless it was told often enough."""
        if loop.times_sent_back(self.transcript) >= self.asked.output_retries:
            return False
        self.transcript.append(UserMessage(feedback, is_feedback=True))
        return True

    async def _check_prompt(self) -> None:
        for guardrail in self.agent.input_checks:
            reason = await refusal(guardrail, self.question.prompt, self._guarded())
            if reason is not None:
                raise GuardrailTripped(reason, guardrail=guardrail.name, agent=self.agent.name)

    def _guarded(self) -> GuardrailContext:
        return GuardrailContext(self.context, self.agent.name, self.question.prompt, self._ask)

    async def _ask(self, agent: Agent[Any], prompt: str) -> Any:
        """A guardrail's question to an agent of its own."""
        return answer_of(await converse(self.context, agent, Question(prompt), self.spending))

    async def _ask_member(self, agent: Agent[Any], prompt: str) -> Any:
        """This agent's question to one that is its tool."""
        ended = await converse(self.context, agent, Question(prompt), self.spending)
        if not ended.answered or ended.output == "":
            raise schemas.BadCall(f"the agent came to no answer ({ended.reason})")
        return ended.output


def answer_of(ended: Ended) -> Any:
    """The output.

    Raises:
        WorkflowAgentsError: WA704, the agent used all its turns and came to none.
    """
    if not ended.answered and ended.output is None:
        raise WorkflowAgentsError("WA704", where=f"agent {ended.agent.name!r}")
    return ended.output
