"""What the Anthropic API refuses in a Messages request, in its own words.

Rules only: headers or a request body come in, and they either pass or `Refused` is raised.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any, cast

from workflow_agents.testing._rules import Refused

VERSIONS = ("2023-01-01", "2023-06-01", "2026-10-21")
PARAMETERS = frozenset([
    "cache_control", "container", "inference_geo", "max_tokens", "messages", "metadata", "model",
    "output_config", "service_tier", "speed", "stop_sequences", "stream", "system",
    "temperature", "thinking", "tool_choice", "tools", "top_k", "top_p",
])  # fmt: skip

_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_LEAST_BUDGET = 1024
_TOOL = ("name", "description", "input_schema", "type", "strict", "cache_control", "input_examples")
_BLOCKS = {
    "text": ("type", "text", "cache_control", "citations"),
    "image": ("type", "source", "cache_control"),
    "document": ("type", "source", "title", "context", "citations", "cache_control"),
    "thinking": ("type", "thinking", "signature"),
    "redacted_thinking": ("type", "data"),
    "tool_use": ("type", "id", "name", "input", "cache_control", "caller"),
    "tool_result": ("type", "tool_use_id", "content", "is_error", "cache_control"),
}
_OF_THE_USER = ("text", "image", "document", "tool_result")
_OF_THE_MODEL = ("text", "thinking", "redacted_thinking", "tool_use")


def check_headers(headers: Mapping[str, str], key: str | None) -> None:
    """A key in either style, and a version that exists."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    given = headers.get("x-api-key") or (bearer if scheme == "Bearer" else "")
    if not given.strip():
        raise Refused("x-api-key header is required", status=401, kind="authentication_error")
    if key not in (None, given):
        raise Refused("invalid x-api-key", status=401, kind="authentication_error")
    version = headers.get("anthropic-version")
    if version is None:
        raise Refused("anthropic-version: header is required")
    if version not in VERSIONS:
        raise Refused(f'anthropic-version: "{version}" is not a valid version')


def check(body: Any) -> None:
    """Pass a request body, or raise `Refused`."""
    if not isinstance(body, dict):
        raise Refused("The request body is not valid JSON: expected an object")
    request = cast("dict[str, Any]", body)
    for name in ("model", "max_tokens", "messages"):
        if name not in request:
            raise Refused(f"{name}: Field required")
    _only(request, PARAMETERS, "")
    _text(request, "model", "")
    if not request["model"]:
        raise Refused("model: String should have at least 1 character")
    _whole(request, "max_tokens", 1)
    _number(request, "temperature", 1)
    _number(request, "top_p", 1)
    _check_stops(request.get("stop_sequences"))
    if not isinstance(request.get("stream", False), bool):
        raise Refused("stream: Input should be a valid boolean")
    _check_system(request.get("system"))
    names = _check_tools(request)
    _check_thinking(request)
    _check_choice(request, names)
    _check_output(request.get("output_config"))
    _check_messages(_list(request, "messages", ""), tools=bool(names))


def _check_stops(stops: Any) -> None:
    for index, stop in enumerate(_list({"stop_sequences": stops or []}, "stop_sequences", "")):
        if not isinstance(stop, str):
            raise Refused(f"stop_sequences.{index}: Input should be a valid string")
        if not stop.strip():
            raise Refused(f"stop_sequences.{index}: each stop sequence must contain non-whitespace")


def _check_system(system: Any) -> None:
    if system is None or isinstance(system, str):
        return
    for index, value in enumerate(_list({"system": system}, "system", "")):
        _check_block(value, f"system.{index}", ("text",))


def _check_tools(request: dict[str, Any]) -> list[str]:
    names: list[str] = []
    for index, value in enumerate(_list({"tools": request.get("tools") or []}, "tools", "")):
        where = f"tools.{index}.custom"
        tool = _object(value, f"tools.{index}")
        _only(tool, _TOOL, where)
        name = _text(tool, "name", where)
        if not _NAME.fullmatch(name):
            message = "String should match pattern '^[a-zA-Z0-9_-]{1,128}$'"
            raise Refused(f"{where}.name: {message}")
        if name in names:
            raise Refused("tools: Tool names must be unique.")
        names.append(name)
        if "description" in tool:
            _text(tool, "description", where)
        if "input_schema" not in tool:
            raise Refused(f"{where}.input_schema: Field required")
        schema = _object(tool["input_schema"], f"{where}.input_schema")
        if schema.get("type") != "object":
            raise Refused(f"{where}.input_schema.type: Input should be 'object'")
        if tool.get("strict"):
            _check_closed(schema, f"{where}.input_schema")
    return names


