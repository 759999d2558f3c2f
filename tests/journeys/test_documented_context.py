"""The documented examples of `context.run`, of payloads, and of what to avoid.

The pages are named in `test_documented_examples.py`, which checks that none is left out.
"""
# ruff: noqa: A001  # `input` is what the documentation calls the payload

import asyncio
from dataclasses import dataclass
from typing import Any

from workflow_agents import AsyncWorkflowContext, WorkflowAbort


def names(log: Any) -> list[str]:
    return [step.name for step in log.steps]


async def test_basic_endpoint_runs_its_steps_in_order(site, serve, capsys) -> None:
    """Source: quickstarts/fastapi, "Define Basic Workflow Endpoint with FastAPI"."""

    @serve.post("/api/workflow")
    async def workflow(context) -> None:
        async def _step1() -> None:
            print("initial step ran")

        await context.run("initial-step", _step1)

        async def _step2() -> None:
            print("second step ran")

        await context.run("second-step", _step2)

    log = await site.run("/api/workflow")

    assert log.state == "RUN_SUCCESS"
    assert names(log) == ["initial-step", "second-step"]
    assert capsys.readouterr().out == "initial step ran\nsecond step ran\n"


async def test_string_payload_goes_through_two_steps(site, serve, capsys) -> None:
    """Source: sdk/workflow-py, "Define a Workflow Endpoint with FastAPI"."""

    def some_work(input: str) -> str:
        return f"processed '{input}'"

    @serve.post("/example")
    async def example(context: AsyncWorkflowContext[str]) -> None:
        input = context.request_payload

        async def _step1() -> str:
            output = some_work(input)
            print("step 1 input", input, "output", output)
            return output

        result: str = await context.run("step1", _step1)

        async def _step2() -> None:
            output = some_work(result)
            print("step 2 input", result, "output", output)

        await context.run("step2", _step2)

    log = await site.run("/example", "hello")

    assert [step.out for step in log.steps] == ["processed 'hello'", None]
    assert capsys.readouterr().out == (
        "step 1 input hello output processed 'hello'\n"
        "step 2 input processed 'hello' output processed 'processed 'hello''\n"
    )


async def test_two_pieces_of_business_logic(site, serve) -> None:
    """Source: basics/serve, "Serve a Workflow Endpoint" and "Configure Workflow Options"."""

    @serve.post("/api/example")
    async def example(context: AsyncWorkflowContext[str]) -> None:
        async def _step1() -> str:
            # define a piece of business logic as step 1
            return "step 1 result"

        result = await context.run("step-1", _step1)
        assert result == "step 1 result"

        async def _step2() -> None:
            # define another piece of business logic as step 2
            pass

        await context.run("step-2", _step2)

    log = await site.run("/api/example")

    assert [(step.name, step.type, step.state, step.out) for step in log.steps] == [
        ("step-1", "Run", "STEP_SUCCESS", "step 1 result"),
        ("step-2", "Run", "STEP_SUCCESS", None),
    ]


async def test_results_of_synchronous_helpers_chain(site, serve) -> None:
    """Source: basics/context/run, "Execute Steps in Sequence"."""

    def some_work(input: str) -> int:
        return len(input)

    seen: list[int] = []

    def some_other_work(length: int) -> None:
        seen.append(length)

    @serve.post("/api/example")
    async def example(context: AsyncWorkflowContext[str]) -> None:
        input = context.request_payload

        async def _step1():
            return some_work(input)

        result1 = await context.run("step-1", _step1)

        async def _step2():
            return some_other_work(result1)

        await context.run("step-2", _step2)

    await site.run("/api/example", "four")

    assert seen == [4]


async def test_idempotent_step_is_retried_with_the_same_input(site, serve) -> None:
    """Source: basics/caveats, "Implement Idempotent Workflow Steps"."""
    stored: dict[str, int] = {}

    async def some_work(input: str) -> None:
        stored[input] = stored.get(input, 0) + 1
        if stored[input] == 1:
            raise ConnectionError("the first attempt is lost")

    @serve.post("/api/example", retry_delay="0")
    async def example(context: AsyncWorkflowContext[str]) -> None:
        input = context.request_payload

        async def _step_1() -> None:
            return await some_work(input)

        await context.run("step-1", _step_1)

    log = await site.run("/api/example", "input")

    assert log.state == "RUN_SUCCESS"
    assert stored == {"input": 2}
    assert log.steps[0].retries == 1


