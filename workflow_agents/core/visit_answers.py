"""What an endpoint's answer to a visit means. Pure. Source: protocol 3.4, 3.5, 3.7."""

from collections.abc import Mapping, Sequence
from enum import Enum, auto

FINAL_STATUS = 489

NO_WORKFLOW = (
    "detected a non-workflow destination for trigger/invoke. make sure you are sending the"
    " request to the correct endpoint"
)
OLD_SDK = "trigger rest api is only usable with sdk versions after v1.0.0 major version"


class Verdict(Enum):
    """What an answer means."""

    TAKEN = auto()
    """The visit is over; what follows it was submitted before."""

    FAILED = auto()
    """It may be tried again."""

    FINAL = auto()
    """The run has failed, whatever retries are left."""

    NO_WORKFLOW = auto()
    """What answered is no workflow."""

    OLD_SDK = auto()
    """What answered cannot be triggered without its SDK."""


def verdict(
    status: int, headers: Mapping[str, Sequence[str]], *, detects: bool, rest: bool
) -> Verdict:
    """Judge an answer.

    Args:
        status: the HTTP status.
        headers: names in lower case, each with its values.
        detects: whether a workflow has to say that it is one.
        rest: whether the visit is the first of a run that was triggered without an SDK.
    """
    if not 200 <= status < 300:
        told = headers.get("upstash-nonretryable-error", ())
        final = status == FINAL_STATUS and any(value.lower() == "true" for value in told)
        return Verdict.FINAL if final else Verdict.FAILED
    speaks = any(headers.get("upstash-workflow-sdk-version", ()))
    if rest and not (speaks and _major(headers.get("upstash-workflow-sdk", ())) >= 1):
        return Verdict.OLD_SDK
    if detects and not speaks:
        return Verdict.NO_WORKFLOW
    return Verdict.TAKEN


def _major(versions: Sequence[str]) -> int:
    """Of "v1.3.2": 1."""
    text = versions[0].strip().lower().removeprefix("v").split(".")[0] if versions else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
