"""Whom this machine trusts over TLS: one answer for every client of ours."""

from functools import cache
from typing import Any


@cache
def tls() -> Any:
    """The certificates that the operating system trusts, on every system."""
    import ssl

    import truststore

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
