"""Tasks: a prompt for an agent in one run, and what becomes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Generic, cast

from workflow_agents.agents import conversation as talk
from workflow_agents.agents import loop, memory, spending
from workflow_agents.agents.agent import Agent
from workflow_agents.agents.memory import Conversation
from workflow_agents.agents.messages import (
    ChatMessage,
    FinishReason,
    SystemMessage,
    Usage,
)
from workflow_agents.agents.outputs import OutputT
from workflow_agents.agents.ports import AgentContext
from workflow_agents.agents.prices import Price
from workflow_agents.agents.spending import CallRecord, Spending, UsageLimits


@dataclass(frozen=True, slots=True, repr=False)
class TaskResult(Generic[OutputT]):
    """What became of a task.

    Attributes:
        output: the answer as the agent's `output_type`; without one, the same as `text`.
        text: what the agent said last; "" if nothing.
        agent: the name of the agent that answered: another than the first after a handoff.
        finish_reason: "stop": it answered. "max_steps": its turns were used up before.
            "length", "content_filter": the provider cut the answer off.
        messages: the whole conversation, what came before the task included. After "max_steps"
            its last message may hold tool calls that were not made.
        new_messages: what the task has added to it, from the prompt on.
        calls: every model call of the task, also those of agents that were called as tools.
        turns: how often the model was called in this conversation.
    """

    output: OutputT
    text: str
    agent: str
    finish_reason: FinishReason
    messages: tuple[ChatMessage, ...]
    new_messages: tuple[ChatMessage, ...]
    calls: tuple[CallRecord, ...]
    turns: int

    @property
    def usage(self) -> Usage:
        """The tokens of all model calls of the task."""
        return sum((call.usage for call in self.calls), Usage())

    @property
    def usage_by_agent(self) -> Mapping[str, Usage]:
        """The same by the agent's name."""
        return spending.usage_of(self.calls)

    @property
    def cost_usd(self) -> Decimal | None:
        """What it cost, in US dollars; None if the price of a model is not known."""
        return spending.cost_of(self.calls)

    def __repr__(self) -> str:
        """One line, how it ended last."""
        from workflow_agents.display import transcripts

        return transcripts.line(self)

    def _repr_html_(self) -> str:
        from workflow_agents.display import transcripts

        return transcripts.task(self)


@dataclass(frozen=True, slots=True)
class Task(Generic[OutputT]):
    """A prompt for an agent, in one run.

    Attributes:
        context: of the run.
        agent: who does it.
        prompt: what is to be done.
        run_spending: what the run spends.
        max_steps: how often models may be called; None: as the agent says.
        conversation: the kept conversation that it continues.
        history: or else: the messages that it continues.
        limits: what it may spend.
        prices: of models, before all others.
    """

    context: AgentContext
    agent: Agent[OutputT]
    prompt: str
    run_spending: Spending
    max_steps: int | None = None
    conversation: Conversation | None = None
    history: Sequence[ChatMessage] = ()
    limits: UsageLimits | None = None
    prices: Mapping[str, Price] | None = None

    async def run(self) -> TaskResult[OutputT]:
        """Do it, in as many durable steps as it takes.

        Raises:
            RemoteError: WA703: a model gave no usable answer.
            WorkflowAgentsError: WA704: the turns were used up before an answer of the output
                type came. WA705: tools failed in too many turns in a row.
            OutputMismatch: WA711: no answer fitted the output type.
            GuardrailTripped: WA712: a guardrail refused the prompt or the answer.
            UsageLimitExceeded: WA713: a limit is used up.
        """
        spent = self.run_spending.within("the task", self.limits, self.prices)
        earlier: Sequence[ChatMessage] = self.history
        if self.conversation is not None:
            earlier = await memory.recall(self.context, self.conversation)
        earlier = [m for m in earlier if not isinstance(m, SystemMessage)]
        question = talk.Question(self.prompt, earlier, self.max_steps)
        ended = await talk.converse(self.context, self.agent, question, spent)
        output = talk.answer_of(ended)
        background = isinstance(ended.transcript[0], SystemMessage)
        new = ended.transcript[len(earlier) + background :]
        if self.conversation is not None:
            await memory.remember(self.context, self.conversation, new)
        return TaskResult(
            output=cast("OutputT", output),
            text=ended.text,
            agent=ended.agent.name,
            finish_reason=ended.reason,
            messages=tuple(ended.transcript),
            new_messages=tuple(new),
            calls=tuple(spent.calls),
            turns=loop.turns_used(ended.transcript),
        )
