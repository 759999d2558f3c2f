"""`workflow-agents dlq`: runs that failed for good."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from workflow_agents.cli import output, tree
from workflow_agents.cli.asking import Json, Limit, Server, Token, ask, group
from workflow_agents.cli.runs import FlowKey, Label, Since, Until, Workflow, filters

if TYPE_CHECKING:
    from workflow_agents.client import AsyncClient

app = group("Runs that failed for good.")

Ids = Annotated[list[str] | None, typer.Argument(metavar="[DLQ_ID]...")]
Every = Annotated[bool, typer.Option("--all", help="Every one there is.")]
Retries = Annotated[int | None, typer.Option(help="Of the new runs.")]


@app.command("list")
def list_letters(
    workflow: Workflow = None,
    label: Label = None,
    flow_control_key: FlowKey = None,
    failure_function_state: Annotated[
        str | None, typer.Option(help="CALLBACK_INPROGRESS, CALLBACK_SUCCESS or CALLBACK_FAIL.")
    ] = None,
    since: Since = None,
    until: Until = None,
    cursor: Annotated[str | None, typer.Option(help="Where the list before ended.")] = None,
    limit: Limit = 20,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Failed runs, the newest first."""
    which = filters(
        workflow=workflow,
        label=label,
        flow_control_key=flow_control_key,
        failure_function_state=failure_function_state,
        since=since,
        until=until,
    )
    found = ask(server, token, lambda client: client.dlq.list(cursor=cursor, limit=limit, **which))
    if as_json:
        output.show_json({"letters": found, "cursor": found.cursor})
        return
    output.show_table(
        ("id", "run", "workflow", "failed", "failure function", "why"),
        [
            (
                letter.dlq_id,
                letter.workflow_run_id,
                letter.workflow,
                output.at(letter.at),
                letter.failure_function_state,
                output.short(letter.failure.get("message")),
            )
            for letter in found
        ],
        "nothing failed for good",
    )
    if found.cursor:
        output.line(f"more: --cursor {found.cursor}")


@app.command()
def show(
    dlq_id: Annotated[str, typer.Argument(metavar="DLQ_ID")],
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """A failed run and its steps."""
    letter = ask(server, token, lambda client: client.dlq.get(dlq_id))
    if as_json:
        output.show_json(letter)
        return
    for text in tree.lines_of(letter.log):
        output.line(text)
    output.show_record(
        {
            "failed": output.at(letter.at),
            "failure function": letter.failure_function_state,
            "status": letter.failure.get("status"),
            "attempts": letter.failure.get("attempts"),
        }
    )


@app.command()
def resume(
    dlq_ids: Ids = None,
    workflow: Workflow = None,
    label: Label = None,
    flow_control_key: FlowKey = None,
    every: Every = False,
    retries: Retries = None,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Go on with failed runs where they failed; prints the ids of the new runs."""
    where = filters(workflow=workflow, label=label, flow_control_key=flow_control_key)
    _again(dlq_ids, where, every, retries, server, token, as_json=as_json, resume=True)


@app.command()
def restart(
    dlq_ids: Ids = None,
    workflow: Workflow = None,
    label: Label = None,
    flow_control_key: FlowKey = None,
    every: Every = False,
    retries: Retries = None,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Begin failed runs again from the top; prints the ids of the new runs."""
    where = filters(workflow=workflow, label=label, flow_control_key=flow_control_key)
    _again(dlq_ids, where, every, retries, server, token, as_json=as_json, resume=False)


def _again(
    ids: list[str] | None,
    where: Any,
    every: bool,
    retries: int | None,
    server: str | None,
    token: str | None,
    *,
    as_json: bool,
    resume: bool,
) -> None:
    options = {} if retries is None else {"retries": retries}

    async def question(client: "AsyncClient") -> list[str]:
        if ids is not None and len(ids) == 1 and not (where or every):
            # By itself, so that an id that is none is told of.
            one = client.dlq.resume if resume else client.dlq.restart
            return [(await one(ids[0], **options)).run_id]
        many = client.dlq.resume_many if resume else client.dlq.restart_many
        made = await many(ids or None, where=where or None, all=every, **options)
        return [run.run_id for run in made]

    made = ask(server, token, question)
    if as_json:
        output.show_json({"workflow_run_ids": made})
        return
    for run_id in made:
        output.line(run_id)


@app.command("retry-failure-function")
def retry_failure_function(
    dlq_id: Annotated[str, typer.Argument(metavar="DLQ_ID")],
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Call a failure function that has failed again."""
    ask(server, token, lambda client: client.dlq.retry_failure_function(dlq_id))
    if as_json:
        output.show_json({"dlq_id": dlq_id, "retried": True})
    else:
        output.line("its failure function is called again")


@app.command()
def delete(
    dlq_ids: Ids = None,
    workflow: Workflow = None,
    label: Label = None,
    flow_control_key: FlowKey = None,
    every: Every = False,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Remove dead letters; their runs stay in the logs."""
    where: Any = filters(workflow=workflow, label=label, flow_control_key=flow_control_key)

    async def question(client: "AsyncClient") -> int:
        if dlq_ids is not None and len(dlq_ids) == 1 and not (where or every):
            await client.dlq.delete(dlq_ids[0])
            return 1
        return await client.dlq.delete_many(dlq_ids or None, where=where or None, all=every)

    deleted = ask(server, token, question)
    if as_json:
        output.show_json({"deleted": deleted})
    else:
        output.line(f"deleted {deleted}")
