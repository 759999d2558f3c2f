"""What a message of a workflow run may look like on its way to a server: every header, every key.

Each check returns what is wrong, in words; the stand-in collects it, and no test passes that
left something behind. Two families of SDKs are known: those that give a run's configuration
once, with its trigger (`WF_TriggerOnConfig`), and those that repeat it with every message.
"""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

DURATION = re.compile(r"(?:\d+(?:s|m|h|d|w|mo|y))+|\d+")
NAME = re.compile(r"[a-zA-Z0-9\-_.]+")
FEATURES = {"LazyFetch", "InitialBody", "WF_DetectTrigger", "WF_TriggerOnConfig", "WF_NoDelete"}
STEP_TYPES = {
    "Run",
    "SleepFor",
    "SleepUntil",
    "Call",
    "Wait",
    "Notify",
    "Invoke",
    "CreateWebhook",
    "WaitForWebhook",
}

BASE = {
    "content-type",
    "upstash-method",
    "upstash-feature-set",
    "upstash-workflow-init",
    "upstash-workflow-runid",
    "upstash-workflow-url",
    "upstash-workflow-sdk-version",
    "upstash-delay",
    "upstash-not-before",
}
CONFIGURATION = {
    "upstash-retries",
    "upstash-retry-delay",
    "upstash-timeout",
    "upstash-flow-control-key",
    "upstash-flow-control-value",
    "upstash-label",
    "upstash-redact-fields",
}
OTHERS = {
    "upstash-workflow-calltype",
    "upstash-workflow-invoke",
    "upstash-workflow-trigger-by-sdk",
    "upstash-callback",
    "upstash-failure-callback",
}
PREFIXED = (
    "upstash-forward-",
    "upstash-callback-",
    "upstash-failure-callback-",
    "upstash-telemetry-",
)
CALLBACK = {
    "upstash-callback-workflow-runid",
    "upstash-callback-workflow-calltype",
    "upstash-callback-workflow-init",
    "upstash-callback-workflow-url",
    "upstash-callback-feature-set",
    "upstash-callback-forward-upstash-workflow-callback",
    "upstash-callback-forward-upstash-workflow-stepid",
    "upstash-callback-forward-upstash-workflow-stepname",
    "upstash-callback-forward-upstash-workflow-steptype",
    "upstash-callback-forward-upstash-workflow-concurrent",
    "upstash-callback-forward-upstash-workflow-contenttype",
}
FAILURE = {
    "upstash-failure-callback-forward-upstash-workflow-is-failure": "true",
    "upstash-failure-callback-forward-upstash-workflow-failure-callback": "true",
    "upstash-failure-callback-workflow-init": "false",
    "upstash-failure-callback-workflow-calltype": "failureCall",
}


def once(headers: dict[str, str]) -> bool:
    """Whether the run's configuration is given once, with its trigger."""
    return "WF_TriggerOnConfig" in headers.get("upstash-feature-set", "")


def headers(found: dict[str, str], destination: str) -> Iterator[str]:
    """A message that belongs to a run."""
    is_call = found.get("upstash-workflow-calltype") == "toCallback"
    for name, value in found.items():
        known = name in BASE | CONFIGURATION | OTHERS or name.startswith(PREFIXED)
        if not known:
            yield f"the protocol has no header {name}"
        if not isinstance(value, str) or value != value.strip() or "\n" in value:
            yield f"{name} is no header's value: {value!r}"
    for name in ("init", "runid", "url"):
        if not found.get(f"upstash-workflow-{name}"):
            yield f"no upstash-workflow-{name}"
    if found.get("upstash-workflow-init") not in {"true", "false"}:
        yield "upstash-workflow-init is neither true nor false"
    if not found.get("upstash-workflow-runid", "").startswith("wfr_"):
        yield "a run id begins with wfr_"
    features = set(found.get("upstash-feature-set", "").split(","))
    if not features <= FEATURES:
        yield f"unknown features {features - FEATURES}"
    if is_call:
        yield from _call(found, features)
    else:
        if urlsplit(destination).scheme not in {"http", "https"}:
            yield f"no destination: {destination!r}"
        if found.get("upstash-forward-upstash-workflow-sdk-version") != "1":
            yield "a visit needs upstash-forward-upstash-workflow-sdk-version: 1"
        if destination != found.get("upstash-workflow-url"):
            yield "a step goes to the address of its workflow"
        if "WF_DetectTrigger" not in features:
            yield "no WF_DetectTrigger"
    yield from _values(found)
    yield from _configuration(found, is_call=is_call)


def _values(found: dict[str, str]) -> Iterator[str]:
    for name in ("upstash-delay", "upstash-timeout"):
        if name in found and not DURATION.fullmatch(found[name]):
            yield f"{name} is no duration: {found[name]}"
    for name in ("upstash-not-before", "upstash-retries"):
        if name in found and not found[name].isdigit():
            yield f"{name} is no whole number: {found[name]}"
    for name in ("upstash-label", "upstash-flow-control-key"):
        for part in found.get(name, "x").split(","):
            if not NAME.fullmatch(part):
                yield f"{name} has other characters: {part}"
    if ("upstash-flow-control-key" in found) != ("upstash-flow-control-value" in found):
        yield "flow control is a key and a value"
    if ("upstash-label" in found) != ("upstash-forward-upstash-label" in found):
        yield "a label is forwarded too"


