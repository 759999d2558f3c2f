"""Conversations of agents, as notebooks show them.

What a model or a tool has said is not to be trusted: it is shown as text, never as Markdown or
HTML of its own.
"""

from collections.abc import Iterable
from typing import Any

from workflow_agents.display import html

_ROLES = {
    "SystemMessage": ("background", "quiet"),
    "UserMessage": ("prompt", "info"),
    "AssistantMessage": ("model", "ok"),
    "ToolMessage": ("tool", "wait"),
}


def transcript(messages: Iterable[Any]) -> str:
    """The messages of a conversation (`ChatMessage`s)."""
    return html.page(_messages(messages))


def task(result: Any) -> str:
    """A `TaskResult`: the answer, what it cost, and the conversation, folded."""
    usage = result.usage
    cost = getattr(result, "cost_usd", None)
    facts = [
        f"{result.turns} turns",
        f"{usage.prompt_tokens:,} + {usage.completion_tokens:,} tokens",
        *([f"${cost:.6f}".rstrip("0").rstrip(".")] if cost is not None else []),
    ]
    finished = "ok" if result.finish_reason == "stop" else "wait"
    head = (
        f'<div class="head">{html.chip(result.finish_reason, finished)}'
        f'<span class="quiet">{html.text(" · ".join(facts))}</span></div>'
    )
    answer = f"<pre>{html.text(result.text)}</pre>"
    count = f"{len(result.messages)} messages"
    return html.page(head, answer, html.folded(count, _messages(result.messages)))


def line(result: Any) -> str:
    """A `TaskResult` on one line of plain text, its state last."""
    text, tokens = html.plain(result.text, 60), result.usage.total_tokens
    return f"TaskResult({text!r}, {result.turns} turns, {tokens} tokens: {result.finish_reason})"


def plain(messages: Iterable[Any]) -> list[str]:
    """A conversation as lines of plain text."""
    lines: list[str] = []
    for message in messages:
        role, _ = _ROLES.get(type(message).__name__, ("message", "quiet"))
        if message.content:
            lines.append(f"{role}: {html.plain(message.content, 100)}")
        lines += [
            f"{role} calls {call.name}({html.plain(call.arguments, 60)})"
            for call in getattr(message, "tool_calls", ())
        ]
    return lines


def _messages(messages: Iterable[Any]) -> str:
    return "".join(_message(message) for message in messages)


def _message(message: Any) -> str:
    role, colour = _ROLES.get(type(message).__name__, ("message", "quiet"))
    label = f"{role} {message.name}" if role == "tool" else role
    if getattr(message, "is_error", False):
        colour = "bad"
    body = f"<pre>{html.text(message.content)}</pre>" if message.content else ""
    if role == "tool":
        body = html.folded(html.text(message.content, 100), body)
    calls = "".join(
        f"<div>calls <b>{html.text(call.name)}</b> {html.code(call.arguments, 500)}</div>"
        for call in getattr(message, "tool_calls", ())
    )
    return f'<div class="m">{html.chip(label, colour)}{body}{calls}</div>'
