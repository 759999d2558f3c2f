"""What the OpenAI API refuses in a Responses request, in its own words.

Rules only, for a server that keeps nothing: the whole conversation comes with each request. What
a request refers to by its id, as the AI SDK does, is taken on trust.
"""

from typing import Any, cast

from workflow_agents.testing import _rules as rules
from workflow_agents.testing._rules import Refused

# fmt: off
PARAMETERS = frozenset([
    "background", "context_management", "conversation", "include", "input", "instructions",
    "max_output_tokens", "max_tool_calls", "metadata", "model", "moderation",
    "parallel_tool_calls", "previous_response_id", "prompt", "prompt_cache_key",
    "prompt_cache_options", "prompt_cache_retention", "reasoning", "safety_identifier",
    "service_tier", "store", "stream", "stream_options", "temperature", "text", "tool_choice",
    "tools", "top_logprobs", "top_p", "truncation", "user",
])
# fmt: on

_LEAST_TOKENS, _MOST_TOKENS = 16, 10_000_000
_ROLES = ("assistant", "system", "developer", "user")
_ITEMS = ("message", "function_call", "function_call_output", "reasoning", "item_reference")
_OF_US = ("input_text", "input_image", "input_file")
_OF_THE_MODEL = ("output_text", "refusal")


def check(body: Any) -> None:
    """Pass a request body, or raise `Refused`."""
    if not isinstance(body, dict):
        raise Refused("We could not parse the JSON body of your request: it is not an object.")
    request = cast("dict[str, Any]", body)
    rules.only(request, PARAMETERS)
    if not rules.text(request, "model"):
        raise Refused("you must provide a model parameter")
    _check_state(request)
    _check_input(request)
    rules.sampling(request)
    rules.number(request, "max_output_tokens", _LEAST_TOKENS, _MOST_TOKENS, whole=True)
    for name in ("store", "stream", "parallel_tool_calls"):
        rules.truth(request, name)
    _check_reasoning(request)
    _check_text(request.get("text"))
    _check_tools(request)


def _check_state(request: dict[str, Any]) -> None:
    if isinstance(request.get("instructions", ""), str | None) is False:
        raise rules.wrong_type("instructions", "a string", request["instructions"])
    previous = request.get("previous_response_id")
    if previous is not None:
        raise Refused(
            f"Previous response with id '{previous}' not found.",
            "previous_response_id",
            "previous_response_not_found",
        )


def _check_input(request: dict[str, Any]) -> None:
    """Each item by itself; and every function call answered, wherever its answer stands."""
    if isinstance(request.get("input"), str):
        return
    calls: list[str] = []
    outputs: list[str] = []
    refers = False
    for index, value in enumerate(rules.array(request, "input")):
        where = f"input[{index}]"
        item = rules.mapping(value, where)
        kind = item.get("type", "message" if "role" in item else None)
        if kind is None:
            raise rules.missing(f"{where}.type")
        rules.one_of(kind, _ITEMS, f"{where}.type")
        if kind == "message":
            _check_message(item, where)
        elif kind == "function_call":
            calls.append(_check_call(item, where))
        elif kind == "function_call_output":
            outputs.append(_check_output(item, where, None if refers else calls))
        elif kind == "item_reference":
            rules.only(item, ("type", "id"), where)
            rules.text(item, "id", where)
            refers = True
    for call_id in calls:
        if call_id not in outputs:
            raise Refused(f"No tool output found for function call {call_id}.", "input")


def _check_message(item: dict[str, Any], where: str) -> None:
    rules.only(item, ("type", "role", "content", "id", "status", "phase"), where)
    role = rules.text(item, "role", where)
    rules.one_of(role, _ROLES, f"{where}.role")
    content = item.get("content")
    if content is None:
        raise rules.missing(f"{where}.content")
    if isinstance(content, str):
        return
    for index, value in enumerate(rules.array(item, "content", where)):
        place = f"{where}.content[{index}]"
        kind = rules.text(rules.mapping(value, place), "type", place)
        known = _OF_THE_MODEL if role == "assistant" else _OF_US
        rules.one_of(kind, known, place)


