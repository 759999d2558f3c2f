"""Workflows on Flask: `from workflow_agents.flask import Serve`."""

try:
    from workflow_agents.serve.flask import Serve
except ModuleNotFoundError as error:
    if error.name != "flask":
        raise
    from workflow_agents.errors import ConfigurationError

    raise ConfigurationError(
        "WA108", where="workflow_agents.flask", fix=("pip install 'workflow-agents[flask]'",)
    ) from error

__all__ = ["Serve"]
