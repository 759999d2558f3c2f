"""Packages of others that call models or make agents: to import them takes ten seconds.

Programs that need one of them are forked by one nursery, whichever test runs them.
"""

import re
from pathlib import Path

MODULES = (
    "agents",
    "anthropic",
    "langchain.agents",
    "langchain_openai",
    "mcp.server.mcpserver",
    "openai",
    "pydantic_ai.providers.openai",
    "workflow_agents.agents.mcp",
    "workflow_agents.agents.models.langchain",
    "workflow_agents.agents.workflow",
    "workflow_agents.engine.attempts",
    "workflow_agents.engine.exchange",
    "workflow_agents.integrations.langchain",
    "workflow_agents.integrations.openai_agents",
    "workflow_agents.integrations.pydantic_ai",
    "workflow_agents.serve.serve",
    "workflow_agents.testing.model_server",
)
IMPORTS = re.compile(
    r"^\s*(?:from|import) (?:agents|anthropic|langchain|langchain_openai|pydantic_ai)\b"
    r"|\bmcp_server\(",
    re.M,
)


def needed_by(program: Path) -> bool:
    """Whether it imports one of those that take longest, itself or through us."""
    return IMPORTS.search(program.read_text(encoding="utf-8")) is not None
