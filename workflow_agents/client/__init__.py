"""The client of an engine or a server: `client` starts runs, its other rooms do the rest."""

from workflow_agents.client.client import AsyncClient, Duration, Instant
from workflow_agents.client.letters import AsyncDeadLetters
from workflow_agents.client.runs import UNCHANGED, AsyncRunHandle, RunFailed

__all__ = [
    "UNCHANGED",
    "AsyncClient",
    "AsyncDeadLetters",
    "AsyncRunHandle",
    "Duration",
    "Instant",
    "RunFailed",
]
