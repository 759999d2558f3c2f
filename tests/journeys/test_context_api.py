"""`context.api`: the requests that reach OpenAI, Anthropic and Resend. Source: basics/context/api.

Each service is a strict stand-in on a real socket that refuses what the real one refuses.
"""

import json
from typing import Any

import pytest

from workflow_agents import AsyncWorkflowContext, ConfigurationError, Secret
from workflow_agents.testing._http import HttpAnswer

EMAIL = {
    "from": "Acme <onboarding@acme.example>",
    "to": ["delivered@resend.dev"],
    "subject": "Hello World",
    "html": "<p>It works!</p>",
}


def refusal(status: int, message: str) -> HttpAnswer:
    body = json.dumps({"error": {"message": message}}).encode()
    return HttpAnswer(status, body, {"content-type": "application/json"})


def chat(request: Any) -> Any:
    if request.headers.get("authorization") not in {"Bearer sk-given", "Bearer sk-env"}:
        return refusal(401, "no such key")
    body = request.json()
    if not body.get("model") or not body.get("messages"):
        return refusal(400, "model and messages are required")
    return {"choices": [{"message": {"role": "assistant", "content": "hello!"}}]}


def messages(request: Any) -> Any:
    if request.headers.get("x-api-key") != "sk-env" or "authorization" in request.headers:
        return refusal(401, "no such key")
    if request.headers.get("anthropic-version") != "2023-06-01":
        return refusal(400, "anthropic-version is required")
    if "max_tokens" not in request.json():
        return refusal(400, "max_tokens is required")
    return {"content": [{"type": "text", "text": "hello!"}]}


def emails(request: Any) -> Any:
    if request.headers.get("authorization") != "Bearer re-env":
        return refusal(401, "no such key")
    sent = request.json()
    wanted = list if request.url.endswith("/batch") else dict
    if not isinstance(sent, wanted):
        return refusal(422, f"expected a {wanted.__name__}")
    for email in sent if isinstance(sent, list) else [sent]:
        if missing := {"from", "to", "subject"} - set(email):
            return refusal(422, f"missing: {missing}")
    return {"id": "49a3999c"} if wanted is dict else {"data": [{"id": "1"}, {"id": "2"}]}


@pytest.fixture(autouse=True)
def services(web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-env")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-env")
    monkeypatch.setenv("RESEND_API_KEY", "re-env")
    web.answer("https://api.openai.com/v1/chat/completions", chat)
    web.answer("https://api.deepseek.com/v1/chat/completions", chat)
    web.answer("https://api.anthropic.com/v1/messages", messages)
    web.answer("https://api.resend.com/emails", emails)


CHAT = {
    "model": "gpt-4o",
    "messages": [
        {"role": "system", "content": "Assistant says 'hello!'"},
        {"role": "user", "content": "User shouts back 'hi!'"},
    ],
}


@pytest.mark.parametrize(
    "options",
    [
        {"token": "sk-given"},
        {"token": Secret("OPENAI_API_KEY")},
        {},
        {"base_url": "https://api.deepseek.com"},
        {"base_url": "https://api.deepseek.com/v1/"},
    ],
    ids=str,
)
async def test_openai(site, serve, options) -> None:
    @serve.post("/chat")
    async def ask(context: AsyncWorkflowContext[str]) -> str:
        answer = await context.api.openai.call(
            "Call OpenAI", operation="chat.completions.create", body=CHAT, **options
        )
        return answer.body["choices"][0]["message"]["content"]

    log = await site.run("/chat")
    assert log.result == "hello!"
    assert [(step.type, step.name) for step in log.steps] == [("Call", "Call OpenAI")]


async def test_anthropic(site, serve) -> None:
    @serve.post("/chat")
    async def ask(context: AsyncWorkflowContext[str]) -> str:
        answer = await context.api.anthropic.call(
            "Call Anthropic",
            operation="messages.create",
            body={
                "model": "claude-3-5-sonnet-latest",
                "max_tokens": 1024,
                "messages": [{"role": "user", "content": "Hello, world"}],
            },
        )
        return answer.body["content"][0]["text"]

    assert (await site.run("/chat")).result == "hello!"


@pytest.mark.parametrize("batch", [False, True])
async def test_resend(site, serve, web, batch) -> None:
    @serve.post("/mail")
    async def mail(context: AsyncWorkflowContext[str]) -> Any:
        body = [EMAIL, EMAIL] if batch else EMAIL
        answer = await context.api.resend.call("Call Resend", batch=batch, body=body)
        return answer.body

    result = (await site.run("/mail")).result
    assert result == ({"data": [{"id": "1"}, {"id": "2"}]} if batch else {"id": "49a3999c"})
    [request] = web.requests
    assert request.headers["idempotency-key"]


async def test_a_key_that_is_not_given_is_not_stored(site, serve) -> None:
    @serve.post("/chat")
    async def ask(context: AsyncWorkflowContext[str]) -> int:
        return (await context.api.openai.call("ask", body=CHAT)).status

    assert (await site.run("/chat")).result == 200
    assert b"sk-env" not in site.store.read_bytes()


@pytest.mark.parametrize(
    ("mistake", "code", "found"),
    [
        (lambda api: api.openai.call("x", body={}, operation="chat.create"), "WA102", "operation"),
        (lambda api: api.openai.call("x", body={}, api_key="sk"), "WA101", "api_key"),
        (lambda api: api.resend.call("x", body=EMAIL, batch=True), "WA102", "body"),
        (lambda api: api.resend.call("x", body=[EMAIL]), "WA102", "body"),
    ],
)
async def test_mistakes_are_told(site, serve, mistake, code, found) -> None:
    @serve.post("/mistake", retries=0)
    async def wrong(context: AsyncWorkflowContext[str]) -> str:
        try:
            await mistake(context.api)
        except ConfigurationError as error:
            told = f"{error.code} {error}"
        return await context.run("told", lambda: told)

    result = (await site.run("/mistake")).result
    assert result.startswith(code)
    assert found in result
