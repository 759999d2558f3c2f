"""Commands run in this process, as `main` runs them; what they print and how they end."""

import asyncio
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from workflow_agents.cli.main import main

OURS = re.compile("QSTASH|UPSTASH|WORKFLOW_AGENTS")


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if OURS.match(name):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs a command."""

    def run(*arguments: str) -> Ended:
        capsys.readouterr()
        try:
            main(arguments)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0
        else:
            code = 0
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    return run


@pytest.fixture
def ask(command: Callable[..., Ended]) -> Callable[..., Any]:
    """The same from a test whose loop has the server that is asked."""

    async def run(*arguments: str) -> Ended:
        return await asyncio.to_thread(command, *arguments)

    return run
