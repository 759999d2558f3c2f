"""What the OpenAI API refuses in a chat completions request, in its own words.

Rules only: a request body comes in, and it either passes or `Refused` is raised. The rules
cover what agents send: parameters, the shape and order of messages, the shape of tools.
"""

from typing import Any, cast

from workflow_agents.testing import _rules as rules
from workflow_agents.testing._rules import Refused

# fmt: off
PARAMETERS = frozenset([
    "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs",
    "max_completion_tokens", "max_tokens", "messages", "metadata", "modalities", "model",
    "moderation", "n", "parallel_tool_calls", "prediction", "presence_penalty",
    "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning_effort",
    "response_format", "safety_identifier", "seed", "service_tier", "stop", "store", "stream",
    "stream_options", "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user",
    "verbosity", "web_search_options",
])
# fmt: on

_MAX_STOPS = 4
_MOST_TOKENS = 10_000_000
_CHOICES = ("none", "auto", "required")
_FIELDS = {
    "system": {"role", "content", "name"},
    "developer": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {"role", "content", "name", "tool_calls", "refusal", "audio", "function_call"},
    "tool": {"role", "content", "tool_call_id"},
}


def check(body: Any) -> None:
    """Pass a request body, or raise `Refused`."""
    if not isinstance(body, dict):
        raise Refused("We could not parse the JSON body of your request: it is not an object.")
    request = cast("dict[str, Any]", body)
    if not request.get("model"):
        raise Refused("you must provide a model parameter")
    rules.only(request, PARAMETERS)
    rules.text(request, "model")
    _check_messages(rules.array(request, "messages"))
    _check_numbers(request)
    _check_reasoning(request)
    _check_stop(request.get("stop"))
    _check_stream(request)
    _check_format(request.get("response_format"), str(request["messages"]))
    _check_tools(request)


def _check_numbers(request: dict[str, Any]) -> None:
    rules.sampling(request)
    rules.number(request, "frequency_penalty", -2, 2)
    rules.number(request, "presence_penalty", -2, 2)
    for name in ("max_tokens", "max_completion_tokens"):
        rules.number(request, name, 1, _MOST_TOKENS, whole=True)
    rules.number(request, "seed", -(2**63), 2**63 - 1, whole=True)
    rules.number(request, "n", 1, 1, whole=True)


def _check_reasoning(request: dict[str, Any]) -> None:
    """Tokens and effort, which models that reason take under other names, or alone."""
    both = [n for n in ("max_tokens", "max_completion_tokens") if request.get(n) is not None]
    if len(both) > 1:
        raise Refused(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            "max_tokens",
            "invalid_parameter_combination",
        )
    reasons = rules.REASONING_MODEL.match(request["model"])
    if reasons and request.get("max_tokens") is not None:
        raise Refused(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            "max_tokens",
            "unsupported_parameter",
        )
    effort = request.get("reasoning_effort")
    if effort is None:
        return
    if not reasons:
        raise Refused("Unrecognized request argument supplied: reasoning_effort")
    rules.one_of(effort, rules.EFFORTS, "reasoning_effort")


def _check_stop(stop: Any) -> None:
    if stop is None or isinstance(stop, str):
        return
    texts = rules.array({"stop": stop}, "stop")
    if len(texts) > _MAX_STOPS:
        raise Refused(
            f"Invalid 'stop': array too long. Expected an array with maximum length {_MAX_STOPS}, "
            f"but got an array with length {len(texts)} instead.",
            "stop",
            "array_above_max_length",
        )
    for index, value in enumerate(texts):
        if not isinstance(value, str):
            raise rules.wrong_type(f"stop[{index}]", "a string", value)


def _check_stream(request: dict[str, Any]) -> None:
    rules.truth(request, "stream")
    options = request.get("stream_options")
    if options is None:
        return
    if not request.get("stream"):
        raise Refused(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            "stream_options",
        )
    rules.only(
        rules.mapping(options, "stream_options"),
        ("include_usage", "include_obfuscation"),
        "stream_options",
    )
    rules.truth(options, "include_usage", "stream_options")


def _check_format(value: Any, conversation: str) -> None:
    if value is None:
        return
    wanted, param = rules.mapping(value, "response_format"), "response_format"
    kind = rules.text(wanted, "type", param)
    rules.one_of(kind, ("json_object", "json_schema", "text"), f"{param}.type")
    rules.only(wanted, ("type", "json_schema") if kind == "json_schema" else ("type",), param)
    if kind == "json_schema":
        place = f"{param}.json_schema"
        rules.output_format(rules.mapping(wanted.get("json_schema"), place), param, place)
    elif kind == "json_object" and "json" not in conversation.lower():
        raise Refused(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of "
            "type 'json_object'.",
            "messages",
        )


