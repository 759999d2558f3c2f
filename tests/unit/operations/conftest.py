"""A server on loopback, as the tests of the server have it."""

from tests.unit.server.conftest import endpoints, site, start

__all__ = ["endpoints", "site", "start"]
