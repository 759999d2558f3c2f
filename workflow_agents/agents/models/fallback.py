"""A chain of models: when one gives no usable answer, the next is asked."""

from collections.abc import Coroutine
from typing import Any

from workflow_agents.agents.messages import ModelReply
from workflow_agents.agents.models.port import Model, ModelLike, Turn
from workflow_agents.agents.models.providers import model_of
from workflow_agents.agents.ports import AgentContext
from workflow_agents.errors import ConfigurationError, RemoteError


class FallbackModel:
    """Asks a model, and the next one when that has failed after all its retries.

    Each attempt is a step of its own, whose failure is recorded like a result: a replay takes
    the same way down the chain.

    Args:
        models: in the order in which they are asked; as `model_of` takes them.

    Attributes:
        models: the models.

    Raises:
        ConfigurationError: WA702 for fewer than two models, or what is no model.
    """

    def __init__(self, *models: ModelLike) -> None:
        if len(models) < 2:
            raise ConfigurationError(
                "WA702",
                "a fallback needs a model to fall back on",
                where="FallbackModel",
                found=f"expected two models or more, found {len(models)}",
                fix=('FallbackModel("openai:gpt-4o", "anthropic:claude-sonnet-4-5")',),
            )
        self.models: tuple[Model, ...] = tuple(model_of(model) for model in models)

    def __repr__(self) -> str:
        return f"FallbackModel({', '.join(repr(model) for model in self.models)})"

    @property
    def name(self) -> str:
        """The names of all, in their order: "gpt-4o, claude-sonnet-4-5"."""
        return ", ".join(model.name for model in self.models)

    def ask(self, context: AgentContext, turn: Turn) -> Coroutine[Any, Any, ModelReply]:
        """Ask the first, whose step has its place at once; the others if they are needed.

        Raises:
            RemoteError: WA703, with what each of them had to say.
        """
        return self._ask(context, turn, self.models[0].ask(context, turn))

    async def _ask(
        self, context: AgentContext, turn: Turn, asked: Coroutine[Any, Any, ModelReply]
    ) -> ModelReply:
        failures: list[RemoteError] = []
        for model in self.models[1:]:
            try:
                return await asked
            except RemoteError as error:
                failures.append(error)
                asked = model.ask(context, turn)
        try:
            return await asked
        except RemoteError as last:
            raise self._all_failed(turn, [*failures, last]) from last

    def _all_failed(self, turn: Turn, failures: list[RemoteError]) -> RemoteError:
        pairs = zip(self.models, failures, strict=True)
        last = failures[-1]
        return RemoteError(
            "WA703",
            f"none of {len(self.models)} models gave a usable answer",
            status=last.status,
            body=last.body,
            where=f"agent {turn.agent!r}",
            found=[
                f"{model.name}: {error.what}; {next(iter(error.found), '')}"
                for model, error in pairs
            ],
        )
