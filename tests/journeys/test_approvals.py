"""A person approves what agents want to do: several at once, edited, rejected, too late."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from workflow_agents import (
    Approval,
    AsyncWorkflowContext,
    ConfigurationError,
    NotFound,
    StateError,
    WorkflowNonRetryableError,
    WorkflowTool,
    agent_workflow,
    tool,
)
from workflow_agents.testing.model_server import CallTools, ScriptedModel

BOTH = ("refund", {"order": 1, "amount": 5}), ("refund", {"order": 2, "amount": 500})


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedModel]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-t0p")
    with ScriptedModel() as model:
        yield model
        model.assert_done()


class Desk:
    """A workflow with an agent that may refund, if a person lets it.

    Attributes:
        refunded: what was refunded: order and amount.
        needs: what `needs_approval` is.
        options: other options of the tool.
    """

    def __init__(self, site: Any, model: ScriptedModel) -> None:
        self.refunded: list[tuple[int, int]] = []
        self.needs: Any = True
        self.options: dict[str, Any] = {}
        self.site = site
        self.approvals = site.client.approvals

        async def refund(order: int, amount: int = 10) -> str:
            """Refund an order."""
            self.refunded.append((order, amount))
            return f"refunded {amount}"

        def clerk(agents: Any, **more: Any) -> Any:
            return agents.agent(
                model=agents.openai("gpt-4o", base_url=model.base_url),
                name="clerk",
                tools=[tool(needs_approval=self.needs, **self.options)(refund)],
                **more,
            )

        @site.serve.post("/desk", retries=0)
        async def desk(context: AsyncWorkflowContext[None]) -> str:
            agents = agent_workflow(context)
            return (await agents.task(agent=clerk(agents), prompt="Refund.").run()).text

        @site.serve.post("/managed", retries=0)
        async def managed(context: AsyncWorkflowContext[None]) -> str:
            agents = agent_workflow(context)
            llm = agents.openai("gpt-4o", base_url=model.base_url)
            task = agents.task(model=llm, agents=[clerk(agents)], prompt="Have it refunded.")
            return (await task.run()).text

    async def asked(self, path: str = "/desk", number: int = 1) -> tuple[Any, list[Approval]]:
        """Start a run and wait until it asks so many times."""
        run = await self.site.trigger(path)
        await self.site.told(run, "STEP_WAITING", "Approve tool refund", number)
        return run, await self.approvals.list()

    async def result(self, run: Any) -> Any:
        log = await self.site.ended(run)
        assert log.state == "RUN_SUCCESS", log.failure
        return log.result


@pytest.fixture
def desk(site: Any, model: ScriptedModel) -> Desk:
    return Desk(site, model)


def told(model: ScriptedModel) -> list[str]:
    """What the tools answered, as the model was told last."""
    return [m["content"] for m in model.requests[-1].messages if m["role"] == "tool"]


async def test_what_waits_is_shown_and_runs_when_it_is_approved(desk: Desk, model: Any) -> None:
    model.call_tools(("refund", {"order": 7})).say("It is refunded.")
    run, [approval] = await desk.asked()

    assert approval.workflow_run_id == run.run_id
    assert (approval.workflow, approval.agent, approval.tool) == ("/desk", "clerk", "refund")
    assert (approval.kind, approval.description) == ("approval", "Refund an order.")
    assert approval.arguments == {"order": 7}
    assert approval.schema["properties"]["order"] == {"type": "integer"}
    assert approval.asked_at == desk.site.clock.now_ms()
    assert approval.deadline == approval.asked_at + 7 * 24 * 3_600_000
    assert await desk.approvals.get(approval.id) == approval
    assert await desk.approvals.list(run.run_id) == [approval]
    assert await desk.approvals.list("wfr_other") == []
    assert desk.refunded == []

    await desk.approvals.approve(approval.id, by="ada")
    assert await desk.result(run) == "It is refunded."
    assert desk.refunded == [(7, 10)]
    assert told(model) == ["refunded 10"]
    assert await desk.approvals.list() == []


async def test_who_decided_what_and_when_is_in_the_log(desk: Desk, model: Any) -> None:
    model.call_tools(("refund", {"order": 7})).say("Done.")
    run, [approval] = await desk.asked()
    desk.site.pass_time("1h")
    await desk.approvals.approve(approval, arguments={"order": 7, "amount": 3}, by="ada")
    await desk.result(run)

    log = await run.log()
    assert [step.name for step in log.steps if "refund" in step.name] == [
        "Check tool refund",
        "Approve tool refund",
        "Run tool refund",
    ]
    [decided] = [step for step in log.steps if step.type == "Wait"]
    assert decided.waits_for["details"]["argumentsHash"] == approval.arguments_hash
    assert decided.out["data"] == {
        "verdict": "approve",
        "argumentsHash": approval.arguments_hash,
        "arguments": {"order": 7, "amount": 3},
        "by": "ada",
        "at": approval.asked_at + 3_600_000,
    }
    assert desk.refunded == [(7, 3)]


async def test_several_wait_at_once_and_are_decided_in_any_order(desk: Desk, model: Any) -> None:
    model.call_tools(*BOTH).say("One of two.")
    run, approvals = await desk.asked(number=2)
    first, second = sorted(approvals, key=lambda a: a.arguments["order"])

    await desk.approvals.reject(second, "too much", by="ada")
    await desk.approvals.approve(first)
    assert await desk.result(run) == "One of two."
    assert desk.refunded == [(1, 5)]
    assert told(model) == [
        "refunded 5",
        "A person has rejected this call. The reason: too much",
    ]


async def test_an_agent_of_a_manager_asks_for_itself(desk: Desk, model: Any) -> None:
    model.when(lambda r: r.agent == "Manager LLM", CallTools((("clerk", {"prompt": "Refund 7"}),)))
    model.when(lambda r: r.agent == "Manager LLM", "The clerk did it.")
    model.when(lambda r: r.agent == "clerk", CallTools((("refund", {"order": 7}),)), "Done.")
    run, [approval] = await desk.asked("/managed")

    assert (approval.agent, approval.tool) == ("clerk", "refund")
    await desk.approvals.approve(approval)
    assert await desk.result(run) == "The clerk did it."
    assert desk.refunded == [(7, 10)]


async def test_a_predicate_sees_the_arguments_with_their_defaults(desk: Desk, model: Any) -> None:
    seen: list[Any] = []

    def expensive(arguments: dict[str, Any]) -> bool:
        seen.append(arguments)
        return arguments["amount"] > 100

    desk.needs = expensive
    model.call_tools(("refund", {"order": 3}), *BOTH).say("Done.")
    run, [approval] = await desk.asked()
    assert approval.arguments == {"order": 2, "amount": 500}
    assert {"order": 3, "amount": 10} in seen
    await desk.approvals.approve(approval)
    await desk.result(run)
    assert sorted(desk.refunded) == [(1, 5), (2, 500), (3, 10)]
    assert len(seen) == 3, "its answer is recorded"


async def test_a_predicate_that_fails_lets_nothing_run(desk: Desk, model: Any) -> None:
    desk.needs = lambda arguments: arguments["no such"]
    model.call_tools(("refund", {"order": 3}))
    log = await desk.site.run("/desk")
    assert (log.state, log.failure["error"]) == ("RUN_FAILED", "KeyError")
    assert desk.refunded == []


async def test_bad_arguments_are_told_and_nobody_is_asked(desk: Desk, model: Any) -> None:
    model.call_tools(("refund", {"order": "x"})).say("Sorry.")
    assert (await desk.site.run("/desk")).result == "Sorry."
    assert "order: Input should be a valid integer" in told(model)[0]


async def test_nobody_decides_in_time(desk: Desk, model: Any) -> None:
    desk.options = {"approval_timeout": "2h"}
    model.call_tools(("refund", {"order": 7})).say("Nobody answers.")
    run, [approval] = await desk.asked()
    desk.site.pass_time("2h")
    assert await desk.result(run) == "Nobody answers."
    assert told(model) == ["The call was not made: nobody approved it within 2h."]
    with pytest.raises(StateError, match="no longer waits") as caught:
        await desk.approvals.approve(approval)
    assert "nobody decided in time" in str(caught.value)


async def test_edited_arguments_that_do_not_fit_are_refused_at_once(desk: Desk, model: Any) -> None:
    model.call_tools(("refund", {"order": 7})).say("Done.")
    run, [approval] = await desk.asked()
    for bad, says in (
        ({"order": "seven"}, 'order: expected integer, found "seven"'),
        ({"amount": 3}, "order: it is required"),
        ({"order": 7, "to": "me"}, "to: no such argument"),
    ):
        with pytest.raises(ConfigurationError, match="WA610") as caught:
            await desk.approvals.approve(approval, arguments=bad)
        assert says in str(caught.value)
    with pytest.raises(ConfigurationError, match="WA102"):
        await desk.approvals.approve(approval, arguments=[7])
    assert await desk.approvals.list() == [approval], "nothing was decided"
    await desk.approvals.approve(approval, arguments={"order": 8})
    await desk.result(run)
    assert desk.refunded == [(8, 10)]


async def test_a_call_is_decided_once(desk: Desk, model: Any) -> None:
    model.call_tools(("refund", {"order": 7})).say("Done.")
    run, [approval] = await desk.asked()
    decisions = await asyncio.gather(
        desk.approvals.approve(approval, by="ada"),
        desk.approvals.reject(approval, by="bob"),
        return_exceptions=True,
    )
    assert sorted(type(d).__name__ for d in decisions) == ["NoneType", "StateError"]
    await desk.result(run)
    with pytest.raises(StateError, match="WA608") as caught:
        await desk.approvals.approve(approval.id)
    assert "found one that was" in str(caught.value)
    assert "by " in str(caught.value)


async def test_what_is_approved_is_what_was_shown(desk: Desk, model: Any) -> None:
    model.call_tools(("refund", {"order": 7})).say("Done.")
    run, [approval] = await desk.asked()
    with pytest.raises(StateError, match="for other arguments"):
        await desk.approvals.approve(replace(approval, arguments={"order": 70}))

    # Whoever knows the event's id can notify it; what is no decision for this call is none.
    forged: list[Any] = [
        None,
        "yes",
        {"verdict": "approve"},
        {"verdict": "approve", "argumentsHash": "0" * 64},
        {"verdict": "approve", "argumentsHash": approval.arguments_hash, "arguments": [1]},
        {"verdict": "resolve", "argumentsHash": approval.arguments_hash, "result": "paid"},
    ]
    for number, data in enumerate(forged, start=2):
        assert await desk.site.client.notify(approval.id, data)
        await desk.site.told(run, "STEP_WAITING", "Approve tool refund", number)
        assert (await desk.approvals.list())[0].id == approval.id
    assert desk.refunded == []
    await desk.approvals.approve(approval.id)
    await desk.result(run)
    assert desk.refunded == [(7, 10)]


async def test_an_approval_of_one_run_is_none_for_another(desk: Desk, model: Any) -> None:
    model.call_tools(("refund", {"order": 7})).call_tools(("refund", {"order": 7}))
    first, [approval] = await desk.asked()
    second, both = await desk.asked()
    [other] = [a for a in both if a.id != approval.id]
    model.say("Done.")
    await desk.approvals.approve(approval)
    await desk.result(first)
    assert len(desk.refunded) == 1
    assert await desk.approvals.list() == [other]
    await second.cancel()
    assert await desk.approvals.list() == []
    with pytest.raises(StateError, match="no longer waits") as caught:
        await desk.approvals.approve(other)
    assert "ended with its run" in str(caught.value)


@pytest.mark.parametrize("id", ["no-id", "approval:wfr_none:3", "approval:", 7])
async def test_an_approval_that_never_was(desk: Desk, id: Any) -> None:
    await desk.site.post("/")  # starts the engine
    with pytest.raises(NotFound, match="WA609"):
        await desk.approvals.get(id)


async def test_only_an_unknown_outcome_can_have_happened(desk: Desk, model: Any) -> None:
    model.call_tools(("refund", {"order": 7}))
    run, [approval] = await desk.asked()
    with pytest.raises(StateError, match="only a call whose outcome is unknown"):
        await desk.approvals.resolve(approval, "done")
    await run.cancel()


async def test_other_waits_are_no_approvals(site: Any, model: ScriptedModel) -> None:
    @site.serve.post("/other", retries=0)
    async def other(context: AsyncWorkflowContext[None]) -> Any:
        wait = context.wait_for_event("w", "approval:mine", details={"for": "Ada", "n": [1]})
        return (await wait).event_data

    run = await site.trigger("/other")
    await site.waits(run, "w")
    assert await site.client.approvals.list() == []
    [step] = (await run.log()).steps
    assert step.waits_for["details"] == {"for": "Ada", "n": [1]}
    await site.client.notify("approval:mine", "x")
    assert (await site.ended(run)).result == "x"


async def test_details_that_are_no_data_are_refused(site: Any) -> None:
    @site.serve.post("/bad", retries=0)
    async def bad(context: AsyncWorkflowContext[None]) -> Any:
        return await context.wait_for_event("w", "event", details=object())

    await site.post("/")  # starts the engine
    log = await site.ended(await site.client.trigger("/bad"))
    assert log.failure["message"].startswith("WA204")


async def test_a_tool_that_makes_steps_of_its_own_may_need_approval(
    site: Any, model: ScriptedModel
) -> None:
    model.call_tools(("outer", {})).say("Done.")

    @site.serve.post("/outer", retries=0)
    async def outer(context: AsyncWorkflowContext[None]) -> str:
        agents = agent_workflow(context)
        made = WorkflowTool(
            name="outer",
            description="d",
            schema={"type": "object"},
            invoke=lambda: context.run("inner", lambda: "made"),
            execute_as_step=False,
            needs_approval=True,
        )
        llm = agents.openai("gpt-4o", base_url=model.base_url)
        agent = agents.agent(model=llm, name="a", tools=[made])
        return (await agents.task(agent=agent, prompt="Go.").run()).text

    run = await site.trigger("/outer")
    await site.waits(run, "Approve tool outer")
    [approval] = await site.client.approvals.list()
    await site.client.approvals.approve(approval)
    assert (await site.ended(run)).result == "Done."
    assert told(model) == ["made"]


async def test_a_run_that_is_resumed_asks_again_what_nobody_answered(
    desk: Desk, model: Any
) -> None:
    model.call_tools(("refund", {"order": 1}), ("fail", {}))

    @tool(needs_approval=True)
    def refund(order: int) -> str:
        """Refund."""
        desk.refunded.append((order, 0))
        return "refunded"

    broken = [True]

    def fail() -> str:
        """Fails for good."""
        if broken:
            raise WorkflowNonRetryableError("no")
        return "mended"

    @desk.site.serve.post("/two", retries=0)
    async def two(context: AsyncWorkflowContext[None]) -> str:
        agents = agent_workflow(context)
        llm = agents.openai("gpt-4o", base_url=model.base_url)
        agent = agents.agent(model=llm, name="a", tools=[refund, fail])
        return (await agents.task(agent=agent, prompt="Go.").run()).text

    run = await desk.site.trigger("/two")
    log = await desk.site.ended(run)
    assert log.state == "RUN_FAILED"
    assert await desk.approvals.list() == []
    broken.clear()
    model.say("Done.")
    resumed = await desk.site.client.dlq.resume(log.dlq_id)
    await desk.site.waits(resumed, "Approve tool refund")
    [approval] = await desk.approvals.list()
    assert approval.workflow_run_id == resumed.run_id
    await desk.approvals.approve(approval)
    assert await desk.result(resumed) == "Done."
    assert desk.refunded == [(1, 0)]


async def test_a_person_answers_in_place_of_the_tool(desk: Desk, model: Any) -> None:
    model.call_tools(("refund", {"order": 7})).say("They get a voucher.")
    run, [approval] = await desk.asked()
    await desk.approvals.respond(approval, "Offer a voucher of 10 euros.", by="ada")
    assert await desk.result(run) == "They get a voucher."
    assert told(model) == ["Offer a voucher of 10 euros."]
    assert desk.refunded == []
    with pytest.raises(StateError, match="was answered by ada"):
        await desk.approvals.respond(approval.id, "Again.")


async def test_two_people_approve_what_both_have_seen(desk: Desk, model: Any) -> None:
    desk.options = {"approvers": 2}
    model.call_tools(("refund", {"order": 7, "amount": 900})).say("Done.")
    run, [approval] = await desk.asked()
    assert (approval.approvers, approval.approved_by) == (2, ())
    with pytest.raises(ConfigurationError, match="by"):
        await desk.approvals.approve(approval)
    await desk.approvals.approve(approval, by="ada")

    await desk.site.told(run, "STEP_WAITING", "Approve tool refund", 2)
    [second] = await desk.approvals.list()
    assert second.approved_by == ("ada",)
    assert second.arguments_hash == approval.arguments_hash
    with pytest.raises(StateError, match="another person"):
        await desk.approvals.approve(second, by="ada")
    # Whoever edits is the first who has approved the new arguments.
    await desk.approvals.approve(second, arguments={"order": 7, "amount": 100}, by="bob")

    await desk.site.told(run, "STEP_WAITING", "Approve tool refund", 3)
    [third] = await desk.approvals.list()
    assert (third.arguments, third.approved_by) == ({"order": 7, "amount": 100}, ("bob",))
    assert desk.refunded == []
    await desk.approvals.approve(third, by="ada")
    assert await desk.result(run) == "Done."
    assert desk.refunded == [(7, 100)]


async def test_the_run_itself_counts_nobody_twice(desk: Desk, model: Any) -> None:
    """Whatever a client sends: the rule is the run's."""
    desk.options = {"approvers": 2}
    model.call_tools(("refund", {"order": 7})).say("No.")
    run, [approval] = await desk.asked()
    forged = {"verdict": "approve", "argumentsHash": approval.arguments_hash, "at": 1}
    for number, by in enumerate((None, "", "ada", "ada", None), start=2):
        await desk.site.client.notify(approval.id, {**forged, "by": by})
        await desk.site.told(run, "STEP_WAITING", "Approve tool refund", number)
        [approval] = await desk.approvals.list()
        assert approval.approved_by == (("ada",) if number >= 4 else ())
    assert desk.refunded == []
    await desk.approvals.reject(approval, "One is enough for that.")
    assert await desk.result(run) == "No."
    assert desk.refunded == []


@pytest.mark.parametrize(("approvers", "needed"), [(0, True), (True, True), (2, False)])
def test_how_many_approve_must_make_sense(approvers: Any, needed: bool) -> None:
    with pytest.raises(ConfigurationError, match="approvers"):
        tool(approvers=approvers, needs_approval=needed)(print_order)


def print_order(order: int) -> str:
    """Print an order."""
    return str(order)
