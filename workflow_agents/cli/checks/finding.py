"""What a check has found."""

from dataclasses import dataclass
from typing import Literal

from workflow_agents.error_codes import CODES
from workflow_agents.errors import WorkflowAgentsError

Level = Literal["ok", "fault", "warning", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        check: what was looked at.
        level: ok; fault: something does not work; warning: it works, and could fail later;
            skipped: it could not be looked at.
        told: what was found.
        code: of a fault or a warning.
        fix: what to do.
    """

    check: str
    level: Level
    told: str
    code: str | None = None
    fix: tuple[str, ...] = ()


def ok(check: str, told: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", told)


def skipped(check: str, told: str) -> Finding:
    """It could not be looked at, and why."""
    return Finding(check, "skipped", told)


def fault(check: str, code: str, told: str, *fix: str) -> Finding:
    """Something does not work; without a fix, that of the code."""
    return Finding(check, "fault", told, code, fix or CODES[code].fix)


def warning(check: str, code: str, told: str, *fix: str) -> Finding:
    """It works, and could fail later."""
    return Finding(check, "warning", told, code, fix or CODES[code].fix)


def fault_of(check: str, error: WorkflowAgentsError) -> Finding:
    """An error of ours as a finding."""
    told = ": ".join([error.what, *(text for text in error.found if text)])
    return Finding(check, "fault", told, error.code, error.fix)
