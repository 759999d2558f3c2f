"""A visitor with a ticket follows one run, and is told no more than the ticket says."""

import json
from typing import Any

import httpx2
import pytest

from workflow_agents import AsyncWorkflowContext, ConfigurationError, Engine
from workflow_agents.core.feed_events import outline
from workflow_agents.operations import EventStream
from workflow_agents.operations.tickets import Ticket, read, written
from workflow_agents.testing import WorkflowEnvironment


async def ask(stream: EventStream, run_id: str, shown: str = "", path: str = "/") -> Any:
    """The status, and the events that a stream of a run which has ended tells."""
    headers = {"authorization": f"Bearer {shown}"} if shown else {}
    transport = httpx2.ASGITransport(stream)
    async with httpx2.AsyncClient(transport=transport, base_url="http://app") as http:
        answer = await http.get(path, params={"workflowRunId": run_id}, headers=headers)
    blocks = [dict(line.split(": ", 1) for line in block.split("\n"))
              for block in answer.text.split("\n\n") if "event: " in block]  # fmt: skip
    return answer.status_code, [(one["event"], json.loads(one["data"])) for one in blocks]


async def test_a_ticket_is_for_one_run_and_for_a_while() -> None:
    async def secretive(context: AsyncWorkflowContext[Any]) -> Any:
        await context.run("look up", lambda: "the s3cret of a step")
        given = {"timeout": "1d", "details": {"ask": "may I?"}}
        await context.wait_for_event("ask", "s3cret-event", **given)
        return "done"

    async with WorkflowEnvironment() as env:
        runs = [await env.trigger(secretive) for _ in range(2)]
        await env.notify("s3cret-event", "s3cret answer")
        for run in runs:
            await env.result(run)
        mine, other = (run.run_id for run in runs)
        stream = EventStream(env.engine, tickets=True)
        ticket = stream.ticket(mine, lasts="1h")

        status, told = await ask(stream, mine, ticket)
        assert status == 200
        assert told[-1] == ("end", {"status": "success", "result": "done"})
        entries = [data for event, data in told if event == "entry"]
        assert [(one["kind"], one.get("stepName")) for one in entries] == [
            ("RUN_STARTED", None), ("STEP_SUCCESS", "look up"), ("STEP_WAITING", "ask"),
            ("STEP_SUCCESS", "ask"), ("RUN_SUCCESS", None),
        ]  # fmt: skip
        assert entries[2]["data"]["details"] == {"ask": "may I?"}
        assert "s3cret" not in str(told)

        for run_id, shown in ((other, ticket), (mine, ""), (mine, ticket[:-2]), ("", ticket)):
            assert (await ask(stream, run_id, shown))[0] == 401
        whole = await ask(stream, mine, stream.ticket(mine, data=True))
        assert str(whole).count("s3cret") == 3
        # A text that the store has sealed for something else is no ticket.
        sealed = env.engine.core.sealer.seal(json.dumps({"approval": "x"}))
        assert (await ask(stream, mine, f"run.{sealed}"))[0] == 401
        await env.advance("1h")
        assert (await ask(stream, mine, ticket))[0] == 401


async def test_the_token_opens_everything_and_a_stream_without_tickets_takes_none() -> None:
    async def one(context: AsyncWorkflowContext[Any]) -> int:
        return await context.run("one", lambda: 1)

    async with WorkflowEnvironment() as env:
        run = await env.trigger(one)
        await env.result(run)
        both = EventStream(env.engine, token="of-the-operator", tickets=True)
        ticket = both.ticket(run.run_id)
        for shown, status in (("of-the-operator", 200), (ticket, 200), ("guessed", 401)):
            assert (await ask(both, run.run_id, shown))[0] == status
        tokens = EventStream(env.engine, token="of-the-operator")
        assert (await ask(tokens, run.run_id, ticket))[0] == 401
        assert (await ask(EventStream(env.engine), run.run_id))[0] == 200
        with pytest.raises(ConfigurationError, match="tickets"):
            tokens.ticket(run.run_id)


async def test_the_module_for_web_pages_is_beside_the_stream() -> None:
    stream = EventStream(Engine(":memory:"), tickets=True)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(stream)) as http:
        answer = await http.get("http://app/client.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "last-event-id" in answer.text


def test_what_is_no_ticket_is_none() -> None:
    class Plain:
        def seal(self, text: str) -> str:
            return text

        def open(self, sealed: str) -> str:
            return sealed

    ticket = Ticket("wfr_1", 1_000, words=True, data=False)
    text = written(ticket, Plain())
    assert read(text, Plain(), 999) == ticket
    assert read(text, Plain(), 1_000) is None
    for wrong in ("", "run.", "run.1", "run.[]", 'run.{"a": 1}', "token", text[4:]):
        assert read(wrong, Plain(), 0) is None


def test_an_outline_leaves_out_who_may_answer_and_what_was_answered() -> None:
    waits = {
        "kind": "STEP_WAITING",
        "seq": 3,
        "workflow": "/w",
        "data": {"eventId": "e", "until": 9},
    }
    assert outline(waits) == {"kind": "STEP_WAITING", "seq": 3, "data": {"until": 9}}
    asks = waits | {"data": {"eventId": "approval:wfr_1:1", "until": 9, "details": {"a": 1}}}
    assert outline(asks) == {"kind": "STEP_WAITING", "seq": 3, "data": {"until": 9}}
    failed = {"kind": "RUN_FAILED", "seq": 4, "data": {"message": "s3cret"}}
    assert outline(failed) == {"kind": "RUN_FAILED", "seq": 4}
    assert outline({"kind": "NOTIFIED", "seq": 5}) is None
