"""A context in memory, and a scripted model, for the tests of agents."""

import asyncio
import inspect
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any

import httpx2
import pytest

from workflow_agents.agents.agent import Agents, agent_workflow
from workflow_agents.agents.models.openai import OpenAIModel
from workflow_agents.core.acceptance import shortcoming
from workflow_agents.errors import StepFailed
from workflow_agents.protocol.results import CallResponse, stored_body
from workflow_agents.protocol.secrets import Secret
from workflow_agents.testing.model_server import ScriptedModel

Key = tuple[str, int]
"""A step's name, and which of that name it is: the same in every replay of these tests."""


class FakeContext:
    """Runs steps in place and keeps their results as JSON; or replays them, and nothing else.

    Attributes:
        steps: the names of the steps, in the order in which they were asked for.
        history: what they returned, as JSON text.
        calls: the options of each call.
        bodies: how many bodies of steps were executed.
    """

    def __init__(
        self, client: httpx2.AsyncClient, history: Mapping[Key, str] | None = None
    ) -> None:
        self.client = client
        self.replaying = history is not None
        self.history: dict[Key, str] = dict(history or {})
        self.steps: list[str] = []
        self.calls: list[dict[str, Any]] = []
        self.bodies = 0
        self.env = {"OPENAI_API_KEY": "sk-from-the-environment"}
        self._asked: Counter[str] = Counter()

    def replay(self) -> "FakeContext":
        """A context that knows what this one has recorded, and executes nothing."""
        return FakeContext(self.client, self.history)

    def run(self, name: str, fn: Callable[[], Any]) -> Coroutine[Any, Any, Any]:
        return self._step(self._key(name), lambda: self._execute(fn))

    def call(self, name: str, **options: Any) -> Coroutine[Any, Any, CallResponse[Any]]:
        self.calls.append({"name": name, **options})
        return self._call(self._key(name), options)

    async def _call(self, key: Key, options: dict[str, Any]) -> CallResponse[Any]:
        data = await self._step(key, lambda: self._request(key[0], **options))
        return CallResponse.read(data)

    def _key(self, name: str) -> Key:
        self.steps.append(name)
        self._asked[name] += 1
        return name, self._asked[name]

    async def _step(self, key: Key, execute: Callable[[], Any]) -> Any:
        if key not in self.history:
            if self.replaying:
                pytest.fail(f"the replay asks for a step that is not recorded: {key}")
            self.bodies += 1
            self.history[key] = json.dumps(await execute())
        await asyncio.sleep(0)
        return json.loads(self.history[key])

    async def _execute(self, fn: Callable[[], Any]) -> Any:
        value = fn()
        return await value if inspect.isawaitable(value) else value

    async def _request(
        self,
        name: str,
        *,
        url: str,
        method: str,
        body: Any,
        headers: Mapping[str, str | Secret],
        retries: int,
        raise_for_status: bool = False,
        expect: Sequence[str] = (),
        **_: Any,
    ) -> dict[str, Any]:
        sent = {
            key: value if isinstance(value, str) else value.prefix + self.env[value.env]
            for key, value in headers.items()
        }
        for attempt in range(retries + 1):
            try:
                answer = await self.client.request(method, url, json=body, headers=sent)
            except httpx2.TransportError as error:
                if attempt == retries:
                    kind = type(error).__name__
                    raise StepFailed(name, kind, str(error), attempt + 1) from error
                continue
            lack = shortcoming(answer.status_code, answer.content, expect)
            if lack is None or attempt == retries:
                break
        if lack is not None and (raise_for_status or answer.is_success):
            told = f"WA301 {url} {lack}"
            status, text = answer.status_code, answer.text
            raise StepFailed(name, "RemoteError", told, retries + 1, status, text)
        content = stored_body(answer.content, answer.headers.get("content-type", ""))
        return {"status": answer.status_code, "header": _header(answer), **content}


def _header(answer: httpx2.Response) -> dict[str, list[str]]:
    return {name.lower(): [value] for name, value in answer.headers.items()}


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel() as scripted:
        yield scripted


@pytest.fixture
async def context() -> AsyncIterator[FakeContext]:
    async with httpx2.AsyncClient(trust_env=False) as client:
        yield FakeContext(client)


@pytest.fixture
def agents(context: FakeContext) -> Agents:
    return agent_workflow(context)


@pytest.fixture
def llm(agents: Agents, model: ScriptedModel) -> OpenAIModel:
    return agents.openai("gpt-4o", base_url=model.base_url)
