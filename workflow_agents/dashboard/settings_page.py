"""The page of settings: what counts here, with secrets masked, and what is in use of it."""

import os
import platform
from collections.abc import Mapping
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from workflow_agents import config
from workflow_agents.core.limits import Limits
from workflow_agents.dashboard.asking import Ask, Row

_PLAIN = (
    "WORKFLOW_AGENTS_STORE",
    "OPENAI_BASE_URL",
    "ANTHROPIC_BASE_URL",
    "QSTASH_URL",
    "QSTASH_DEV",
    "QSTASH_DEV_PORT",
    "QSTASH_REGION",
    "UPSTASH_WORKFLOW_URL",
)
_SECRET = (
    "WORKFLOW_AGENTS_KEY",
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "QSTASH_TOKEN",
    "QSTASH_READONLY_TOKEN",
    "QSTASH_CURRENT_SIGNING_KEY",
    "QSTASH_NEXT_SIGNING_KEY",
)
_LEAST_SHOWN = 20
"""Of a secret that is shorter no character is shown."""


async def settings(ask: Ask) -> Any:
    """All of it."""
    engine = ask.engine
    return {
        "version": _version(),
        "python": platform.python_version(),
        "store": {"path": engine.path, "bytes": size_of(engine.path)},
        "retentionMs": engine.retention_ms,
        "limits": [
            [one.name, getattr(engine.limits, one.name), one.default] for one in fields(Limits)
        ],
        "underWay": engine.deliveries.on_their_way,
        "streams": len(engine.broadcast),
        "server": None if ask.server is None else [[k, v] for k, v in ask.server.items()],
        "environment": of_environment(config.environment()),
    }


def _version() -> str:
    try:
        return version("workflow-agents")
    except PackageNotFoundError:
        return "not installed as a package"


def size_of(path: str) -> int | None:
    """Bytes of the store with its log; None: it is in no file."""
    if path == ":memory:":
        return None
    files = (path, f"{path}-wal")
    return sum(os.path.getsize(file) for file in files if os.path.exists(file))


def of_environment(variables: Mapping[str, str]) -> list[list[str]]:
    """The variables that we read, as far as they are set, with secrets masked."""
    plain = [[name, without_password(variables[name])] for name in _PLAIN if variables.get(name)]
    return plain + [[name, masked(variables[name])] for name in _SECRET if variables.get(name)]


def masked(secret: str) -> str:
    """A secret as it may be shown: enough to tell two apart, where it is long."""
    return f"…{secret[-4:]}" if len(secret) >= _LEAST_SHOWN else "…"


def without_password(text: str) -> str:
    """An address without the name and password that it may hold; any other text as it is."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return "…"
    _, at, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"…@{host}")) if at else text


routes = (Row("GET", "/api/settings", settings),)
