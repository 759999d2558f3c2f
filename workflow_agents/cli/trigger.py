"""`workflow-agents trigger`: start a run, and perhaps look on."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from workflow_agents.cli import output, tree
from workflow_agents.cli.asking import Json, Server, Token, client_of
from workflow_agents.cli.configuration import Configuration
from workflow_agents.cli.exits import Exit
from workflow_agents.core.bad_options import wrong_option
from workflow_agents.core.flow_control import FlowControl


def trigger(
    url: Annotated[str, typer.Argument(help="Of the workflow; a path, with UPSTASH_WORKFLOW_URL.")],
    data: Annotated[
        str | None, typer.Option("--data", "-d", help="The payload; @file reads one, - the input.")
    ] = None,
    header: Annotated[list[str] | None, typer.Option("--header", "-H", help="Name: value.")] = None,
    run_id: Annotated[str | None, typer.Option("--run-id", help="An id of your own.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="To find it by. Repeatable.")] = None,
    retries: Annotated[int | None, typer.Option(help="Of each step. Default: 3.")] = None,
    retry_delay: Annotated[str | None, typer.Option(help="As '1000 * (1 + retried)'.")] = None,
    delay: Annotated[str | None, typer.Option(help="Start this much later, as 10m.")] = None,
    not_before: Annotated[str | None, typer.Option(help="As 2026-05-01T12:00:00Z.")] = None,
    flow_control_key: Annotated[str | None, typer.Option(help="Whose limits it waits for.")] = None,
    parallelism: Annotated[int | None, typer.Option(help="A limit of that key.")] = None,
    rate: Annotated[int | None, typer.Option(help="A limit of that key.")] = None,
    period: Annotated[str, typer.Option(help="Of the rate.")] = "1s",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until it has ended.")] = False,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Start a run. With --follow, its steps are shown while they happen."""
    flow = None
    if flow_control_key is not None:
        flow = FlowControl(flow_control_key, rate=rate, period=period, parallelism=parallelism)
    options: dict[str, Any] = {
        "headers": _headers(header or []),
        "workflow_run_id": run_id,
        "label": label or None,
        "retries": retries,
        "retry_delay": retry_delay,
        "delay": delay,
        "not_before": not_before,
        "flow_control": flow,
    }
    configuration = Configuration({"server": server, "token": token})

    async def start() -> None:
        async with client_of(configuration) as client:
            run = await client.trigger(url, _payload(data), **options)
            if not follow:
                told = {"workflow_run_id": run.run_id, "deduplicated": run.deduplicated}
                if as_json:
                    output.show_json(told)
                else:
                    output.line(run.run_id)
                return
            log = await tree.follow(run, as_json=as_json)
            if log.state != "RUN_SUCCESS":
                raise typer.Exit(Exit.RUN_FAILED)

    asyncio.run(start())


def _headers(given: list[str]) -> dict[str, str] | None:
    headers: dict[str, str] = {}
    for text in given:
        name, colon, value = text.partition(":")
        if not colon:
            raise wrong_option("--header", "'Name: value'", text)
        headers[name.strip()] = value.strip()
    return headers or None


def _payload(data: str | None) -> Any:
    """JSON as data, so that it is sent as such; anything else as text."""
    if data is None:
        return None
    text = data
    if data == "-":
        text = sys.stdin.read()
    elif data.startswith("@"):
        try:
            text = Path(data[1:]).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise wrong_option("--data", "a file that can be read, behind @", str(error)) from None
    try:
        return json.loads(text)
    except ValueError:
        return text
