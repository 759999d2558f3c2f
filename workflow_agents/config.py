"""Settings: the only reader of environment variables."""

import os
from collections.abc import Mapping

DEFAULT_STORE = ".workflow_agents/workflows.db"


def openai_base_url() -> str:
    """Where the OpenAI API is, unless a model says otherwise: OPENAI_BASE_URL or the original."""
    return os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"


def anthropic_base_url() -> str:
    """Where Anthropic's API is, unless a model says: ANTHROPIC_BASE_URL or the original."""
    return os.environ.get("ANTHROPIC_BASE_URL") or "https://api.anthropic.com"


def variable(name: str) -> str | None:
    """A variable that a secret names."""
    return os.environ.get(name)


def environment() -> Mapping[str, str]:
    """What a workflow sees as `context.env` unless it is given its own."""
    return os.environ


def store_path() -> str:
    """The store of an engine that is given none: WORKFLOW_AGENTS_STORE, or one in the folder."""
    return os.environ.get("WORKFLOW_AGENTS_STORE") or DEFAULT_STORE


def store_path_or(name: str) -> str:
    """The store of a server: WORKFLOW_AGENTS_STORE, or one of this name in the folder."""
    return os.environ.get("WORKFLOW_AGENTS_STORE") or f".workflow_agents/{name}.db"


def public_url() -> str | None:
    """What webhook addresses begin with: UPSTASH_WORKFLOW_URL."""
    return os.environ.get("UPSTASH_WORKFLOW_URL")


def only_reloads() -> bool:
    """Whether this is the process of `flask run --debug` that watches files and serves nothing."""
    debug = os.environ.get("FLASK_DEBUG", "").lower() not in {"", "0", "false", "no"}
    cli = os.environ.get("FLASK_RUN_FROM_CLI") == "true"
    return cli and debug and os.environ.get("WERKZEUG_RUN_MAIN") != "true"
