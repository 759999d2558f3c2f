"""`workflow-agents queues`: in which messages wait for each other."""

from typing import Annotated

import typer

from workflow_agents.cli import output
from workflow_agents.cli.asking import Json, Server, Token, ask

app = typer.Typer(
    help="Queues, in which messages wait for each other.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(metavar="NAME")]


@app.command("list")
def list_queues(server: Server = None, token: Token = None, as_json: Json = False) -> None:
    """All queues."""
    found = ask(server, token, lambda client: client.queues.list())
    if as_json:
        output.show_json({"queues": found})
        return
    output.show_table(
        ("queue", "parallelism", "lag", "paused", "changed"),
        [(q.name, q.parallelism, q.lag, q.paused, output.at(q.updated_at)) for q in found],
        "no queues",
    )


@app.command()
def show(name: Name, server: Server = None, token: Token = None, as_json: Json = False) -> None:
    """A queue."""
    found = ask(server, token, lambda client: client.queues.get(name))
    if as_json:
        output.show_json(found)
        return
    output.show_record(
        output.data_of(found)
        | {name: output.at(getattr(found, name)) for name in ("created_at", "updated_at")}
    )


@app.command()
def upsert(
    name: Name,
    parallelism: Annotated[int | None, typer.Option(help="At the same time.")] = None,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Make a queue, or change one."""
    ask(server, token, lambda client: client.queues.upsert(name, parallelism=parallelism))
    output.show_done("name", name, "kept", as_json=as_json)


@app.command()
def pause(name: Name, server: Server = None, token: Token = None, as_json: Json = False) -> None:
    """Begin no delivery of it."""
    ask(server, token, lambda client: client.queues.pause(name))
    output.show_done("name", name, "paused", as_json=as_json)


@app.command()
def resume(name: Name, server: Server = None, token: Token = None, as_json: Json = False) -> None:
    """Deliver again."""
    ask(server, token, lambda client: client.queues.resume(name))
    output.show_done("name", name, "resumed", as_json=as_json)


@app.command()
def delete(name: Name, server: Server = None, token: Token = None, as_json: Json = False) -> None:
    """Remove it; what waits in it is cancelled."""
    ask(server, token, lambda client: client.queues.delete(name))
    output.show_done("name", name, "deleted", as_json=as_json)
