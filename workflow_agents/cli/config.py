"""`workflow-agents config show`: every setting, and where its value comes from."""

from typing import Annotated, Any

import typer

from workflow_agents.cli import output
from workflow_agents.cli.asking import Json, Server, Token, group
from workflow_agents.cli.configuration import SETTINGS, Configuration, masked

app = group("What the commands are configured with.")


@app.callback()
def _group() -> None:
    """What the commands are configured with."""


@app.command()
def show(
    reveal: Annotated[bool, typer.Option("--reveal", help="Show secrets whole.")] = False,
    server: Server = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Every setting as it counts now: a flag before the environment before a file."""
    configuration = Configuration({"server": server, "token": token})
    every = configuration.every()

    def shown(value: Any, *, secret: bool) -> Any:
        return masked(value) if secret and value and not reveal else value

    rows = [(one.name, shown(every[one.name].value, secret=one.secret), one) for one in SETTINGS]
    if as_json:
        settings = {name: {"value": v, "source": every[name].source} for name, v, _ in rows}
        file = None if configuration.file is None else str(configuration.file)
        output.show_json({"file": file, "settings": settings})
        return
    output.show_table(
        ("setting", "value", "from", "what it is"),
        [(name, value, every[name].source, one.what) for name, value, one in rows],
        "",
    )
    output.line(f"file: {configuration.file or 'none; workflow_agents.toml would be read'}")