async def test_code_outside_steps_repeats_and_steps_do_not(site, serve, capsys) -> None:
    """Source: basics/caveats, "Execute Business Logic in context.run".

    A sleep between the two steps makes the function start at the top again.
    """

    @serve.post("/api/example")
    async def example(context: AsyncWorkflowContext[str]) -> None:
        async def _step_1() -> dict:
            return {"success": True}

        result = await context.run("step-1", _step_1)
        print("This log will appear multiple times")
        await context.sleep("so that it has to", "1d")

        async def _step_2() -> None:
            print("This log will appear just once")
            print("Step 1 status is:", result["success"])

        await context.run("step-2", _step_2)

    run = await site.trigger("/api/example", "input")
    await site.sleeps(run, "so that it has to")
    site.pass_time("1d")
    await site.ended(run)

    printed = capsys.readouterr().out.splitlines()
    assert printed.count("This log will appear multiple times") == 2
    assert printed[-2:] == ["This log will appear just once", "Step 1 status is: True"]
    assert printed.count("This log will appear just once") == 1


async def test_what_one_step_returns_the_next_one_takes(site, serve) -> None:
    """Source: basics/caveats, "Return results from context.run"."""
    seen: list[dict] = []

    async def some_work(input: str) -> dict:
        return {"worked on": input}

    async def some_other_work(result: dict) -> None:
        seen.append(result)

    @serve.post("/api/example")
    async def example(context: AsyncWorkflowContext[str]) -> None:
        input = context.request_payload

        async def _step_1() -> dict:
            return await some_work(input)

        result = await context.run("step-1", _step_1)

        async def _step_2() -> None:
            await some_other_work(result)

        await context.run("step-2", _step_2)

    await site.run("/api/example", "input")

    assert seen == [{"worked on": "input"}]


@dataclass
class Entry:
    should_return: bool


async def test_non_deterministic_code_outside_a_step_refuses_the_request(site, serve) -> None:
    """Source: basics/caveats, "Avoid Non-Deterministic Code Outside context.run"."""

    async def get_result_from_db(entry_id: str) -> Entry:
        return Entry(should_return=entry_id == "7")

    @serve.post("/api/example")
    async def example(context: AsyncWorkflowContext[str]) -> None:
        entry_id = context.request_payload["entry_id"]
        result = await get_result_from_db(entry_id)
        if result.should_return:
            return

        async def _rest() -> None: ...

        await context.run("the rest", _rest)

    refused = await site.post("/api/example", {"entry_id": "7"})
    log = await site.run("/api/example", {"entry_id": "8"})

    assert refused.status_code == 400
    assert refused.json()["workflowRunId"] == "no-workflow-id"
    assert "Failed to authenticate Workflow request" in refused.json()["message"]
    assert log.state == "RUN_SUCCESS"
    assert len(await site.client.logs()) == 1


async def test_non_deterministic_code_inside_a_step(site, serve) -> None:
    """Source: basics/caveats, "Wrap Non-Deterministic Logic in context.run".

    The result is a dataclass where it is made, and read by attribute where it is used.
    """
    reads: list[str] = []

    async def get_result_from_db(entry_id: str) -> Entry:
        reads.append(entry_id)
        return Entry(should_return=entry_id == "7")

    @serve.post("/api/example")
    async def example(context: AsyncWorkflowContext[str]) -> str | None:
        entry_id = context.request_payload["entry_id"]

        async def _get_result_from_db():
            return await get_result_from_db(entry_id)

        result = await context.run("get-result-from-db", _get_result_from_db)
        if result.should_return:
            return None
        await context.sleep("for a day", "1d")
        return "went on"

    early = await site.run("/api/example", {"entry_id": "7"})
    run = await site.trigger("/api/example", {"entry_id": "8"})
    await site.sleeps(run, "for a day")
    site.pass_time("1d")
    late = await site.ended(run)

    assert (early.state, early.result) == ("RUN_SUCCESS", None)
    assert late.result == "went on"
    assert reads == ["7", "8"]


