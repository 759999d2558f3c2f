"""`workflow-agents doctor`: looks at all that has to fit together, and says what does not."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import typer

from workflow_agents import config
from workflow_agents.cli import output
from workflow_agents.cli.asking import Json, Server, Token, client_of
from workflow_agents.cli.checks.endpoint import check_endpoint
from workflow_agents.cli.checks.finding import Finding, fault_of, ok
from workflow_agents.cli.checks.machine import check_store, store_of
from workflow_agents.cli.checks.server import ServerPlace, check_server
from workflow_agents.cli.configuration import Configuration
from workflow_agents.cli.exits import Exit
from workflow_agents.clock import SystemClock
from workflow_agents.errors import WorkflowAgentsError
from workflow_agents.protocol.signature import SigningKeys

_MARKS = {"ok": ("32", "✓"), "fault": ("31", "✗"), "warning": ("33", "!"), "skipped": ("2", "·")}


def doctor(
    endpoint: Annotated[
        list[str] | None, typer.Option(help="The URL of a workflow to look at. Repeatable.")
    ] = None,
    store: Annotated[str | None, typer.Option(help="The store to look at.")] = None,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Find what is wrong with this set-up. Exit code 8 if something is."""
    flags = {"server": server, "token": token, "store": store}
    found = asyncio.run(_all(flags, endpoint or []))
    levels = Counter(one.level for one in found)
    if as_json:
        output.show_json({"healthy": not levels["fault"], "findings": found})
    else:
        for one in found:
            _show(one)
        output.line()
        told = (
            f"{levels['fault']} faults, {levels['warning']} warnings, {levels['ok']} checks passed"
        )
        output.line(told)
    if levels["fault"]:
        raise typer.Exit(Exit.FAULTS)


async def _all(flags: dict[str, str | None], endpoints: list[str]) -> list[Finding]:
    return [finding async for finding in _findings(flags, endpoints)]


async def _findings(flags: dict[str, str | None], endpoints: list[str]) -> AsyncIterator[Finding]:
    now_ms = SystemClock().now_ms()
    try:
        configuration = Configuration(flags)
        every = configuration.every()
        store = store_of(configuration, Path.cwd())
    except WorkflowAgentsError as error:
        yield fault_of("configuration", error)
        return
    yield ok("configuration", str(configuration.file or "environment and defaults"))
    for finding in check_store(store, now_ms):
        yield finding
    found = every["server"]
    place = ServerPlace(
        str(found.value).rstrip("/"), every["token"].value, found.source != "default"
    )
    reached = False
    async for finding in check_server(place, config.environment(), now_ms):
        reached = reached or (finding.check == "token" and finding.level == "ok")
        yield finding
    keys = await _keys(configuration) if reached and endpoints else None
    for url in endpoints:
        async for finding in check_endpoint(url, keys, now_ms):
            yield finding


async def _keys(configuration: Configuration) -> SigningKeys:
    async with client_of(configuration) as client:
        return await client.keys.get()


def _show(one: Finding) -> None:
    style, mark = _MARKS[one.level]
    code = f"{one.code}  " if one.code else ""
    output.line(f"{output.styled(style, mark)} {one.check:<14} {code}{one.told}")
    if one.level in {"fault", "warning"}:
        for fix in one.fix:
            output.line(f"  {'':<14} {output.styled('2', 'fix')}  {fix}")
