"""The credentials of a server for development, which everybody knows. Source: protocol 9."""

from workflow_agents.protocol.signature import SigningKeys

DEV_PORT = 8080

DEV_TOKEN = "eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3b3JkIn0="  # noqa: S105
"""Of the user `defaultUser`, whose password is `defaultPassword`."""

DEV_KEYS = SigningKeys("sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r", "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs")
