"""`workflow-agents events`: wake what waits for one, and see who does."""

import json
from typing import Annotated, Any

import typer

from workflow_agents.cli import output
from workflow_agents.cli.asking import Json, Server, Token, ask, group

app = group("Events that runs wait for.")

EventId = Annotated[str, typer.Argument(metavar="EVENT_ID")]


@app.command()
def notify(
    event_id: EventId,
    data: Annotated[str | None, typer.Option("--data", "-d", help="JSON, or text.")] = None,
    run_id: Annotated[
        str | None, typer.Option("--run-id", help="Only this run, now or when it waits next.")
    ] = None,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Wake every run that waits for an event."""
    woken = ask(
        server, token, lambda client: client.notify(event_id, _data(data), workflow_run_id=run_id)
    )
    if as_json:
        output.show_json({"notified": woken})
        return
    for waiter in woken:
        output.line(waiter.workflow_run_id)
    if not woken:
        output.line("kept for its next wait" if run_id else "nobody waits for it")


def _data(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


@app.command()
def waiters(
    event_id: EventId, server: Server = None, token: Token = None, as_json: Json = False
) -> None:
    """Which runs wait for an event, and until when."""
    found = ask(server, token, lambda client: client.get_waiters(event_id))
    if as_json:
        output.show_json({"waiters": found})
        return
    output.show_table(
        ("run", "until"),
        [(one.workflow_run_id, output.at(one.deadline * 1000)) for one in found],
        "nobody waits for it",
    )
