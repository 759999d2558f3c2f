"""`workflow-agents explain CODE`: the page of an error, without a network."""

from typing import Annotated

import typer

from workflow_agents.cli import output
from workflow_agents.cli.asking import Json
from workflow_agents.cli.exits import Exit
from workflow_agents.error_codes import CODES


def explain(code: Annotated[str, typer.Argument(help="As WA201.")], as_json: Json = False) -> None:
    """Tell what an error code means, and what to do."""
    entry = CODES.get(code.upper())
    if entry is None:
        import difflib

        near = difflib.get_close_matches(code.upper(), CODES, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        typer.echo(
            f"there is no {code}; codes go from {min(CODES)} to {max(CODES)}{hint}", err=True
        )
        raise typer.Exit(Exit.WRONG_CALL)
    if as_json:
        output.show_json(entry)
        return
    output.line(f"{output.styled('1', entry.code)}  {entry.title}\n\nwhy  {entry.why}")
    for fix in entry.fix:
        output.line(f"fix  {fix}")
    output.line(f"\nmore docs/errors.md, {entry.code}")
