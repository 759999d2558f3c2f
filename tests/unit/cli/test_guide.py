"""The guide of the command line: each command in it exists, with the options that it is given."""

import re
import shlex
from pathlib import Path

import pytest

from workflow_agents.cli.exits import Exit
from workflow_agents.cli.main import _COMMANDS_LATER, _LATER

GUIDE = (Path(__file__).parents[3] / "docs/guides/command_line.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)^```$", GUIDE, re.M | re.S)
LINES = [
    shlex.split(line, comments=True)
    for block in BLOCKS
    for line in block.splitlines()
    if line.startswith("workflow-agents ")
]


def test_the_options_of_each_command_exist(command) -> None:
    helps: dict[tuple[str, ...], str] = {}
    for _, *words in LINES:
        depth = 0 if words[0].startswith("-") else 2 if words[0] in _LATER else 1
        path = tuple(words[:depth])
        if path not in helps:
            shown = command(*path, "--help")
            assert shown.code == 0, path
            helps[path] = shown.out
        for word in words[depth:]:
            if re.fullmatch(r"--?[a-z][a-z-]*", word):
                # "--reload" and "--no-reload" stand on one line of the help.
                assert re.search(rf"[ /]{word}\b", helps[path]), (path, word)


def test_every_command_is_in_the_guide(command) -> None:
    told = {tuple(words[:2]) if words[0] in _LATER else (words[0],) for _, *words in LINES}
    for group in _LATER:
        listed = command(group, "--help").out.partition("Commands:")[2]
        for verb in re.findall(r"^  ([a-z-]+)  ", listed, re.M):
            assert (group, verb) in told
    assert {(name,) for name in _COMMANDS_LATER | {"dev", "server", "version"}} <= told


@pytest.mark.parametrize("code", Exit)
def test_every_exit_code_is_in_the_guide(code: Exit) -> None:
    assert f"| {int(code)} |" in GUIDE
