"""How a command asks a server: which one, and what it does with the answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from workflow_agents.cli.configuration import Configuration
from workflow_agents.client import AsyncClient
from workflow_agents.clock import SystemClock
from workflow_agents.errors import ConfigurationError
from workflow_agents.qstash.backend import OverHttp
from workflow_agents.qstash.connection import Connection

T = TypeVar("T")

_RETRIES = 1
"""A person waits, and can ask again."""

Server = Annotated[
    str | None, typer.Option("--server", help="Its address. Default: QSTASH_URL, then dev's.")
]
Token = Annotated[str | None, typer.Option("--token", help="Default: QSTASH_TOKEN, then dev's.")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]
Limit = Annotated[int, typer.Option("--limit", "-n", help="How many at most.", min=1)]


def group(about: str) -> typer.Typer:
    """A group of commands."""
    return typer.Typer(help=about, no_args_is_help=True, rich_markup_mode=None)


def ask(
    server: str | None, token: str | None, question: Callable[[AsyncClient], Awaitable[T]]
) -> T:
    """Ask the server that flags, environment and file name.

    Raises:
        ConfigurationError: WA106, there is no token.
        RemoteError: WA303.
    """
    return asyncio.run(_ask(client_of(Configuration({"server": server, "token": token})), question))


async def _ask(client: AsyncClient, question: Callable[[AsyncClient], Awaitable[T]]) -> T:
    async with client:
        return await question(client)


def client_of(configuration: Configuration) -> AsyncClient:
    """The client of the server that is configured.

    Raises:
        ConfigurationError: WA106.
    """
    if configuration.found("server").source == "environment QSTASH_DEV":
        return AsyncClient()
    address, token = configuration["server"], configuration["token"]
    if not token:
        raise ConfigurationError(
            "WA106",
            where=f"the server {address}",
            found="no token was given",
            fix=("--token ...", "set QSTASH_TOKEN"),
        )
    return AsyncClient(OverHttp(Connection(token, address, retries=_RETRIES), SystemClock()))
