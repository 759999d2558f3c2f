"""A context in memory, and a scripted model, for the tests of agents."""

import asyncio
import inspect
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import httpx2
import pytest

from workflow_agents.agents.models.openai import OpenAIModel
from workflow_agents.agents.workflow import Agents, agent_workflow
from workflow_agents.context.current_step import CurrentStep
from workflow_agents.core.acceptance import shortcoming
from workflow_agents.errors import StepFailed
from workflow_agents.protocol.results import CallResponse, EventResult, InvokeResult, stored_body
from workflow_agents.protocol.secrets import Secret
from workflow_agents.testing.model_server import ScriptedModel

_STEP: ContextVar[CurrentStep | None] = ContextVar("step", default=None)

Key = tuple[str, int]
"""A step's name, and which of that name it is: the same in every replay of these tests."""


class FakeContext:
    """Runs steps in place and keeps their results as JSON; or replays them, and nothing else.

    Attributes:
        steps: the names of the steps, in the order in which they were asked for.
        history: what they returned, as JSON text.
        calls: the options of each call.
        options: the options of each `run` step that has any, by its name.
        bodies: how many bodies of steps were executed.
        conversations: what is remembered, by key.
        waits: the options of each wait for an event.
        answers: what waits for events are told, in order; None: their time is up.
    """

    def __init__(
        self, client: httpx2.AsyncClient, history: Mapping[Key, str] | None = None
    ) -> None:
        self.client = client
        self.replaying = history is not None
        self.history: dict[Key, str] = dict(history or {})
        self.steps: list[str] = []
        self.calls: list[dict[str, Any]] = []
        self.options: dict[str, dict[str, Any]] = {}
        self.workflow_run_id = "wfr_fake"
        self.created_at = 1_700_000_000_000
        self.other_models = frozenset[str]()
        self.conversations: dict[str, list[Any]] = {}
        self.waits: list[dict[str, Any]] = []
        self.answers: list[Any] = []
        self.bodies = 0
        self.env = {"OPENAI_API_KEY": "sk-from-the-environment"}
        self._asked: Counter[str] = Counter()

    def replay(self) -> "FakeContext":
        """A context that knows what this one has recorded, and executes nothing."""
        replay = FakeContext(self.client, self.history)
        replay.conversations = self.conversations
        return replay

    @property
    def current_step(self) -> CurrentStep | None:
        return _STEP.get()

    def run(self, name: str, fn: Callable[[], Any], **options: Any) -> Coroutine[Any, Any, Any]:
        if options:
            self.options[name] = options
        key = self._key(name)
        return self._step(key, lambda: self._execute(fn, key))

    def invoke(self, name: str, workflow: Any, body: Any = None) -> Coroutine[Any, Any, Any]:
        return self._invoke(self._key(name), workflow, body)

    def wait_for_event(self, name: str, event_id: str, **options: Any) -> Any:
        self.waits.append({"name": name, "event_id": event_id, **options})
        return self._wait(self._key(name))

    async def _wait(self, key: Key) -> EventResult[Any]:
        async def answered() -> dict[str, Any]:
            answer = self.answers.pop(0)
            data = answer(self.waits[-1]) if callable(answer) else answer
            return {"data": data, "timeout": data is None}

        return EventResult.read(await self._step(key, answered))

    def recall(self, name: str, conversation: str, *, last: int | None = None) -> Any:
        return self._recall(self._key(name), conversation, last)

    async def _recall(self, key: Key, conversation: str, last: int | None) -> list[Any]:
        async def read() -> int:
            return len(self.conversations.get(conversation, ()))

        up_to = await self._step(key, read)
        return self.conversations.get(conversation, [])[:up_to][-(last or up_to) or up_to :]

    def remember(self, name: str, conversation: str, messages: Any) -> Any:
        return self._remember(self._key(name), conversation, messages)

    async def _remember(self, key: Key, conversation: str, messages: Any) -> None:
        async def append() -> None:
            self.conversations.setdefault(conversation, []).extend(messages)

        await self._step(key, append)

    async def _invoke(self, key: Key, workflow: Any, body: Any) -> InvokeResult[Any]:
        return InvokeResult.read(await self._step(key, lambda: workflow(body)))

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

    async def _execute(self, fn: Callable[[], Any], key: Key) -> Any:
        name, number = key
        token = _STEP.set(CurrentStep(name, number, f"wfr_fake/{name}/{number}", 1))
        try:
            value = fn()
            return await value if inspect.isawaitable(value) else value
        finally:
            _STEP.reset(token)

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
