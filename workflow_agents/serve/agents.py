"""Agents served as workflows of their own, so that one can be run without writing any.

An agent's path is made of its name. A run of it is like any other: after a crash it goes on as
soon as an agent of this name is served again.
"""

from typing import Any, cast
from urllib.parse import quote

from workflow_agents.agents.agent import Agent
from workflow_agents.agents.kept_results import from_data, to_data
from workflow_agents.agents.tasks import TaskResult
from workflow_agents.agents.workflow import agent_workflow
from workflow_agents.context.context import AsyncWorkflowContext
from workflow_agents.errors import ConfigurationError, StepUsageError


class ServedAgent:
    """What `engine.add_agent` returns; pass it to `trigger`, `run` and `invoke`.

    The payload of its runs is `{"prompt": "..."}`, with whatever else `agents.task` takes.

    Attributes:
        path: what stored runs find it by.
        agent: who does the tasks.
    """

    def __init__(self, agent: Any) -> None:
        self.agent = checked_agent(agent)
        self.path = f"/agents/{quote(self.agent.name, safe='')}"

    def as_body(self, body: Any) -> Any:
        """The payload of what `run` was given: a prompt as text, or the payload itself."""
        return {"prompt": body} if isinstance(body, str) else body

    def read_result(self, data: Any) -> Any:
        """The `TaskResult` of a run's result."""
        result: TaskResult[Any] = from_data(TaskResult, data)
        output_type = self.agent.output_type
        if output_type is str:
            return result
        from dataclasses import replace

        from pydantic import TypeAdapter

        output = TypeAdapter[Any](output_type).validate_python(result.output)
        return replace(result, output=output)

    async def do_task(self, context: AsyncWorkflowContext[Any]) -> Any:
        """The workflow function."""
        payload = context.request_payload
        task = cast("dict[str, Any]", payload) if isinstance(payload, dict) else {}
        if not isinstance(task.get("prompt"), str):
            raise StepUsageError(
                "WA205",
                where=f"agent {self.agent.name!r}",
                found=f'expected {{"prompt": "..."}}, found {payload!r}'[:200],
                fix=('send JSON: {"prompt": "..."}', 'await engine.run(agent, "...")'),
            )
        return to_data(await agent_workflow(context).task(agent=self.agent, **task).run())

    def __repr__(self) -> str:
        return f"ServedAgent({self.path!r})"


def checked_agent(agent: Any) -> Agent[Any]:
    """The same, if it is an agent.

    Raises:
        ConfigurationError: WA107.
    """
    if not isinstance(agent, Agent):
        raise ConfigurationError(
            "WA107",
            found=f"expected a workflow, its path or its URL, or an agent, found {agent!r}"[:200],
        )
    return cast("Agent[Any]", agent)
