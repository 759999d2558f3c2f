"""A letter is written by OpenAI, proofread by Anthropic and sent by Resend: `context.api`.

Source: the documentation's page "context.api". Each service is a stand-in that refuses what the
real one refuses.
"""

import asyncio
import os
from typing import Any

from stand_in import Service

from workflow_agents import AsyncWorkflowContext, Engine

engine = Engine("letters.db")
outbox: list[dict[str, Any]] = []


@engine.workflow("/welcome")
async def welcome(context: AsyncWorkflowContext[dict]) -> str:
    """Keys are read from the environment when a request is made, and stored nowhere."""
    name, url = context.request_payload["name"], context.request_payload["services"]
    drafted = await context.api.openai.call(
        "draft",
        base_url=f"{url}/openai",
        body={"model": "gpt-4o", "messages": [{"role": "user", "content": f"Welcome {name}."}]},
    )
    draft = drafted.body["choices"][0]["message"]["content"]
    read = await context.api.anthropic.call(
        "proofread",
        base_url=f"{url}/anthropic",
        body={
            "model": "claude-sonnet",
            "max_tokens": 200,
            "messages": [{"role": "user", "content": f"Proofread: {draft}"}],
        },
    )
    text = read.body["content"][0]["text"]
    sent = await context.api.resend.call(
        "send",
        base_url=f"{url}/resend",
        body={
            "from": "Shop <hello@shop.example>",
            "to": [f"{name}@mail.example"],
            "subject": "Welcome",
            "html": f"<p>{text}</p>",
        },
    )
    return sent.body["id"]


def chat(headers: dict[str, str], body: Any) -> tuple[int, Any]:
    if headers.get("authorization") != "Bearer sk-openai":
        return 401, {"error": {"message": "no such key"}}
    asked = body["messages"][-1]["content"]
    return 200, {"choices": [{"message": {"role": "assistant", "content": f"{asked} Gald!"}}]}


def messages(headers: dict[str, str], body: Any) -> tuple[int, Any]:
    if headers.get("x-api-key") != "sk-anthropic" or not headers.get("anthropic-version"):
        return 401, {"error": {"message": "no such key"}}
    text = body["messages"][-1]["content"].removeprefix("Proofread: ").replace("Gald", "Glad")
    return 200, {"content": [{"type": "text", "text": text}]}


def emails(headers: dict[str, str], body: Any) -> tuple[int, Any]:
    if headers.get("authorization") != "Bearer re-key":
        return 401, {"message": "no such key"}
    outbox.append(body)
    return 200, {"id": f"email-{len(outbox)}"}


async def main() -> None:
    os.environ.update(
        OPENAI_API_KEY="sk-openai", ANTHROPIC_API_KEY="sk-anthropic", RESEND_API_KEY="re-key"
    )
    paths = {
        "POST /openai/v1/chat/completions": chat,
        "POST /anthropic/v1/messages": messages,
        "POST /resend/emails": emails,
    }
    with Service(paths) as services:
        async with engine:
            payload = {"name": "ada", "services": services.url}
            handle = await engine.client.trigger(welcome, payload)
            print(await handle.result())
            print(*(f"{step.type}: {step.name}" for step in (await handle.log()).steps), sep="\n")
    print(outbox[0]["to"], outbox[0]["html"])


asyncio.run(main())

# prints:
#   email-1
#   Call: draft
#   Call: proofread
#   Call: send
#   ['ada@mail.example'] <p>Welcome ada. Glad!</p>
