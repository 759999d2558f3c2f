"""Workflows as a plain ASGI app: `from workflow_agents.asgi import Serve`."""

from workflow_agents.serve.asgi import Serve

__all__ = ["Serve"]
