"""`python -m workflow_agents.cli`: the same as the command `workflow-agents`."""

from workflow_agents.cli.main import main

main()
