"""Workflows on Django: `from workflow_agents.django import Serve`."""

try:
    from workflow_agents.serve.django import Serve
except ModuleNotFoundError as error:
    if error.name != "django":
        raise
    from workflow_agents.errors import ConfigurationError

    raise ConfigurationError(
        "WA108", where="workflow_agents.django", fix=("pip install 'workflow-agents[django]'",)
    ) from error

__all__ = ["Serve"]
