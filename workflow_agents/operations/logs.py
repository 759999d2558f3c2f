"""How the logs of this package are written by a process that does nothing else: text, or JSON.

A library configures nothing. This is for `workflow-agents server`, and for apps that want the same.
All loggers are below `workflow_agents`; what a record is about is in its `extra`: `run_id`, `step`,
`message_id`, `code`.

What happens to runs is not logged where it happens: it is in the feed, and `log_feed` writes it
from there, a line for each entry.
"""

import json
import logging
import sys
from typing import Any, Literal, TextIO, get_args

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.core.feed_events import FeedEvent
from workflow_agents.engine.engine import DurableEngine
from workflow_agents.operations.mounting import HasCore, core_of
from workflow_agents.operations.spans import members
from workflow_agents.protocol.history import EntryKind

logger = logging.getLogger(__name__)

LogFormat = Literal["text", "json"]
LEVELS = ("debug", "info", "warning", "error")

_TEXT = "%(asctime)s %(levelname)s %(message)s"
# What every record has; the rest of its members was given by whoever logs.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        told: dict[str, Any] = {
            "time": int(record.created * 1000),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, value in vars(record).items():
            if name not in _STANDARD and not name.startswith("_"):
                told.setdefault(name, value)
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False, default=str, separators=(",", ":"))


def configure_logging(
    log_format: str = "text", level: str = "warning", stream: TextIO | None = None
) -> None:
    """Write the logs of this process; those of this package from a level on, others' warnings.

    Args:
        log_format: "text", or "json": one object a line.
        level: "debug", "info", "warning" or "error".
        stream: where to; default: standard error.

    Raises:
        ConfigurationError: WA102, an option cannot be used.
    """
    if log_format not in get_args(LogFormat):
        raise wrong_option("--log-format", f"one of {', '.join(get_args(LogFormat))}", log_format)
    if level not in LEVELS:
        raise wrong_option("--log-level", f"one of {', '.join(LEVELS)}", level)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else logging.Formatter(_TEXT))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("workflow_agents").setLevel(level.upper())


_LEVELS = {
    EntryKind.RUN_FAILED: logging.ERROR,
    EntryKind.DEAD_LETTER_ADDED: logging.ERROR,
    EntryKind.MESSAGE_FAILED: logging.ERROR,
    EntryKind.FAILURE_FUNCTION_FAILED: logging.ERROR,
    EntryKind.RUN_RETRY: logging.WARNING,
    EntryKind.RUN_RECOVERED: logging.WARNING,
    EntryKind.STEP_RETRY: logging.WARNING,
    EntryKind.STEP_FAILED: logging.WARNING,
    EntryKind.MESSAGE_RETRY: logging.WARNING,
    EntryKind.DISCARDED: logging.WARNING,
    EntryKind.STEP_SUCCESS: logging.DEBUG,
    EntryKind.STEP_WAITING: logging.DEBUG,
    EntryKind.MESSAGE_CREATED: logging.DEBUG,
    EntryKind.MESSAGE_ACTIVE: logging.DEBUG,
}
_MOST_CHARACTERS = 300


def log_feed(engine: DurableEngine | HasCore) -> None:
    """Log what happens from now on: ends of runs at INFO, retries at WARNING, and so on.

    Results and bodies are not logged; of what failed, the error and its message are.
    """
    core = core_of(engine)

    def told(event: FeedEvent) -> None:
        level = _LEVELS.get(event.kind, logging.INFO)
        if logger.isEnabledFor(level):
            message_id = core.wire.messages.id_of(event.message) if event.message else None
            about = event.to_json(message_id)
            _log(level, about)

    async def finish() -> None:
        """Nothing is left to do."""

    core.broadcast.watch(told, finish)


def _log(level: int, about: dict[str, Any]) -> None:
    kind = about["kind"]
    extra = {
        "seq": about["seq"],
        "kind": kind,
        "run_id": about.get("workflowRunId"),
        "workflow": about.get("workflow"),
        "step": about.get("stepId"),
        "step_name": about.get("stepName"),
        "message_id": about.get("messageId"),
    }
    extra = {name: value for name, value in extra.items() if value is not None}
    whose = extra.get("run_id") or extra.get("message_id") or ""
    text = " ".join(str(part) for part in (kind, whose, extra.get("step_name")) if part)
    error = members(about.get("data"))
    if level >= logging.WARNING and error.get("error"):
        why = ": ".join(str(error[name]) for name in ("error", "message") if error.get(name))
        extra["error"] = why[:_MOST_CHARACTERS]
        text += f": {extra['error']}"
    logger.log(level, "%s", text, extra=extra)
