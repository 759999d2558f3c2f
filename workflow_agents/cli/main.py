"""The commands and their options. What they do is imported when they are called."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

from workflow_agents.errors import ConfigurationError, WorkflowAgentsError

try:
    import typer
    from typer.core import TyperGroup
except ImportError as error:  # pragma: no cover -- the tests have it
    missing = ConfigurationError(
        "WA108", where="workflow-agents", fix=("pip install 'workflow-agents[cli,server]'",)
    )
    sys.stderr.write(f"{missing}\n")
    raise SystemExit(2) from error

_LATER = {
    "runs": "Runs: listed, shown, cancelled, begun again.",
    "dlq": "Runs that failed for good.",
    "events": "Events that runs wait for.",
    "schedules": "Messages that are published again and again.",
    "flow-control": "Limits that runs and messages share.",
    "queues": "Queues, in which messages wait for each other.",
    "keys": "The keys that a server signs with.",
    "config": "What the commands are configured with.",
}
_COMMANDS_LATER = {"trigger", "doctor", "explain"}
_ORDER = (
    *("dev", "server", "trigger", "runs", "dlq", "events", "schedules", "flow-control", "queues"),
    *("keys", "doctor", "explain", "config", "version"),
)


class _Commands(TyperGroup):
    """Groups are imported when one of their commands is called, or its help is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names, in the order of the help."""
        del ctx
        return [*_ORDER]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """One of them."""
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        room = f"workflow_agents.cli.{cmd_name.replace('-', '_')}"
        if cmd_name in _LATER:
            made = typer.main.get_group(import_module(room).app)
        elif cmd_name in _COMMANDS_LATER:
            single = typer.Typer(add_completion=False, rich_markup_mode=None)
            single.command(cmd_name)(getattr(import_module(room), cmd_name))
            made = typer.main.get_command(single)
        else:
            return super().get_command(ctx, cmd_name)
        made.name = cmd_name
        self.commands[cmd_name] = made
        return made


app = typer.Typer(
    name="workflow-agents",
    cls=_Commands,
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
    port: Annotated[
        int | None, typer.Option(help="0: any free one. Default: QSTASH_DEV_PORT, then 8080.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="An address of this machine only.")] = None,
    app_port: Annotated[
        int | None, typer.Option(help="Where your app is served. Default: 8000.")
    ] = None,
    store: Annotated[
        str | None, typer.Option(help="A path, sqlite:///path or :memory:. Kept between restarts.")
    ] = None,
    reload: Annotated[
        bool | None,
        typer.Option(help="Start the app again when its files change. Default: in a terminal."),
    ] = None,
    lines: Annotated[
        bool | None, typer.Option(help="Tell of runs and steps. Default: in a terminal.")
    ] = None,
    allow_network: Annotated[list[str] | None, typer.Option(help=_ALLOW_NETWORK)] = None,
    allowed_host: Annotated[list[str] | None, typer.Option(help=_ALLOWED_HOST)] = None,
    log_format: Annotated[str | None, typer.Option(help=_LOG_FORMAT)] = None,
    log_level: Annotated[str | None, typer.Option(help=_LOG_LEVEL)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    until_stdin_closes: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Run a server for development, with well-known credentials, on this machine only."""
    _check_packages("dev")
    from workflow_agents import config
    from workflow_agents.cli import output
    from workflow_agents.cli.configuration import Configuration
    from workflow_agents.cli.dev import Development, run

    settings = Configuration(
        {
            "app": application,
            "port": port,
            "host": host,
            "app_port": app_port,
            "store": store,
            "allow_networks": allow_network,
            "allowed_hosts": allowed_host,
            "log_format": log_format,
            "log_level": log_level,
        }
    )
    _configure_logging(settings["log_format"], settings["log_level"])
    run(
        Development(
            application=settings["app"],
            host=settings["host"],
            port=settings["port"],
            app_port=settings["app_port"],
            store=settings["store"] or config.store_path_or("dev"),
            allow_networks=tuple(settings["allow_networks"]),
            hosts=frozenset(settings["allowed_hosts"]),
            reload=output.is_terminal() if reload is None else reload,
            lines=output.is_terminal() if lines is None else lines,
            as_json=as_json,
            until_stdin_closes=until_stdin_closes,
        )
    )


@app.command()
def server(
    store: Annotated[str | None, typer.Option(help="A path, or sqlite:///path.")] = None,
    host: Annotated[
        str | None, typer.Option(help="The address to listen on. Default: 127.0.0.1.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="The port. Default: 8080.")] = None,
    allow_network: Annotated[list[str] | None, typer.Option(help=_ALLOW_NETWORK)] = None,
    allowed_host: Annotated[list[str] | None, typer.Option(help=_ALLOWED_HOST)] = None,
    rate: Annotated[
        float | None, typer.Option(help="Requests a second of one token. Default: any number.")
    ] = None,
    retention: Annotated[
        str | None, typer.Option(help="How long what has ended is kept, as 30d. Default: for ever.")
    ] = None,
    log_format: Annotated[str | None, typer.Option(help=_LOG_FORMAT)] = None,
    log_level: Annotated[str | None, typer.Option(help=_LOG_LEVEL)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Run a server. QSTASH_TOKEN and the signing keys are taken from the environment, or made."""
    _check_packages("server")
    from workflow_agents import config
    from workflow_agents.cli.configuration import Configuration
    from workflow_agents.cli.server import Serving, run

    settings = Configuration(
        {
            "store": store,
            "host": host,
            "port": port,
            "allow_networks": allow_network,
            "allowed_hosts": allowed_host,
            "rate": rate,
            "retention": retention,
            "log_format": log_format,
            "log_level": log_level,
        }
    )
    _configure_logging(settings["log_format"], settings["log_level"])
    run(
        Serving(
            store=settings["store"] or config.store_path_or("server"),
            host=settings["host"],
            port=settings["port"],
            allow_networks=tuple(settings["allow_networks"]),
            hosts=frozenset(settings["allowed_hosts"]),
            rate=settings["rate"],
            retention=settings["retention"],
            as_json=as_json,
        )
    )


def _configure_logging(log_format: str, level: str) -> None:
    from workflow_agents.operations.logs import configure_logging

    configure_logging(log_format, level)


def _check_packages(command: str) -> None:
    """Look for what a server is made of.

    Raises:
        ConfigurationError: WA108, a package is missing.
    """
    from importlib.util import find_spec

    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            "WA108",
            where=f"workflow-agents {command}",
            found=f"not installed: {', '.join(missing)}",
            fix=("pip install 'workflow-agents[server]'",),
        )


@app.command()
def version(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Print the version."""
    import json

    from workflow_agents.cli.screen import version_of_this

    found = version_of_this()
    typer.echo(json.dumps({"version": found}) if as_json else found)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command `workflow-agents`: an error of ours is told in its five parts."""
    given = [*sys.argv[1:]] if arguments is None else [*arguments]
    if given[:1] in (["dev"], ["server"]) and not {"--json", "--help"} & {*given}:
        # Something to read at once; what follows takes a moment to import.
        from workflow_agents.cli.screen import Screen, version_of_this

        Screen().title(f"workflow-agents {version_of_this()} · {given[0]}")
    try:
        app(given)
    except WorkflowAgentsError as error:
        from workflow_agents.cli.exits import exit_of, tell

        tell(error, as_json="--json" in given)
        raise SystemExit(int(exit_of(error))) from None