def _check_messages(messages: list[Any]) -> None:
    """Each message by itself; and every tool call answered once, before anyone else speaks."""
    open_calls: list[str] = []
    for index, value in enumerate(messages):
        where = f"messages[{index}]"
        message = rules.mapping(value, where)
        role = _check_role(message, where)
        if role == "tool":
            call_id = rules.text(message, "tool_call_id", where)
            if call_id not in open_calls:
                raise Refused(
                    "Invalid parameter: messages with role 'tool' must be a response to a "
                    "preceeding message with 'tool_calls'.",
                    f"messages.[{index}].role",
                )
            open_calls.remove(call_id)
        elif open_calls:
            raise _unanswered(open_calls, index)
        if role == "assistant":
            open_calls = _tool_call_ids(message, where)
        _check_content(message, where, needed=not open_calls or role != "assistant")
    if open_calls:
        raise _unanswered(open_calls, len(messages))


def _check_role(message: dict[str, Any], where: str) -> str:
    role = rules.text(message, "role", where)
    if role not in _FIELDS:
        supported = "'system', 'assistant', 'user', 'function', 'tool', and 'developer'"
        raise Refused(
            f"Invalid value: '{role}'. Supported values are: {supported}.",
            f"{where}.role",
            "invalid_value",
        )
    rules.only(message, _FIELDS[role], where)
    return role


def _check_content(message: dict[str, Any], where: str, *, needed: bool) -> None:
    content = message.get("content")
    if content is None and needed:
        raise Refused(
            "Invalid value for 'content': expected a string, got null.", f"{where}.content"
        )
    if isinstance(content, list):
        for index, value in enumerate(cast("list[Any]", content)):
            place = f"{where}.content[{index}]"
            rules.text(rules.mapping(value, place), "type", place)
    elif content is not None and not isinstance(content, str):
        raise rules.wrong_type(f"{where}.content", "one of a string or array of objects", content)


def _tool_call_ids(message: dict[str, Any], where: str) -> list[str]:
    if message.get("tool_calls") is None:
        return []
    ids: list[str] = []
    for index, value in enumerate(rules.array(message, "tool_calls", where)):
        place = f"{where}.tool_calls[{index}]"
        call = rules.mapping(value, place)
        ids.append(rules.text(call, "id", place))
        rules.one_of(rules.text(call, "type", place), ["function"], f"{place}.type")
        function = rules.mapping(call.get("function"), f"{place}.function")
        rules.function_name(function, f"{place}.function")
        rules.text(function, "arguments", f"{place}.function")
    if len(set(ids)) < len(ids):
        raise Refused(f"Duplicate value for 'tool_call_id' in {where}.", f"{where}.tool_calls")
    return ids


def _check_tools(request: dict[str, Any]) -> None:
    if "tools" not in request:
        for name in ("tool_choice", "parallel_tool_calls"):
            if request.get(name) is not None:
                raise Refused(
                    f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are "
                    "specified.",
                    name,
                )
        return
    names: list[str] = []
    for index, value in enumerate(rules.array(request, "tools")):
        where = f"tools[{index}]"
        tool = rules.mapping(value, where)
        rules.one_of(rules.text(tool, "type", where), ["function"], f"{where}.type")
        function = rules.mapping(tool.get("function"), f"{where}.function")
        fields = ("name", "description", "parameters", "strict")
        rules.only(function, fields, f"{where}.function")
        name = rules.function(function, f"{where}.function")
        if name in names:
            raise Refused(f"Tool names must be unique: '{name}' is used twice.", where)
        names.append(name)
    rules.truth(request, "parallel_tool_calls")
    _check_choice(request.get("tool_choice"), names)


def _check_choice(choice: Any, names: list[str]) -> None:
    if choice is None:
        return
    if isinstance(choice, str):
        rules.one_of(choice, _CHOICES, "tool_choice")
        return
    wanted = rules.mapping(choice, "tool_choice")
    rules.one_of(rules.text(wanted, "type", "tool_choice"), ["function"], "tool_choice.type")
    function = rules.mapping(wanted.get("function"), "tool_choice.function")
    name = rules.text(function, "name", "tool_choice.function")
    if name not in names:
        raise Refused(
            f"Invalid value for 'tool_choice': 'tool_choice.function.name' is '{name}', which is "
            "not in 'tools'.",
            "tool_choice",
        )


def _unanswered(call_ids: list[str], index: int) -> Refused:
    return Refused(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to "
        "each 'tool_call_id'. The following tool_call_ids did not have response messages: "
        + ", ".join(call_ids),
        f"messages.[{index}].role",
    )