def _configuration(found: dict[str, str], *, is_call: bool) -> Iterator[str]:
    begins = found.get("upstash-workflow-init") == "true"
    if once(found) and not begins and not is_call:
        given = CONFIGURATION & set(found)
        given |= {n for n in found if n.startswith(("upstash-failure", "upstash-callback"))}
        given |= {
            n for n in found if n.startswith("upstash-forward-") and "upstash-workflow-" not in n
        }
        if given:
            yield f"configuration is given with the trigger only: {sorted(given)}"
    if "upstash-method" in found and found.get("upstash-workflow-sdk-version", "1") != "1":
        yield "upstash-workflow-sdk-version is not 1"
    if "upstash-failure-callback" in found:
        for name, value in FAILURE.items():
            if found.get(name) != value:
                yield f"{name} is not {value}"
        for name in ("runid", "url"):
            if found.get(f"upstash-failure-callback-workflow-{name}") != found.get(
                f"upstash-workflow-{name}"
            ):
                yield f"the failure callback is of another {name}"


def _call(found: dict[str, str], features: set[str]) -> Iterator[str]:
    if features != {"WF_NoDelete", "InitialBody"}:
        yield f"a call has other features: {features}"
    if "upstash-forward-upstash-workflow-sdk-version" in found:
        yield "a call must not look like a visit to whom it reaches"
    for name in CALLBACK:
        if not found.get(name):
            yield f"a call has no {name}"
    if "upstash-retries" not in found:
        yield "a call says how often it is tried again"
    if found.get("upstash-callback") != found.get("upstash-workflow-url"):
        yield "a call calls back another workflow"
    for name in ("stepid", "concurrent"):
        if not found.get(f"upstash-callback-forward-upstash-workflow-{name}", "").isdigit():
            yield f"{name} of a call is no number"


def step(body: bytes, found: dict[str, str], known: list[dict[str, Any]]) -> Iterator[str]:
    """A step that is submitted, against those that the run has."""
    try:
        data = json.loads(body)
    except ValueError:
        yield "a step is no JSON"
        return
    if found.get("content-type") != "application/json":
        yield "a step is application/json"
    target = data.get("targetStep")
    for name, type_ in (("stepId", int), ("stepName", str), ("stepType", str), ("concurrent", int)):
        if type(data.get(name)) is not type_:
            yield f"a step's {name} is {data.get(name)!r}"
    if not data.get("stepName") or data.get("stepType") not in STEP_TYPES:
        yield f"a step of this name or type: {data.get('stepName')!r}, {data.get('stepType')!r}"
    out = data.get("out")
    if target:
        if data["stepId"] != 0 or data["concurrent"] < 2:
            yield f"no plan of a group: {data}"
        if out not in {None, "null"}:
            yield "a plan has no result"
    elif data["stepId"] < 1:
        yield "results count from 1"
    elif out is not None:
        try:
            json.loads(out)
        except (ValueError, TypeError):
            yield f"out is no JSON text: {out!r}"
    yield from _sleeps(data, found)
    number = target or data["stepId"]
    same = [s for s in known if (s.get("targetStep") or s["stepId"]) == number]
    if any(bool(s.get("targetStep")) == bool(target) for s in same):
        yield f"step {number} was submitted before"
    results = {s["stepId"] for s in known if not s.get("targetStep")}
    first = number if target or data["concurrent"] == 1 else min(_group(known, number))
    missing = set(range(1, first)) - results
    if not target and data["concurrent"] == 1 and missing:
        yield f"step {number} came before {sorted(missing)}"
    if not target and data["concurrent"] > 1 and not same:
        yield f"step {number} of a group was never planned"
    if same and {s["stepName"] for s in same} != {data["stepName"]}:
        yield f"step {number} has another name than its plan"


def _group(known: list[dict[str, Any]], number: int) -> list[int]:
    return [s["targetStep"] for s in known if s.get("targetStep")] or [number]


def _sleeps(data: dict[str, Any], found: dict[str, str]) -> Iterator[str]:
    carries = bool(data.get("targetStep")) or data["concurrent"] == 1
    delay, until = found.get("upstash-delay"), found.get("upstash-not-before")
    if data["stepType"] == "SleepFor" and carries:
        if delay is None or str(data.get("sleepFor")) not in {delay, delay.removesuffix("s")}:
            yield f"sleepFor {data.get('sleepFor')!r}, but upstash-delay {delay!r}"
    elif data["stepType"] == "SleepUntil" and carries:
        if until is None or str(data.get("sleepUntil")) != until:
            yield f"sleepUntil {data.get('sleepUntil')!r}, but upstash-not-before {until!r}"
    elif delay is not None or until is not None:
        yield f"a delay that no sleep has: {data}"
    waits = data["stepType"] in {"Wait", "WaitForWebhook"} and data.get("targetStep")
    told = data.get("waitEventId") and DURATION.fullmatch(data.get("timeout") or "")
    if waits and not told:
        yield f"the plan of a wait names no event or no timeout: {data}"