def _check_thinking(request: dict[str, Any]) -> None:
    if request.get("thinking") is None:
        return
    thinking = _object(request["thinking"], "thinking")
    kind = _one_of(thinking, "type", ("enabled", "disabled", "adaptive"), "thinking")
    if kind == "disabled":
        return
    if kind == "enabled":
        _whole(thinking, "budget_tokens", _LEAST_BUDGET, "thinking.enabled.")
        if thinking["budget_tokens"] >= request["max_tokens"]:
            raise Refused("`max_tokens` must be greater than `thinking.budget_tokens`.")
    if request.get("temperature", 1) != 1:
        raise Refused("`temperature` may only be set to 1 when thinking is enabled.")
    choice: dict[str, Any] = request.get("tool_choice") or {}
    if choice.get("type") in ("any", "tool"):
        raise Refused("Thinking may not be enabled when tool_choice forces tool use.")


def _check_choice(request: dict[str, Any], names: list[str]) -> None:
    if request.get("tool_choice") is None:
        return
    choice = _object(request["tool_choice"], "tool_choice")
    if not names:
        raise Refused("tool_choice: may only be specified while providing tools.")
    kind = _one_of(choice, "type", ("auto", "any", "tool", "none"), "tool_choice")
    known = {"tool": ("type", "name", "disable_parallel_tool_use"), "none": ("type",)}
    _only(choice, known.get(kind, ("type", "disable_parallel_tool_use")), f"tool_choice.{kind}")
    if kind == "tool" and _text(choice, "name", "tool_choice.tool") not in names:
        raise Refused(f"Tool '{choice['name']}' not found in provided tools")


def _check_output(config: Any) -> None:
    if config is None:
        return
    output = _object(config, "output_config")
    _only(output, ("effort", "format"), "output_config")
    if output.get("effort") is not None:
        _one_of(output, "effort", _EFFORTS, "output_config")
    if output.get("format") is None:
        return
    wanted = _object(output["format"], "output_config.format")
    _only(wanted, ("type", "schema"), "output_config.format")
    _one_of(wanted, "type", ("json_schema",), "output_config.format")
    place = "output_config.format.schema"
    if "schema" not in wanted:
        raise Refused(f"{place}: Field required")
    _check_closed(_object(wanted["schema"], place), place)


def _check_closed(schema: Any, where: str) -> None:
    """Objects of a schema that the model is held to take no members but their own."""
    if isinstance(schema, list):
        for value in cast("list[Any]", schema):
            _check_closed(value, where)
    elif isinstance(schema, dict):
        parts = cast("dict[str, Any]", schema)
        if parts.get("type") == "object" and parts.get("additionalProperties") is not False:
            raise Refused(
                f"{where}: For 'object' type, 'additionalProperties' must be explicitly set to "
                "false"
            )
        for name, value in parts.items():
            if name not in ("enum", "const", "default", "examples"):
                _check_closed(value, where)


def _check_messages(messages: list[Any], *, tools: bool) -> None:
    """Each message by itself; and every tool used is answered in the message that follows."""
    if not messages:
        raise Refused("messages: at least one message is required")
    used: list[str] = []
    for index, value in enumerate(messages):
        where = f"messages.{index}"
        message = _object(value, where)
        _only(message, ("role", "content"), where)
        role = _one_of(message, "role", ("user", "assistant"), where)
        if index == 0 and role != "user":
            raise Refused('messages: first message must use the "user" role')
        blocks = _blocks(message, where, role, last=index == len(messages) - 1)
        _check_results(blocks, where, used)
        used = [block["id"] for block in blocks if block["type"] == "tool_use"]
        if len(set(used)) < len(used):
            raise Refused(f"{where}: `tool_use` ids must be unique")
        if not tools and any(block["type"] in ("tool_use", "tool_result") for block in blocks):
            raise Refused(
                "Requests which include `tool_use` or `tool_result` blocks must define tools."
            )
    if used:
        raise _unanswered(used, f"messages.{len(messages) - 1}")


