"""`workflow-agents runs`: list them, look at one, cancel, go on with those that failed."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workflow_agents.cli import output, tree
from workflow_agents.cli.asking import Json, Limit, Server, Token, ask, group
from workflow_agents.core.bad_options import wrong_option
from workflow_agents.core.lifecycle import RUN_STATES
from workflow_agents.errors import StateError

if TYPE_CHECKING:
    from workflow_agents.client import AsyncClient
    from workflow_agents.core.searching import SearchResult

app = group("Runs: listed, shown, cancelled, begun again.")

RunId = Annotated[str, typer.Argument(metavar="RUN_ID")]
Workflow = Annotated[str | None, typer.Option(help="Only of this workflow: its URL.")]
Label = Annotated[str | None, typer.Option(help="Only those with this label.")]
Since = Annotated[str | None, typer.Option(help="From this instant on, as 2026-05-01T12:00:00Z.")]
Until = Annotated[str | None, typer.Option(help="Up to this instant.")]
FlowKey = Annotated[str | None, typer.Option("--flow-control-key", help="Only of this key.")]


def filters(**given: str | None) -> dict[str, Any]:
    """Those that were given."""
    return {name: value for name, value in given.items() if value is not None}


@app.command("list")
def list_runs(
    workflow: Workflow = None,
    state: Annotated[str | None, typer.Option(help=f"One of {', '.join(RUN_STATES)}.")] = None,
    label: Label = None,
    flow_control_key: FlowKey = None,
    since: Since = None,
    until: Until = None,
    cursor: Annotated[str | None, typer.Option(help="Where the list before ended.")] = None,
    search: Annotated[
        str | None, typer.Option(help="Only those whose inputs, results or steps hold this text.")
    ] = None,
    limit: Limit = 20,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Runs, the newest first."""
    which = filters(
        workflow=workflow,
        state=_state(state),
        label=label,
        flow_control_key=flow_control_key,
        since=since,
        until=until,
    )
    if search is not None:
        looked = ask(
            server,
            token,
            lambda client: client.search(search, cursor=cursor, limit=limit, **which),
        )
        _show_matches(looked, as_json=as_json)
        return
    found = ask(server, token, lambda client: client.logs(cursor=cursor, limit=limit, **which))
    if as_json:
        output.show_json({"runs": found, "cursor": found.cursor})
        return
    output.show_table(
        ("run", "workflow", "state", "started", "took", "labels"),
        [
            (
                log.workflow_run_id,
                log.workflow,
                output.state(log.state),
                output.at(log.created_at),
                output.took(None if log.ended_at is None else log.ended_at - log.created_at),
                log.labels,
            )
            for log in found
        ],
        "no runs",
    )
    if found.cursor:
        output.line(f"more: --cursor {found.cursor}")


def _show_matches(found: "SearchResult", *, as_json: bool) -> None:
    """Where a text stands, and how far was looked."""
    if as_json:
        output.show_json(found)
        return
    output.show_table(
        ("run", "workflow", "state", "started", "in", "text"),
        [
            (
                match.workflow_run_id,
                match.workflow,
                output.state(match.state),
                output.at(match.created_at),
                f"step {match.step_name}" if match.step_name else match.where,
                match.text,
            )
            for match in found.matches
        ],
        "no run holds it",
    )
    since = "" if found.looked_until is None else f", back to {output.at(found.looked_until)}"
    output.line(f"looked into the newest {found.looked_at:,} runs{since}")
    if found.left_out:
        output.line(f"{found.left_out:,} values above 4 MiB were left out")
    if found.cursor:
        output.line(f"look further: --cursor {found.cursor}")


def _state(text: str | None) -> str | None:
    """As the wire calls it, or as people say it: "failed"."""
    said = {output.state(name): name for name in RUN_STATES}
    return None if text is None else said.get(text.lower(), text.upper())


@app.command()
def show(run_id: RunId, server: Server = None, token: Token = None, as_json: Json = False) -> None:
    """A run and its steps."""
    log = ask(server, token, lambda client: client.log(run_id))
    if as_json:
        output.show_json(log)
        return
    for text in tree.lines_of(log):
        output.line(text)


@app.command()
def cancel(
    run_ids: Annotated[list[str] | None, typer.Argument(metavar="[RUN_ID]...")] = None,
    workflow: Workflow = None,
    url_prefix: Annotated[
        str | None, typer.Option(help="All whose workflow's URL begins so.")
    ] = None,
    label: Label = None,
    flow_control_key: FlowKey = None,
    every: Annotated[bool, typer.Option("--all", help="Every run there is.")] = False,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Cancel runs: by id, by filters, or all."""
    where: Any = filters(
        workflow=workflow, url_prefix=url_prefix, label=label, flow_control_key=flow_control_key
    )
    cancelled = ask(
        server,
        token,
        lambda client: client.cancel_many(run_ids or None, where=where or None, all=every),
    )
    if as_json:
        output.show_json({"cancelled": cancelled})
    else:
        output.line(f"cancelled {cancelled}")


@app.command()
def resume(
    run_id: RunId,
    retries: Annotated[int | None, typer.Option(help="Of the new run.")] = None,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Go on with a failed run where it failed; prints the id of the new run."""
    _again(run_id, retries, server, token, as_json=as_json, resume=True)


@app.command()
def restart(
    run_id: RunId,
    retries: Annotated[int | None, typer.Option(help="Of the new run.")] = None,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Begin a failed run again from the top; prints the id of the new run."""
    _again(run_id, retries, server, token, as_json=as_json, resume=False)


@app.command()
def fork(
    run_id: RunId,
    step: Annotated[str | None, typer.Option(help="From this step on: its key or name.")] = None,
    body: Annotated[str | None, typer.Option(help="Another payload, as JSON.")] = None,
    result: Annotated[str | None, typer.Option(help="Of the step, as JSON.")] = None,
    model: Annotated[str | None, typer.Option(help="Ask another model from there on.")] = None,
    system: Annotated[str | None, typer.Option(help="Give it other instructions.")] = None,
    prompt: Annotated[str | None, typer.Option(help="In place of the last prompt.")] = None,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Begin a run like another one, and go another way from a step on; prints its id."""
    asked: dict[str, Any] = filters(model=model, system=system, prompt=prompt)
    for name, text in (("body", body), ("result", result)):
        if text is not None:
            asked[name] = _json(name, text)
    key = int(step) if step is not None and step.isdecimal() else step

    async def question(client: "AsyncClient") -> str:
        return (await client.handle(run_id).fork(key, **asked)).run_id

    made = ask(server, token, question)
    if as_json:
        output.show_json({"workflow_run_id": made})
    else:
        output.line(made)


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise wrong_option(f"--{name}", "JSON", text[:80]) from error


def _again(
    run_id: str,
    retries: int | None,
    server: str | None,
    token: str | None,
    *,
    as_json: bool,
    resume: bool,
) -> None:
    async def question(client: "AsyncClient") -> str:
        log = await client.log(run_id)
        if log.state != "RUN_FAILED" or log.dlq_id is None:
            raise StateError(
                "WA608",
                "only a run that failed for good begins again",
                run_id=log.workflow_run_id,
                where=f"run {log.workflow_run_id}",
                found=f"expected RUN_FAILED with a dead letter, found {log.state}",
                fix=(f"workflow-agents runs show {log.workflow_run_id}",),
            )
        options = {} if retries is None else {"retries": retries}
        verb = client.dlq.resume if resume else client.dlq.restart
        return (await verb(log.dlq_id, **options)).run_id

    made = ask(server, token, question)
    if as_json:
        output.show_json({"workflow_run_id": made})
    else:
        output.line(made)
