"""`workflow-agents keys`: what a server signs with. Masked, unless they are asked for."""

from typing import Annotated

import typer

from workflow_agents.cli import output
from workflow_agents.cli.asking import Json, Server, Token, ask, group
from workflow_agents.cli.configuration import masked
from workflow_agents.protocol.signature import SigningKeys
from workflow_agents.qstash.environment import CURRENT_KEY, NEXT_KEY

app = group("The keys that a server signs with.")

Reveal = Annotated[bool, typer.Option("--reveal", help="Show them whole.")]


@app.command()
def show(
    reveal: Reveal = False, server: Server = None, token: Token = None, as_json: Json = False
) -> None:
    """The current key and the next one."""
    keys = ask(server, token, lambda client: client.keys.get())
    _show(keys, reveal=reveal, as_json=as_json)


@app.command()
def rotate(
    reveal: Reveal = False, server: Server = None, token: Token = None, as_json: Json = False
) -> None:
    """The next key becomes the current one, and a new one the next."""
    keys = ask(server, token, lambda client: client.keys.rotate())
    _show(keys, reveal=reveal, as_json=as_json)
    if not as_json:
        output.line("give both to every endpoint before the next rotation")


def _show(keys: SigningKeys, *, reveal: bool, as_json: bool) -> None:
    current, following = keys.current, keys.following
    if not reveal:
        current, following = masked(current), masked(following)
    if as_json:
        output.show_json({"current": current, "next": following})
        return
    output.line(f"{CURRENT_KEY}={current}")
    output.line(f"{NEXT_KEY}={following}")
