"""How the logs of this package are written by a process that does nothing else: text, or JSON.

A library configures nothing. This is for `workflow-agents server`, and for apps that want the same.
All loggers are below `workflow_agents`; what a record is about is in its `extra`: `run_id`, `step`,
`message_id`, `code`.
"""

import json
import logging
import sys
from typing import Any, Literal, TextIO, get_args

from workflow_agents.core.bad_options import wrong_option

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
    log_format: LogFormat = "text", level: str = "warning", stream: TextIO | None = None
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
