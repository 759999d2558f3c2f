"""Another model or prompt for the model calls of a forked run: requests written anew. Pure.

A fork from a turn of an agent may ask another model of the same provider, with other instructions
or another prompt. That holds for the call at which it was forked and for all later ones of that
agent: what an agent sends is made of what it has sent before. Three forms of requests are known:
chat completions, responses, messages.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast
from urllib.parse import unquote

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.protocol.codec import Undecodable, decode, encode

AGENT_HEADER = "upstash-agent-name"
_BESIDE = "anthropic-version"
"""Who sends this header has instructions beside the messages, not among them."""
_INSTRUCTIONS = frozenset({"system", "developer"})


class ModelAsk(NamedTuple):
    """What a fork asks otherwise; None: as before.

    Attributes:
        model: the name of another model of the same provider.
        system: other instructions.
        prompt: in place of what the user has said last before the fork.
    """

    model: str | None = None
    system: str | None = None
    prompt: str | None = None


def checked_ask(model: object, system: object, prompt: object) -> ModelAsk | None:
    """What users give; None: nothing.

    Raises:
        ConfigurationError: WA102, with the option named.
    """
    for name, value in (("model", model), ("system", system), ("prompt", prompt)):
        if value is not None and (not isinstance(value, str) or not value):
            raise wrong_option(name, "a text", value)
    ask = ModelAsk(cast("Any", model), cast("Any", system), cast("Any", prompt))
    return ask if any(ask) else None


def agent_of(headers: Mapping[str, Any]) -> str:
    """The agent whose request has these headers; "" if none says so."""
    value = headers.get(AGENT_HEADER, "")
    return unquote(value) if isinstance(value, str) else ""


def kept_ask(ask: ModelAsk, body: Any, *, where: str) -> dict[str, Any]:
    """What the new run keeps of it, beside the name of the agent.

    Args:
        ask: what is asked otherwise.
        body: of the request at which it was forked.
        where: that step, for errors.

    Raises:
        ConfigurationError: WA102, the step asks no model.
    """
    said = _said(body)
    if said is None:
        raise wrong_option("step", "a step that asks a model", where)
    kept = {name: value for name, value in ask._asdict().items() if value is not None}
    if ask.prompt is not None:
        places = [at for at, message in enumerate(said) if _is_prompt(message)]
        if not places:
            raise wrong_option("prompt", "nothing, where the user has said nothing", ask.prompt)
        kept["at"] = places[-1]
    return kept


def anew(body: bytes, headers: Mapping[str, Any], asks: Mapping[str, Any]) -> bytes:
    """A request as a forked run makes it; `asks`: what it keeps, by the names of agents."""
    kept = asks.get(agent_of(headers))
    return body if kept is None else asked_anew(body, headers, kept)


def asked_anew(body: bytes, headers: Mapping[str, Any], kept: Mapping[str, Any]) -> bytes:
    """A request as the fork makes it; what is no request of a model stays as it is."""
    try:
        request = decode(body)
    except Undecodable:
        return body
    said = _said(request)
    if said is None:
        return body
    request = dict(cast("dict[str, Any]", request))
    if "model" in kept:
        request["model"] = kept["model"]
    said = list(said)
    at = kept.get("at")
    if isinstance(at, int) and at < len(said) and _is_prompt(said[at]):
        said[at] = {**said[at], "content": kept["prompt"]}
    if "system" in kept:
        beside = "system" if _BESIDE in headers else "instructions" if "input" in request else None
        if beside is not None:
            request[beside] = kept["system"]
        elif said and _members(said[0]).get("role") in _INSTRUCTIONS:
            said[0] = {**said[0], "content": kept["system"]}
        else:
            said.insert(0, {"role": "system", "content": kept["system"]})
    name = "messages" if "messages" in request else "input"
    if not isinstance(request[name], str):
        request[name] = said
    elif at == 0:
        request[name] = kept["prompt"]
    return encode(request)


def _said(body: Any) -> list[Any] | None:
    """The messages of a request; None: it is none that asks a model."""
    if not isinstance(body, dict) or "model" not in body:
        return None
    members = cast("dict[str, Any]", body)
    given = members.get("messages", members.get("input"))
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    return cast("list[Any]", given) if isinstance(given, list) else None


def _is_prompt(message: Any) -> bool:
    members = _members(message)
    content = members.get("content")
    if members.get("role") != "user":
        return False
    # What tools have answered is said by the user too, in one of the forms.
    parts = cast("list[Any]", content) if isinstance(content, list) else []
    return all(_members(part).get("type") != "tool_result" for part in parts)


def _members(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
