"""What was said in a run of agents: the requests of its model calls, read as a conversation.

Pure. Each request holds all that was said before it; of each is shown what is new in it, and
then the reply. Three forms are read: chat completions, responses, messages. What a model or a
tool has said is not to be trusted, and is told as text.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import unquote

from workflow_agents.core.step_logs import StepLog

_AGENT = "upstash-agent-name"
_HERE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]{1,4000000}")
"""Pictures without a script in them, whole."""


@dataclass(slots=True)
class Tokens:
    """Tokens of a model call."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0

    @property
    def any(self) -> bool:
        """Whether the provider has told any."""
        return bool(self.prompt or self.completion)


@dataclass(slots=True)
class Said:
    """Something that was said.

    Attributes:
        role: system, user, assistant or tool.
        agent: who says it, or whom it is said to.
        text: what.
        calls: of tools: id, name and arguments.
        answers: of a tool: the id of the call that it answers.
        step: whose reply it is.
        model: of a reply.
        tokens: of a reply.
        pictures: that stand in it, as addresses that hold all of them: `data:image/png;base64,`.
    """

    role: str
    agent: str
    text: str = ""
    calls: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    answers: str | None = None
    step: Any = None
    model: str | None = None
    tokens: Tokens | None = None
    pictures: list[str] = field(default_factory=list[str])


def is_model_call(step: StepLog) -> bool:
    """Whether a step asks a model."""
    request = step.request
    return request is not None and (
        _AGENT in request.headers or _messages(_members(request.body)) is not None
    )


def reply_of(step: StepLog) -> Said | None:
    """What a model has answered to the request of a step; None: it was none that is read here."""
    if step.request is None:
        return None
    reply = _reply(step, unquote(step.request.headers.get(_AGENT, "")))
    if reply is not None and reply.model is None:
        reply.model = _text(_members(step.request.body).get("model")) or None
    return reply


def conversation(steps: Iterable[StepLog]) -> list[Said]:
    """All that was said, in order.

    Args:
        steps: of the run, in order.
    """
    found: list[Said] = []
    known: dict[str, list[Any]] = {}
    for step in steps:
        if not is_model_call(step) or step.request is None:
            continue
        agent = unquote(step.request.headers.get(_AGENT, ""))
        body = _members(step.request.body)
        given = _messages(body)
        if given is not None:
            before = known.get(agent, [])
            new = given
            if before and given[: len(before)] == before:
                # The reply that was shown already comes behind what was known.
                new = [m for m in given[len(before) :] if not _is_reply(m)]
            known[agent] = given
            found += (_read(message, agent) for message in new)
        reply = _reply(step, agent)
        if reply is not None:
            reply.model = reply.model or _text(body.get("model")) or None
            found.append(reply)
    return [said for said in found if said.text or said.calls or said.pictures]


def _members(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _messages(body: Mapping[str, Any]) -> list[Any] | None:
    given = body.get("messages", body.get("input"))
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    if not isinstance(given, list):
        return None
    background = body.get("system") or body.get("instructions")
    first: list[Any] = [{"role": "system", "content": background}] if background else []
    return [*first, *cast("list[Any]", given)]


def _is_reply(message: Any) -> bool:
    members = _members(message)
    return members.get("role") == "assistant" or members.get("type") in {
        "function_call",
        "reasoning",
    }


def _content(value: Any) -> str:
    """The text of a content, which may be a list of parts."""
    if isinstance(value, str):
        return value
    parts: list[str] = []
    for part in _list(value):
        members = _members(part)
        text = members.get("text", members.get("content"))
        if isinstance(text, str):
            parts.append(text)
        elif members.get("type") == "tool_result":
            parts.append(_content(text))
        elif members.get("type") not in {"tool_use", "thinking"} and not _picture(members):
            parts.append(_other(members))
    return "\n".join(parts)


def _picture(part: Mapping[str, Any]) -> str | None:
    """A picture that stands in a part of a message: nobody has to be asked for it."""
    source = _members(part.get("source"))
    if source.get("type") == "base64":
        found = f"data:{source.get('media_type')};base64,{source.get('data')}"
    else:
        given = part.get("image_url")
        found = _text(_members(given).get("url")) or _text(given)
    return found if _HERE.fullmatch(found) else None


def _other(part: Mapping[str, Any]) -> str:
    """What is not text, by its kind, and its name or its address; that is not asked for."""
    file, given = _members(part.get("file")) or part, part.get("image_url")
    address = _members(given).get("url") or given or _members(part.get("source")).get("url")
    name = _text(file.get("filename")) or _text(file.get("file_id")) or _text(address)
    return f"[{part.get('type', 'part')}{': ' if name else ''}{name[:200]}]"


def _arguments(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _read(message: Any, agent: str) -> Said:
    members = _members(message)
    match members.get("type"):
        case "function_call":
            call = _text(members.get("call_id")), _text(members.get("name"))
            return Said("assistant", agent, calls=[(*call, _arguments(members.get("arguments")))])
        case "function_call_output":
            answers = _text(members.get("call_id"))
            return Said("tool", agent, _content(members.get("output")), answers=answers)
        case _:
            pass
    content = members.get("content")
    said = Said(_text(members.get("role")) or "user", agent, _content(content))
    if said.role == "developer":
        said.role = "system"
    said.pictures += filter(None, map(_picture, map(_members, _list(content))))
    for call in _list(members.get("tool_calls")):
        function = _members(_members(call).get("function"))
        said.calls.append(
            (_text(_members(call).get("id")), _text(function.get("name")),
             _arguments(function.get("arguments")))
        )  # fmt: skip
    for part in map(_members, _list(content)):
        if part.get("type") == "tool_use":
            said.calls.append(
                (_text(part.get("id")), _text(part.get("name")), _arguments(part.get("input")))
            )
        elif part.get("type") == "tool_result":
            said.role, said.answers = "tool", _text(part.get("tool_use_id"))
    if said.role == "tool":
        said.answers = said.answers or _text(members.get("tool_call_id"))
    return said


def _reply(step: StepLog, agent: str) -> Said | None:
    answer = _members(_members(step.out).get("json"))
    choices = _list(answer.get("choices"))
    if choices:
        said = _read({**_members(_members(choices[0]).get("message")), "role": "assistant"}, agent)
    elif "output" in answer:
        said = Said("assistant", agent)
        for part in map(_members, _list(answer.get("output"))):
            if part.get("type") == "function_call":
                said.calls += _read(part, agent).calls
            elif part.get("type") == "message":
                said.text += _content(part.get("content"))
    elif "content" in answer:
        said = _read({"role": "assistant", "content": answer["content"]}, agent)
    else:
        return None
    said.step, said.model = step.step, _text(answer.get("model")) or None
    said.tokens = _tokens(_members(answer.get("usage")))
    return said


def _tokens(usage: Mapping[str, Any]) -> Tokens:
    def count(*names: str) -> int:
        found = (usage.get(name) for name in names)
        return next((n for n in found if isinstance(n, int) and not isinstance(n, bool)), 0)

    details = _members(usage.get("prompt_tokens_details") or usage.get("input_tokens_details"))
    cached = details.get("cached_tokens") or usage.get("cache_read_input_tokens") or 0
    prompt = count("prompt_tokens", "input_tokens")
    if "cache_read_input_tokens" in usage:
        # This provider counts them besides.
        prompt += count("cache_read_input_tokens") + count("cache_creation_input_tokens")
    return Tokens(
        prompt,
        count("completion_tokens", "output_tokens"),
        cached if isinstance(cached, int) else 0,
    )
