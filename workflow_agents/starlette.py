"""Workflows on Starlette: `from workflow_agents.starlette import Serve`."""

try:
    from workflow_agents.serve.starlette import Serve
except ModuleNotFoundError as error:
    if error.name != "starlette":
        raise
    from workflow_agents.errors import ConfigurationError

    raise ConfigurationError(
        "WA108",
        where="workflow_agents.starlette",
        fix=("pip install 'workflow-agents[starlette]'",),
    ) from error

__all__ = ["Serve"]
