"""The documented examples of the Flask quickstart, served by a real werkzeug server.

Source: quickstarts/flask. `time.time() + 3` is what the page has; the site's clock jumps there.
"""
# ruff: noqa: A001  # names are the documentation's

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.journeys.flask_site import FlaskSite, flask_site, told
from workflow_agents import WorkflowContext


@pytest.fixture
def site(tmp_path, clock) -> Iterator[FlaskSite]:
    with flask_site(tmp_path / "workflows.db", clock=clock) as site:
        yield site


def names(log: Any) -> list[str]:
    return [step.name for step in log.steps]


def some_work(input: str) -> str:
    return f"processed '{input}'"


async def test_basic_endpoint_runs_its_steps_in_order(site, capsys) -> None:
    """Source: quickstarts/flask, "Define Basic Workflow Endpoint in Flask"."""
    serve = site.serve

    @serve.route("/api/workflow")
    def workflow(context) -> None:
        def _step1() -> None:
            print("initial step ran")

        context.run("initial-step", _step1)

        def _step2() -> None:
            print("second step ran")

        context.run("second-step", _step2)

    log = site.run("/api/workflow")

    assert log.state == "RUN_SUCCESS"
    assert names(log) == ["initial-step", "second-step"]
    assert capsys.readouterr().out == "initial step ran\nsecond step ran\n"


async def test_sleep_functionality(site, clock, capsys) -> None:
    """Source: quickstarts/flask, "Implement Sleep Functionality in Flask Workflow"."""
    serve = site.serve

    @serve.route("/sleep")
    def sleep(context: WorkflowContext[str]) -> None:
        input = context.request_payload

        def _step1() -> str:
            output = some_work(input)
            print("step 1 input", input, "output", output)
            return output

        result1: str = context.run("step1", _step1)

        context.sleep_until("sleep1", time.time() + 3)

        def _step2() -> str:
            output = some_work(result1)
            print("step 2 input", result1, "output", output)
            return output

        result2: str = context.run("step2", _step2)

        context.sleep("sleep2", 2)

        def _step3() -> None:
            output = some_work(result2)
            print("step 3 input", result2, "output", output)

        context.run("step3", _step3)

    run = site.trigger("/sleep", "hello")
    told(run, "STEP_WAITING", "sleep1")
    assert capsys.readouterr().out == "step 1 input hello output processed 'hello'\n"
    clock.advance("1h")
    site.engine.core.poke()
    told(run, "STEP_WAITING", "sleep2")
    clock.advance(2)
    site.engine.core.poke()
    run.result()

    assert names(run.log()) == ["step1", "sleep1", "step2", "sleep2", "step3"]
    assert capsys.readouterr().out.splitlines() == [
        "step 2 input processed 'hello' output processed 'processed 'hello''",
        "step 3 input processed 'processed 'hello'' output"
        " processed 'processed 'processed 'hello'''",
    ]


async def test_authentication_by_header(site, capsys) -> None:
    """Source: quickstarts/flask, "Implement Authentication in Flask Workflow"."""
    serve = site.serve

    @serve.route("/auth")
    def auth(context: WorkflowContext[str]) -> None:
        if context.headers.get("Authentication") != "Bearer secret_password":
            print("Authentication failed.")
            return

        def _step1() -> str:
            return "output 1"

        context.run("step1", _step1)

        def _step2() -> str:
            return "output 2"

        context.run("step2", _step2)

    refused = site.post("/auth", "hello")
    assert refused.status_code == 400
    assert refused.json()["workflowRunId"] == "no-workflow-id"
    assert "Failed to authenticate Workflow request" in refused.json()["message"]
    assert capsys.readouterr().out == "Authentication failed.\n"
    assert serve.client.logs() == []

    log = site.run("/auth", "hello", headers={"Authentication": "Bearer secret_password"})
    assert [step.out for step in log.steps] == ["output 1", "output 2"]
    assert capsys.readouterr().out == ""