async def test_condition_before_the_first_step_refuses_the_request(site, serve) -> None:
    """Source: troubleshooting/general, the condition that fails authentication."""

    def some_condition() -> bool:
        return True

    @serve.post("/api/example")
    async def example(context: AsyncWorkflowContext[str]) -> None:
        if some_condition():
            return
        # rest of the workflow

    answer = await site.post("/api/example", "input")

    assert answer.status_code == 400
    assert answer.json()["workflowRunId"] == "no-workflow-id"
    assert await site.client.logs() == []


async def test_condition_as_a_step_ends_the_run_well(site, serve) -> None:
    """Source: troubleshooting/general, the same condition as a step."""

    def some_condition() -> bool:
        return True

    @serve.post("/api/example")
    async def example(context: AsyncWorkflowContext[str]) -> None:
        async def _check_condition() -> bool:
            return some_condition()

        should_return = await context.run("check condition", _check_condition)
        if should_return:
            return
        # rest of the workflow
        raise AssertionError("the condition holds")

    log = await site.run("/api/example", "input")

    assert log.state == "RUN_SUCCESS"
    assert names(log) == ["check condition"]


async def test_step_inside_a_step_is_refused(site, serve) -> None:
    """Source: basics/caveats, "Avoid Nesting Context Methods"."""

    @serve.post("/api/example")
    async def example(context: AsyncWorkflowContext[str]) -> None:
        async def _step_1() -> None:
            await context.sleep("nested sleep", 1)  # ❌ INCORRECT

        await context.run("step-1", _step_1)

    log = await site.run("/api/example", "input")

    assert log.state == "RUN_FAILED"
    assert log.failure["message"] == "WA203 a step inside a step"
    [step] = log.steps
    assert step.out["detail"]["code"] == "WA203"
    assert step.retries == 0


async def test_workflow_abort_passes_a_try_block(site, serve) -> None:
    """Source: troubleshooting/general, "Handling WorkflowAbort in try/catch blocks".

    The run is parked in the middle of the try block; the block does not notice.
    """
    other_errors: list[Exception] = []

    @serve.post("/api/example")
    async def example(context: AsyncWorkflowContext[str]) -> str:
        async def _step() -> str:
            return "done"

        try:
            await context.sleep("parks", "1d")
            return await context.run("step", _step)
        except Exception as e:
            if isinstance(e, WorkflowAbort):
                raise e
            other_errors.append(e)  # handle other errors
        return "swallowed"

    run = await site.trigger("/api/example")
    await site.sleeps(run, "parks")
    site.pass_time("1d")
    log = await site.ended(run)

    assert log.result == "done"
    assert other_errors == []
    assert not issubclass(WorkflowAbort, Exception)


async def test_payload_kept_in_a_step(site, serve, web) -> None:
    """Source: troubleshooting/general, "Persisting requestPayload using context.run"."""
    web.answer("https://api.example.com/", {"ok": True})
    payloads: list[Any] = []

    @serve.post("/api/example")
    async def example(context: AsyncWorkflowContext[str]) -> None:
        async def _get_payload() -> str:
            return context.request_payload

        # Payload will never be None
        payload = await context.run("get payload", _get_payload)
        payloads.append(payload)
        # ... steps or any other code
        await context.call("call", url="https://api.example.com/", method="POST", body=payload)

    await site.run("/api/example", {"key": "value"})

    assert set(map(str, payloads)) == {"{'key': 'value'}"}
    assert web.requests[0].json() == {"key": "value"}


async def test_context_reaches_the_function(site, serve) -> None:
    """Source: basics/context, "Serve Workflow in Next.js and FastAPI"."""
    seen: list[AsyncWorkflowContext[str]] = []

    @serve.post("/api/example")
    async def example(context: AsyncWorkflowContext[str]) -> None:
        seen.append(context)
        await asyncio.gather(
            context.run("one", lambda: 1),
            context.run("two", lambda: 2),
        )

    log = await site.run("/api/example", "payload", headers={"x-custom": "seen"})

    [context] = seen
    assert context.workflow_run_id == log.workflow_run_id
    assert context.url == f"{site.url}/api/example"
    assert context.request_payload == "payload"
    assert context.headers["X-Custom"] == "seen"
    assert context.label is None
    assert {step.out for step in log.steps} == {1, 2}
