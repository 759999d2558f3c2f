"""`workflow-agents flow-control`: limits that runs and messages share."""

from typing import Annotated

import typer

from workflow_agents.cli import output
from workflow_agents.cli.asking import Json, Server, Token, ask, group

app = group("Limits that runs and messages share.")

Key = Annotated[str, typer.Argument(metavar="KEY")]


@app.command("list")
def list_keys(
    search: Annotated[str | None, typer.Option(help="A text in the name.")] = None,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """All keys, and how they are used now."""
    found = ask(server, token, lambda client: client.flow_control.list(search))
    if as_json:
        output.show_json({"keys": found})
        return
    output.show_table(
        ("key", "waiting", "in flight", "parallelism", "started", "rate", "period", "paused"),
        [
            (
                one.key,
                one.waiting,
                one.in_flight,
                one.parallelism,
                one.started,
                one.rate,
                output.took(one.period_ms) if one.rate else None,
                one.paused,
            )
            for one in found
        ],
        "no keys",
    )


@app.command()
def show(key: Key, server: Server = None, token: Token = None, as_json: Json = False) -> None:
    """A key, and how it is used now."""
    found = ask(server, token, lambda client: client.flow_control.get(key))
    if as_json:
        output.show_json(found)
    else:
        output.show_record(output.data_of(found))


@app.command()
def pin(
    key: Key,
    parallelism: Annotated[int | None, typer.Option(help="At the same time.")] = None,
    rate: Annotated[int | None, typer.Option(help="In a period.")] = None,
    period: Annotated[str | None, typer.Option(help="As 1m. Default: 1s.")] = None,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Set limits that neither runs nor messages change."""
    ask(
        server,
        token,
        lambda client: client.flow_control.pin(
            key, parallelism=parallelism, rate=rate, period=period
        ),
    )
    output.show_done("key", key, "pinned", as_json=as_json)


@app.command()
def unpin(
    key: Key,
    parallelism: Annotated[bool, typer.Option(help="Of the parallelism.")] = True,
    rate: Annotated[bool, typer.Option(help="Of the rate.")] = True,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Let runs and messages set the limits again."""
    ask(
        server,
        token,
        lambda client: client.flow_control.unpin(key, parallelism=parallelism, rate=rate),
    )
    output.show_done("key", key, "unpinned", as_json=as_json)


@app.command()
def pause(key: Key, server: Server = None, token: Token = None, as_json: Json = False) -> None:
    """Start nothing of a key."""
    ask(server, token, lambda client: client.flow_control.pause(key))
    output.show_done("key", key, "paused", as_json=as_json)


@app.command()
def resume(key: Key, server: Server = None, token: Token = None, as_json: Json = False) -> None:
    """Go on."""
    ask(server, token, lambda client: client.flow_control.resume(key))
    output.show_done("key", key, "resumed", as_json=as_json)


@app.command("reset-rate")
def reset_rate(key: Key, server: Server = None, token: Token = None, as_json: Json = False) -> None:
    """Begin a new period."""
    ask(server, token, lambda client: client.flow_control.reset_rate(key))
    output.show_done("key", key, "reset", as_json=as_json)
