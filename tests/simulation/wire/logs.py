"""What an engine logs and goes on, which nobody would see."""

import contextlib
import logging
import traceback
from collections.abc import Generator

from workflow_agents import StoreError


class _Surprises(logging.Handler):
    """Hears of exceptions that no fault of the store has made."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._problems = problems

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not isinstance(error, StoreError):
            told = "".join(traceback.format_exception(error)[-3:])
            self._problems.append(f"{record.getMessage()}: {told}")


@contextlib.contextmanager
def surprises(problems: list[str]) -> Generator[None]:
    """While it lasts, what surprises the engine is a problem, and its logs are not written."""
    logger = logging.getLogger("workflow_agents")
    handler = _Surprises(problems)
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.level, logger.propagate = logging.ERROR, False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before
