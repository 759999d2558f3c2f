"""What the official JavaScript SDK offers, read from the type declarations of its package.

Every option, method and member that a user may name is one text: "WorkflowContext.sleep",
"TriggerOptions.retryDelay", "Client.logs.cursor". What is no user's concern is left out by name.
"""

import re
from collections.abc import Iterator
from pathlib import Path

DECLARATIONS = (
    "WorkflowContext", "CallSettings", "WaitEventOptions", "LazyInvokeStepParams", "CallResponse",
    "WaitStepResponse", "NotifyStepResponse", "InvokeStepResponse", "WaitForWebhookResponse",
    "Webhook", "WorkflowServeOptions", "ExclusiveValidationOptions", "LifeCycleEvent",
    "DebugEvent", "MiddlewareParameters", "MiddlewareCallbackConfig", "WorkflowApi",
    "TriggerOptions", "Client", "DLQ", "DLQResumeRestartOptions", "ResumeRestartOptions",
    "WorkflowRunCancelFilters", "WorkflowCancelCount", "UniversalFilterFields",
    "HostPathFilterFields", "CancelFilterWithExactUrl", "CancelFilterWithPrefixUrl",
    "WorkflowFilterFields", "WorkflowLogsFilterFields", "WorkflowDLQListFilters",
    "WorkflowDLQActionFilters", "WorkflowDLQBulkCount", "PublicDLQMessage", "WorkflowRunLog",
    "WorkflowRunLogs", "BaseStepLog", "CallUrlGroup", "CallResponseStatusGroup",
    "InvokedWorkflowGroup", "WaitEventGroup", "FailureFunctionLog", "StepError", "Waiter",
    "NotifyResponse", "WorkflowRetryAfterError", "WorkflowAbort",
)  # fmt: skip
"""The declarations whose members users name."""

WITH_ARGUMENTS = {"Client", "DLQ", "WorkflowServeOptions"}
"""Where the members of an argument count, too."""

CLASSES = {"WorkflowContext", "Client", "DLQ"}

INTERNAL = {
    "AsyncStepFunction", "CallSettings", "DetailedFinishCondition", "Duration",
    "ExclusiveValidationOptions", "FailureFunctionPayload", "FinishCondition", "HeaderParams",
    "InvokeWorkflowRequest", "LazyInvokeStepParams", "ParallelCallState",
    "QStashClientExtraConfig", "RequiredExceptFields", "Step", "StepFunction", "StepTypes",
    "SyncStepFunction", "WaitEventOptions", "WaitRequest", "RawStep", "RouteFunction", "StepType",
    "Telemetry", "WorkflowClient", "WorkflowReceiver",
}  # fmt: skip
"""Exported names that are types of arguments, whose members are listed, or of the SDK's inside."""

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
_MEMBER = re.compile(
    r"\s*(?P<kept>(?:private|protected)\s+)?"
    r"(?:(?:readonly|get|abstract|static|private|protected)\s+)*(?P<name>\w+)\??\s*[:(<]"
)
_LITERAL = re.compile(r'"(\w+)"')
_SHARED = re.compile(r"-\w{8}$")
"""What ends the name of a file that others share, and users do not import."""

_HIDDEN = {"constructor", "new"}


def surface(package: Path) -> set[str]:
    """All that is offered by an installed package."""
    files = sorted(package.glob("*.d.ts"))
    text = _COMMENT.sub("", "\n".join(f.read_text(encoding="utf-8") for f in files))
    found = {name for declaration in DECLARATIONS for name in members(text, declaration)}
    for file in files:
        module = file.name.removesuffix(".d.ts")
        if not _SHARED.search(module):
            place = "" if module == "index" else "platform."
            found |= {f"{place}{name}" for name in exports(file.read_text(encoding="utf-8"))}
    return found


def exports(text: str) -> Iterator[str]:
    """The names that a module exports, under the names that users import."""
    for listed in re.findall(r"export \{([^}]*)\}", text):
        for one in listed.split(","):
            name = one.split(" as ")[-1].replace("type ", "").strip()
            if name and name not in INTERNAL:
                yield name
    yield from re.findall(r"export declare (?:const|function|class) (\w+)", text)


def members(text: str, declaration: str) -> Iterator[str]:
    """The members of a type, an interface or a class; or the texts that a union consists of."""
    start = re.search(rf"(?:class|type|interface) {declaration}\b", text)
    if start is None:
        return
    body = _body(text, start.end())
    deepest = 2 if declaration in WITH_ARGUMENTS else 1
    names: list[str] = []
    depth, at = 0, 0
    while at < len(body):
        letter = body[at]
        depth += (letter == "{") - (letter == "}")
        if letter in "{;}" and 0 < depth <= deepest:
            found = _MEMBER.match(body, at + 1)
            if found and found["kept"] is None and found["name"] not in _HIDDEN:
                names = [*names[: depth - 1], found["name"]]
                if len(names) == depth:
                    yield ".".join([declaration, *names])
        at += 1
    if "{" not in body:
        yield from (f"{declaration}.{name}" for name in _LITERAL.findall(body))
    if declaration in CLASSES:
        return
    for picked in re.findall(r"Pick<(?:CallSettings|TriggerOptions|DLQMessage), ([^>]*)>", body):
        yield from (f"{declaration}.{name}" for name in _LITERAL.findall(picked))


def _body(text: str, start: int) -> str:
    """What a declaration says, from after its name."""
    depth = 0
    is_class = text[:start].split()[-2] in {"class", "interface"}
    for at in range(start, len(text)):
        letter = text[at]
        depth += (letter in "{([") - (letter in "})]")
        if depth == 0 and (letter == ";" or (is_class and letter == "}")):
            return text[start:at]
    return text[start:]
