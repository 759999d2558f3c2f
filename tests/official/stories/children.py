"""Workflows of one `serveMany` that invoke each other."""

from tests.official.scenarios import scenario
from tests.official.site import Stage, steps_of


@scenario("invoke", "serveMany")
async def children_and_grandchildren(stage: Stage) -> None:
    options = {"headers": {"x-tenant": "acme"}}
    run_id = await stage.trigger("many/parent", {"number": 20}, **options)
    result = await stage.result(run_id)
    told = {"doubled": 42, "tenant": None, "child": "yes", "label": "a-child"}
    assert result["one"] == {"body": told, "isCanceled": False, "isFailed": False}
    assert result["silent"] == {"isCanceled": False, "isFailed": False}
    step = steps_of(await stage.run(run_id))["child"]
    assert step["stepType"] == "Invoke"
    assert step["invokedWorkflowUrl"] == stage.url("many/child")
    child = await stage.run(step["invokedWorkflowRunId"])
    assert child["invoker"]["workflowRunId"] == run_id
    assert child["invoker"]["workflowUrl"] == stage.url("many/parent")
    assert child["label"] == "a-child"
    assert child["workflowRunCreatedAt"] == step["invokedWorkflowCreatedAt"]


@scenario("invoke", "serveMany", "parallel")
async def children_that_fail_and_are_cancelled(stage: Stage) -> None:
    run_id = await stage.trigger("many/unlucky-parent")
    assert await stage.result(run_id) == {
        "failed": {"isCanceled": False, "isFailed": True},
        "cancelled": {"isCanceled": True, "isFailed": False},
    }
    steps = steps_of(await stage.run(run_id))
    failed, said = await stage.failed(steps["failing"]["invokedWorkflowRunId"])
    assert said == "child: the child fails"
    assert failed["dlqId"]
    await stage.ended(steps["cancelled"]["invokedWorkflowRunId"], "RUN_CANCELED")


# Express is left out: its adapter makes an answer of 404, and then does not send it.
@scenario("invoke", "serveMany", frameworks=("hono", "h3", "nextjs"))
async def child_that_is_not_served(stage: Stage) -> None:
    run_id = await stage.trigger("many/stranger-parent")
    assert await stage.result(run_id) == {"isCanceled": False, "isFailed": True}


@scenario("call: workflow", "serveMany")
async def sibling_called(stage: Stage) -> None:
    answer = await stage.result(await stage.trigger("many/caller", {"number": 1}))
    assert answer == {"status": 200, "startsWith": "wfr_"}