def _check_call(item: dict[str, Any], where: str) -> str:
    rules.only(item, ("type", "id", "call_id", "name", "arguments", "status"), where)
    rules.function_name(item, where)
    rules.text(item, "arguments", where)
    identity = item.get("id")
    if identity is not None and not str(identity).startswith("fc"):
        raise Refused(
            f"Invalid '{where}.id': '{identity}'. Expected an ID that begins with 'fc'.",
            f"{where}.id",
            "invalid_value",
        )
    return rules.text(item, "call_id", where)


def _check_output(item: dict[str, Any], where: str, calls: list[str] | None) -> str:
    """`calls`: those before it; None if a call may also have been referred to."""
    rules.only(item, ("type", "id", "call_id", "output", "status"), where)
    call_id = rules.text(item, "call_id", where)
    output = item.get("output")
    if output is None:
        raise rules.missing(f"{where}.output")
    if not isinstance(output, str | list):
        raise rules.wrong_type(f"{where}.output", "one of a string or array of objects", output)
    if calls is not None and call_id not in calls:
        message = f"No tool call found for function call output with call_id {call_id}."
        raise Refused(message, "input")
    return call_id


def _check_reasoning(request: dict[str, Any]) -> None:
    if request.get("reasoning") is None:
        return
    reasoning = rules.mapping(request["reasoning"], "reasoning")
    rules.only(reasoning, ("effort", "summary", "generate_summary"), "reasoning")
    effort = reasoning.get("effort")
    if effort is None:
        return
    if not rules.REASONING_MODEL.match(request["model"]):
        raise Refused(
            "Unsupported parameter: 'reasoning.effort' is not supported with this model.",
            "reasoning.effort",
            "unsupported_parameter",
        )
    rules.one_of(effort, rules.EFFORTS, "reasoning.effort")


def _check_text(value: Any) -> None:
    if value is None:
        return
    text = rules.mapping(value, "text")
    rules.only(text, ("format", "verbosity"), "text")
    if text.get("format") is None:
        return
    place = "text.format"
    wanted = rules.mapping(text["format"], place)
    kind = rules.text(wanted, "type", place)
    rules.one_of(kind, ("json_object", "json_schema", "text"), f"{place}.type")
    if kind == "json_schema":
        rules.output_format(wanted, place, place)
    else:
        rules.only(wanted, ("type",), place)


def _check_tools(request: dict[str, Any]) -> None:
    names: list[str] = []
    tools = request.get("tools")
    if tools is not None and not isinstance(tools, list):
        raise rules.wrong_type("tools", "an array of objects", tools)
    for index, value in enumerate(cast("list[Any]", tools or [])):
        where = f"tools[{index}]"
        tool = rules.mapping(value, where)
        rules.one_of(rules.text(tool, "type", where), ["function"], f"{where}.type")
        rules.only(tool, ("type", "name", "description", "parameters", "strict"), where)
        name = rules.function(tool, where)
        if name in names:
            raise Refused(f"Tool names must be unique: '{name}' is used twice.", where)
        names.append(name)
    _check_choice(request.get("tool_choice"), names)


def _check_choice(choice: Any, names: list[str]) -> None:
    if choice is None:
        return
    if isinstance(choice, str):
        rules.one_of(choice, ("none", "auto", "required"), "tool_choice")
        if choice == "required" and not names:
            message = "Tool choice 'required' must be specified with 'tools' parameter."
            raise Refused(message, "tool_choice")
        return
    wanted = rules.mapping(choice, "tool_choice")
    rules.one_of(rules.text(wanted, "type", "tool_choice"), ["function"], "tool_choice.type")
    rules.only(wanted, ("type", "name"), "tool_choice")
    if rules.text(wanted, "name", "tool_choice") not in names:
        raise Refused("Tool choice 'function' not found in 'tools' parameter.", "tool_choice")
