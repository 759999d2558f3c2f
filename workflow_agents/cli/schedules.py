"""`workflow-agents schedules`: messages that are published again and again."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from workflow_agents.cli import output
from workflow_agents.cli.asking import Json, Server, Token, ask, group

if TYPE_CHECKING:
    from workflow_agents.client import AsyncClient

app = group("Messages that are published again and again.")

ScheduleId = Annotated[str, typer.Argument(metavar="SCHEDULE_ID")]


@app.command("list")
def list_schedules(server: Server = None, token: Token = None, as_json: Json = False) -> None:
    """All schedules, the oldest first."""
    found = ask(server, token, lambda client: client.schedules.list())
    if as_json:
        output.show_json({"schedules": found})
        return
    output.show_table(
        ("schedule", "cron", "destination", "paused", "last", "next"),
        [
            (
                one.schedule_id,
                one.cron,
                one.destination,
                one.paused,
                output.at(one.last_at),
                output.at(one.next_at),
            )
            for one in found
        ],
        "no schedules",
    )


@app.command()
def create(
    destination: Annotated[str, typer.Argument(help="A URL, or the name of a URL group.")],
    cron: Annotated[str, typer.Option(help="As '0 9 * * MON-FRI', in UTC or CRON_TZ=...")],
    data: Annotated[str | None, typer.Option("--data", "-d", help="The body.")] = None,
    schedule_id: Annotated[str | None, typer.Option("--id", help="An id of your own.")] = None,
    queue: Annotated[str | None, typer.Option(help="In which its messages wait.")] = None,
    method: Annotated[str | None, typer.Option(help="Of its deliveries.")] = None,
    retries: Annotated[int | None, typer.Option(help="Of each message.")] = None,
    label: Annotated[str | None, typer.Option(help="Of its messages.")] = None,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Make a schedule, or overwrite the one of this id; prints its id."""
    given = {"method": method, "retries": retries, "label": label}
    options: Any = {name: value for name, value in given.items() if value is not None}
    if data is not None:
        options["content_type"] = "application/json" if data[:1] in "{[" else "text/plain"

    async def question(client: "AsyncClient") -> str:
        return await client.schedules.create(
            destination, data, cron=cron, schedule_id=schedule_id, queue=queue, **options
        )

    made = ask(server, token, question)
    if as_json:
        output.show_json({"schedule_id": made})
    else:
        output.line(made)


@app.command()
def show(
    schedule_id: ScheduleId, server: Server = None, token: Token = None, as_json: Json = False
) -> None:
    """A schedule."""
    found = ask(server, token, lambda client: client.schedules.get(schedule_id))
    if as_json:
        output.show_json(found)
        return
    output.show_record(
        output.data_of(found)
        | {name: output.at(getattr(found, name)) for name in ("created_at", "last_at", "next_at")}
    )


@app.command()
def pause(
    schedule_id: ScheduleId, server: Server = None, token: Token = None, as_json: Json = False
) -> None:
    """Make no tick of it."""
    ask(server, token, lambda client: client.schedules.pause(schedule_id))
    output.show_done("schedule_id", schedule_id, "paused", as_json=as_json)


@app.command()
def resume(
    schedule_id: ScheduleId, server: Server = None, token: Token = None, as_json: Json = False
) -> None:
    """Go on with its next tick."""
    ask(server, token, lambda client: client.schedules.resume(schedule_id))
    output.show_done("schedule_id", schedule_id, "resumed", as_json=as_json)


@app.command()
def delete(
    schedule_id: ScheduleId, server: Server = None, token: Token = None, as_json: Json = False
) -> None:
    """Remove it; its messages stay."""
    ask(server, token, lambda client: client.schedules.delete(schedule_id))
    output.show_done("schedule_id", schedule_id, "deleted", as_json=as_json)
