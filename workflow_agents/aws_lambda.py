"""Workflows on AWS Lambda: `from workflow_agents.aws_lambda import Serve`."""

from workflow_agents.serve.aws_lambda import Serve

__all__ = ["Serve"]
