"""The commands and their options. What they do is imported when they are called."""

import sys
from typing import Annotated

from workflow_agents import config
from workflow_agents.errors import ConfigurationError, WorkflowAgentsError

try:
    import typer
except ImportError as error:  # pragma: no cover -- the tests have it
    missing = ConfigurationError(
        "WA108", where="workflow-agents", fix=("pip install 'workflow-agents[cli,server]'",)
    )
    sys.stderr.write(f"{missing}\n")
    raise SystemExit(2) from error

app = typer.Typer(
    name="workflow-agents",
    help="AI agents on durable workflows.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

_ALLOW_NETWORK = "A private network that messages may go to, as 10.0.0.0/8. Repeatable."
_LOG_FORMAT = "How logs are written to standard error: text, or json, an object a line."
_LOG_LEVEL = "debug, info, warning or error. From info on, also what happens to runs."
_ALLOWED_HOST = "A further name under which it may be asked for. Repeatable."


@app.command()
def dev(
    application: Annotated[
        str | None, typer.Argument(metavar="[MODULE:APP]", help="Your ASGI app, started beside it.")
    ] = None,
    port: Annotated[int, typer.Option(help="0: any free one.", envvar="QSTASH_DEV_PORT")] = 8080,
    host: Annotated[str, typer.Option(help="An address of this machine only.")] = "127.0.0.1",
    app_port: Annotated[int, typer.Option(help="Where your app is served.")] = 8000,
    store: Annotated[
        str | None, typer.Option(help="A path, sqlite:///path or :memory:. Kept between restarts.")
    ] = None,
    allow_network: Annotated[list[str] | None, typer.Option(help=_ALLOW_NETWORK)] = None,
    allowed_host: Annotated[list[str] | None, typer.Option(help=_ALLOWED_HOST)] = None,
    log_format: Annotated[str, typer.Option(help=_LOG_FORMAT)] = "text",
    log_level: Annotated[str, typer.Option(help=_LOG_LEVEL)] = "warning",
) -> None:
    """Run a server for development, with well-known credentials, on this machine only."""
    _title("dev")
    _configure_logging(log_format, log_level)
    from workflow_agents.cli.dev import Development, run

    run(
        Development(
            application=application,
            host=host,
            port=port,
            app_port=app_port,
            store=store or config.store_path_or("dev"),
            allow_networks=tuple(allow_network or ()),
            hosts=frozenset(allowed_host or ()),
        )
    )


@app.command()
def server(
    store: Annotated[
        str | None, typer.Option(help="A path, or sqlite:///path.", envvar="WORKFLOW_AGENTS_STORE")
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port.")] = 8080,
    allow_network: Annotated[list[str] | None, typer.Option(help=_ALLOW_NETWORK)] = None,
    allowed_host: Annotated[list[str] | None, typer.Option(help=_ALLOWED_HOST)] = None,
    rate: Annotated[
        float | None, typer.Option(help="Requests a second of one token. Default: any number.")
    ] = None,
    retention: Annotated[
        str | None, typer.Option(help="How long what has ended is kept, as 30d. Default: for ever.")
    ] = None,
    log_format: Annotated[str, typer.Option(help=_LOG_FORMAT)] = "text",
    log_level: Annotated[str, typer.Option(help=_LOG_LEVEL)] = "warning",
) -> None:
    """Run a server. QSTASH_TOKEN and the signing keys are taken from the environment, or made."""
    _title("server")
    _configure_logging(log_format, log_level)
    from workflow_agents.cli.server import Serving, run

    run(
        Serving(
            store=store or config.store_path_or("server"),
            host=host,
            port=port,
            allow_networks=tuple(allow_network or ()),
            hosts=frozenset(allowed_host or ()),
            rate=rate,
            retention=retention,
        )
    )


def _configure_logging(log_format: str, level: str) -> None:
    from workflow_agents.operations.logs import configure_logging

    configure_logging(log_format, level)


def _title(command: str) -> None:
    """Something to read at once; what follows takes a moment to import.

    Raises:
        ConfigurationError: WA108, a package that the server needs is missing.
    """
    from importlib.util import find_spec

    from workflow_agents.cli.screen import Screen, version_of_this

    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            "WA108",
            where=f"workflow-agents {command}",
            found=f"not installed: {', '.join(missing)}",
            fix=("pip install 'workflow-agents[server]'",),
        )
    Screen().title(f"workflow-agents {version_of_this()} · {command}")


@app.command()
def version() -> None:
    """Print the version."""
    from workflow_agents.cli.screen import version_of_this

    typer.echo(version_of_this())


@app.command()
def explain(code: Annotated[str, typer.Argument(help="As WA201.")]) -> None:
    """Tell what an error code means, and what to do."""
    from workflow_agents.error_codes import CODES

    entry = CODES.get(code.upper())
    if entry is None:
        typer.echo(f"there is no {code}; codes go from {min(CODES)} to {max(CODES)}", err=True)
        raise typer.Exit(2)
    typer.echo(f"{entry.code}  {entry.title}\n\nwhy  {entry.why}")
    typer.echo("\n".join(f"fix  {fix}" for fix in entry.fix))


def main() -> None:
    """The command `workflow-agents`: an error of ours is told in its five parts."""
    try:
        app()
    except WorkflowAgentsError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from None
