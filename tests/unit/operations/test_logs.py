"""Logs as JSON say what they are about, and what happens to runs comes from the feed."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from workflow_agents import AsyncWorkflowContext, Engine, RunFailed
from workflow_agents.errors import ConfigurationError
from workflow_agents.operations import configure_logging
from workflow_agents.operations.logs import log_feed


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    root, own = logging.getLogger(), logging.getLogger("workflow_agents")
    before = [*root.handlers], root.level, own.level
    yield io.StringIO()
    root.handlers[:], level, own_level = before
    root.setLevel(level)
    own.setLevel(own_level)


def lines(logs: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in logs.getvalue().splitlines()]


def test_a_record_is_a_line_of_json(logs: io.StringIO) -> None:
    configure_logging("json", "info", logs)
    logger = logging.getLogger("workflow_agents.somewhere")
    logger.info("run %s: it goes\non", "wfr_1", extra={"run_id": "wfr_1", "code": "WA107"})
    logger.debug("this is not wanted")
    logging.getLogger("somebody.else").info("nor this")
    try:
        raise ValueError("why")
    except ValueError:
        logger.exception("it failed")
    first, second = lines(logs)
    assert first.pop("time") > 10**12
    assert first == {
        "level": "info",
        "logger": "workflow_agents.somewhere",
        "message": "run wfr_1: it goes\non",
        "run_id": "wfr_1",
        "code": "WA107",
    }
    assert "ValueError: why" in second["exception"]


@pytest.mark.parametrize("options", [("xml", "info"), ("json", "loud")])
def test_what_cannot_be_used_is_refused(options: tuple[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="WA102"):
        configure_logging(*options)


async def test_what_happens_to_runs_is_logged_from_the_feed(logs: io.StringIO) -> None:
    configure_logging("json", "info", logs)
    engine = Engine(":memory:")

    @engine.workflow("/fails", retries=1, retry_delay="1")
    async def fails(context: AsyncWorkflowContext[Any]) -> None:
        await context.run("fine", lambda: "a result that is nobody's business")
        await context.run("divide", lambda: 1 / 0)

    async with engine:
        log_feed(engine)
        run = await engine.client.trigger(fails)
        with pytest.raises(RunFailed):
            await run.result()
    told = lines(logs)
    assert {line["run_id"] for line in told} == {run.run_id}
    assert [(line["level"], line["kind"]) for line in told] == [
        ("info", "RUN_STARTED"),
        ("warning", "STEP_RETRY"),
        ("warning", "STEP_FAILED"),
        ("error", "RUN_FAILED"),
        ("error", "DEAD_LETTER_ADDED"),
    ]
    assert told[1]["step_name"] == "divide"
    assert told[3]["error"].startswith("ZeroDivisionError: division by zero")
    assert "business" not in logs.getvalue()