def _blocks(message: dict[str, Any], where: str, role: str, *, last: bool) -> list[dict[str, Any]]:
    if "content" not in message:
        raise Refused(f"{where}.content: Field required")
    content = message["content"]
    if isinstance(content, str):
        content = [{"type": "text", "text": content}] if content else []
    known = _OF_THE_USER if role == "user" else _OF_THE_MODEL
    blocks = [
        _check_block(value, f"{where}.content.{number}", known)
        for number, value in enumerate(_list({"content": content}, "content", where))
    ]
    if not blocks and not (last and role == "assistant"):
        raise Refused(
            f"{where}: all messages must have non-empty content except for the optional final "
            "assistant message"
        )
    if last and role == "assistant" and blocks and blocks[-1]["type"] == "text":
        text = str(blocks[-1]["text"])
        if text != text.rstrip():
            raise Refused("messages: final assistant content cannot end with trailing whitespace")
    return blocks


def _check_block(value: Any, where: str, known: Collection[str]) -> dict[str, Any]:
    block = _object(value, where)
    kind = _one_of(block, "type", known, where)
    _only(block, _BLOCKS[kind], f"{where}.{kind}")
    if kind == "text" and not _text(block, "text", f"{where}.text"):
        raise Refused("messages: text content blocks must be non-empty")
    if kind == "tool_use":
        _text(block, "id", f"{where}.tool_use")
        _text(block, "name", f"{where}.tool_use")
        if not isinstance(block.get("input"), dict):
            raise Refused(f"{where}.tool_use.input: Input should be a valid dictionary")
    if kind == "tool_result":
        _text(block, "tool_use_id", f"{where}.tool_result")
        if not isinstance(block.get("content", ""), str | list):
            raise Refused(f"{where}.tool_result.content: Input should be a valid string")
        if not isinstance(block.get("is_error", False), bool):
            raise Refused(f"{where}.tool_result.is_error: Input should be a valid boolean")
    return block


def _check_results(blocks: list[dict[str, Any]], where: str, used: list[str]) -> None:
    """The results of a message answer the calls of the one before it, and come first."""
    results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
    for index, block in enumerate(blocks):
        if block["type"] == "tool_result" and block["tool_use_id"] not in used:
            raise Refused(
                f"{where}.content.{index}: unexpected `tool_use_id` found in `tool_result` "
                f"blocks: {block['tool_use_id']}. Each `tool_result` block must have a "
                "corresponding `tool_use` block in the previous message."
            )
    if len(set(results)) < len(results):
        raise Refused(f"{where}: each `tool_use` must have a single result.")
    leading = [block["type"] == "tool_result" for block in blocks][: len(results)]
    if set(used) - set(results) or not all(leading):
        before = f"messages.{int(where.rpartition('.')[2]) - 1}"
        raise _unanswered([i for i in used if i not in results] or used, before)


def _unanswered(ids: list[str], where: str) -> Refused:
    return Refused(
        f"{where}: `tool_use` ids were found without `tool_result` blocks immediately after: "
        f"{', '.join(ids)}. Each `tool_use` block must have a corresponding `tool_result` block "
        "in the next message."
    )


def _only(holder: Mapping[str, Any], known: Collection[str], where: str) -> None:
    for name in holder:
        if name not in known:
            raise Refused(f"{f'{where}.{name}'.lstrip('.')}: Extra inputs are not permitted")


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Refused(f"{where}: Input should be a valid dictionary")
    return cast("dict[str, Any]", value)


def _list(holder: dict[str, Any], name: str, where: str) -> list[Any]:
    value = holder[name]
    if not isinstance(value, list):
        raise Refused(f"{f'{where}.{name}'.lstrip('.')}: Input should be a valid list")
    return cast("list[Any]", value)


def _text(holder: dict[str, Any], name: str, where: str) -> str:
    place = f"{where}.{name}".lstrip(".")
    if name not in holder:
        raise Refused(f"{place}: Field required")
    if not isinstance(holder[name], str):
        raise Refused(f"{place}: Input should be a valid string")
    return holder[name]


def _one_of(holder: dict[str, Any], name: str, known: Collection[str], where: str) -> str:
    value = _text(holder, name, where)
    if value not in known:
        options = ", ".join(f"'{option}'" for option in known)
        raise Refused(f"{where}: Input tag '{value}' found using '{name}' is none of {options}")
    return value


def _whole(holder: dict[str, Any], name: str, least: int, where: str = "") -> None:
    value = holder.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refused(f"{where}{name}: Input should be a valid integer")
    if value < least:
        raise Refused(f"{where}{name}: Input should be greater than or equal to {least}")


def _number(holder: dict[str, Any], name: str, most: float) -> None:
    value = holder.get(name)
    if value is None:
        return
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Refused(f"{name}: Input should be a valid number")
    if not 0 <= value <= most:
        raise Refused(f"{name}: range: 0..{most}")
