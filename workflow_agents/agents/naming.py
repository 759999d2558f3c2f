"""Names of agents as names of tools, which providers restrict."""

import re
from collections.abc import Sequence
from typing import Protocol

_LONGEST = 60
_OTHER = re.compile(r"[^a-zA-Z0-9_-]+")


class Named(Protocol):
    """What has a name."""

    @property
    def name(self) -> str:
        """It, on one line."""
        ...


def tool_name(agent: Named) -> str:
    """The agent's name as providers allow it."""
    return _OTHER.sub("_", agent.name)[:_LONGEST].strip("_") or "agent"


def tool_names(agents: Sequence[Named], prefix: str = "") -> list[str]:
    """Names that providers allow, no two alike."""
    names: list[str] = []
    for agent in agents:
        base = (prefix + tool_name(agent))[:_LONGEST].strip("_")
        number = 1
        while (name := base if number == 1 else f"{base}_{number}") in names:
            number += 1
        names.append(name)
    return names
