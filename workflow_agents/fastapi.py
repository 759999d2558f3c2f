"""Workflows on FastAPI: `from workflow_agents.fastapi import Serve`."""

try:
    from workflow_agents.serve.fastapi import Serve
except ModuleNotFoundError as error:
    if error.name not in {"fastapi", "starlette"}:
        raise
    from workflow_agents.errors import ConfigurationError

    raise ConfigurationError(
        "WA108", where="workflow_agents.fastapi", fix=("pip install 'workflow-agents[fastapi]'",)
    ) from error

__all__ = ["Serve"]
