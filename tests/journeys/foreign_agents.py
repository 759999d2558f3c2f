"""Agents of other libraries, each with a model call, a tool, and a second model call.

Run as a program it serves one of them on a store file, and kills its own process with SIGKILL
after the model's first answer was recorded, if it is told to:

    python foreign_agents.py <library> <store> <base_url> [crash]
"""

import asyncio
import os
import signal
import sys
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

from workflow_agents import AsyncWorkflowContext, Engine, durable_client, durable_httpx_client

warnings.simplefilter("ignore")
BASE_URL = sys.argv[3] if len(sys.argv) > 3 else ""
KEY = "sk-of-the-test"
QUESTION = "What is 2 + 3?"

Ask = Callable[[AsyncWorkflowContext[Any], Callable[[int, int], int]], Awaitable[str]]


def add(a: int, b: int) -> int:
    """Add two numbers."""
    if "crash" in sys.argv:
        os.kill(os.getpid(), signal.SIGKILL)
    return a + b


TOOL: Any = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    },
}


async def openai_sdk(context: AsyncWorkflowContext[Any], client: Any = None) -> str:
    """The plain SDK: one argument, `http_client`."""
    import json

    from openai import AsyncOpenAI

    http_client = client or durable_client(context)
    openai = AsyncOpenAI(base_url=BASE_URL, api_key=KEY, http_client=http_client)
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    first = await openai.chat.completions.create(model="gpt", messages=messages, tools=[TOOL])
    message = first.choices[0].message
    call: Any = (message.tool_calls or [])[0]
    arguments = json.loads(call.function.arguments)
    total = await context.run("add", lambda: add(**arguments))
    messages += [
        message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": str(total)},
    ]
    last = await openai.chat.completions.create(model="gpt", messages=messages, tools=[TOOL])
    return last.choices[0].message.content or ""


async def openai_sdk_on_httpx(context: AsyncWorkflowContext[Any]) -> str:
    """The same SDK on the older HTTP library."""
    return await openai_sdk(context, durable_httpx_client(context))


async def anthropic_sdk(context: AsyncWorkflowContext[Any]) -> str:
    """The plain SDK: one argument, `http_client`."""
    from anthropic import AsyncAnthropic

    anthropic = AsyncAnthropic(
        base_url=BASE_URL.removesuffix("/v1"), api_key=KEY, http_client=durable_client(context)
    )
    tool: Any = {
        "name": "add",
        "description": "Add two numbers.",
        "input_schema": TOOL["function"]["parameters"],
    }
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    ask: Any = {"model": "claude", "max_tokens": 100, "tools": [tool]}
    first = await anthropic.messages.create(messages=messages, **ask)
    call: Any = next(block for block in first.content if block.type == "tool_use")
    total = await context.run("add", lambda: add(**call.input))
    result = {"type": "tool_result", "tool_use_id": call.id, "content": str(total)}
    messages += [
        {"role": "assistant", "content": [b.model_dump(exclude_none=True) for b in first.content]},
        {"role": "user", "content": [result]},
    ]
    last: Any = await anthropic.messages.create(messages=messages, **ask)
    return last.content[0].text


async def langchain_chat_model(context: AsyncWorkflowContext[Any]) -> str:
    """A LangChain chat model: one argument, `http_async_client`."""
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    llm = ChatOpenAI(
        model="gpt",
        base_url=BASE_URL,
        api_key=SecretStr(KEY),
        http_async_client=durable_httpx_client(context),
    ).bind_tools([TOOL])
    messages: list[Any] = [HumanMessage(QUESTION)]
    first: Any = await llm.ainvoke(messages)
    call = first.tool_calls[0]
    total = await context.run("add", lambda: add(**call["args"]))
    messages += [first, ToolMessage(str(total), tool_call_id=call["id"])]
    return str((await llm.ainvoke(messages)).content)


async def langchain_agent(context: AsyncWorkflowContext[Any]) -> str:
    """A LangChain agent: one argument, `middleware`."""
    from langchain.agents import create_agent
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    from workflow_agents.integrations.langchain import WorkflowMiddleware

    agent: Any = create_agent(
        ChatOpenAI(model="gpt", base_url=BASE_URL, api_key=SecretStr(KEY)),
        [add],
        middleware=[WorkflowMiddleware(context)],
    )
    result = await agent.ainvoke({"messages": [("user", QUESTION)]})
    return str(result["messages"][-1].content)


async def pydantic_ai_agent(context: AsyncWorkflowContext[Any]) -> str:
    """A Pydantic AI agent: one argument, `capabilities`."""
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    from workflow_agents.integrations.pydantic_ai import WorkflowDurability

    model = OpenAIChatModel("gpt", provider=OpenAIProvider(base_url=BASE_URL, api_key=KEY))
    agent = Agent(model, tools=[add], name="adder")
    result = await agent.run(QUESTION, capabilities=[WorkflowDurability(context)])
    return result.output


async def pydantic_ai_on_our_client(context: AsyncWorkflowContext[Any]) -> str:
    """The same by the HTTP client: the engine holds the connection, and tools are not steps."""
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    provider = OpenAIProvider(base_url=BASE_URL, api_key=KEY, http_client=durable_client(context))
    agent = Agent(OpenAIChatModel("gpt", provider=provider), tools=[add], name="adder")
    return (await agent.run(QUESTION)).output


async def openai_agents_sdk(context: AsyncWorkflowContext[Any]) -> str:
    """The OpenAI Agents SDK: one argument, the agent."""
    from agents import (
        Agent,
        OpenAIChatCompletionsModel,
        Runner,
        function_tool,
        set_tracing_disabled,
    )
    from openai import AsyncOpenAI

    from workflow_agents.integrations.openai_agents import durable

    set_tracing_disabled(True)
    model = OpenAIChatCompletionsModel(
        model="gpt", openai_client=AsyncOpenAI(base_url=BASE_URL, api_key=KEY)
    )
    agent = Agent(name="adder", model=model, tools=[function_tool(add)])
    return str((await Runner.run(durable(agent, context), QUESTION)).final_output)


LIBRARIES: dict[str, Any] = {
    function.__name__: function
    for function in (
        openai_sdk,
        openai_sdk_on_httpx,
        anthropic_sdk,
        langchain_chat_model,
        langchain_agent,
        pydantic_ai_agent,
        pydantic_ai_on_our_client,
        openai_agents_sdk,
    )
}


async def main(library: str, store: str) -> None:
    engine = Engine(store)
    engine.add("/ask", LIBRARIES[library])
    async with engine:
        handle = await engine.client.trigger("/ask", workflow_run_id="foreign")
        print(await handle.result())
        print(*((step.type, step.name) for step in (await handle.log()).steps), sep="\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
