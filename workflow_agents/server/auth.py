"""Who asks, and whether they may: tokens, names of the host, requests of foreign web pages.

The name under which the server is asked for is looked at because a web page can let its own
name stand for this machine; a page of another origin may read nothing here, and must not be
able to make changes either. Source: protocol 8.1.
"""

import hmac
import ipaddress
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from workflow_agents.server.settings import (
    LOOPBACK_NAMES,
    Account,
    Scope,
    ServerSettings,
    digest_of,
)

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
NO_TOKEN = "unauthorized: a token is needed, as Authorization: Bearer <token>"  # noqa: S105
BAD_TOKEN = "unauthorized: the token is not one of this server"  # noqa: S105
READ_ONLY = "the token may only read"
WRONG_HOST = "this server is not known under that name; start it with --allowed-host"
FOREIGN_PAGE = "a web page of another origin may make no changes here"


class Tokens:
    """The accounts of a server, by the hash of their tokens."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._accounts = {account.digest: account for account in accounts}

    def account_of(self, token: str) -> Account | None:
        """Whose token it is.

        The look-up is by a hash, which whoever guesses cannot steer; time tells nothing.
        """
        digest = digest_of(token)
        found = self._accounts.get(digest)
        return found if found and hmac.compare_digest(found.digest, digest) else None


def token_in(headers: Mapping[str, str], query: Mapping[str, list[str]]) -> str | None:
    """The token of a request: of its header, else of its query."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    given = query.get("qstash_token")
    return given[-1] if given and given[-1] else None


def may(account: Account, method: str) -> bool:
    """Whether the account may do it."""
    return account.scope is Scope.ADMIN or method in _READING


def is_known_host(host: str | None, settings: ServerSettings) -> bool:
    """Whether the server may be asked for under this name; addresses always may."""
    if settings.any_host:
        return True
    name = _name_of(host or "")
    if name in LOOPBACK_NAMES or name.endswith(".localhost") or name in settings.hosts:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name == settings.host.lower()
    return True


def _name_of(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def is_foreign_page(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a browser asks for a change on behalf of a page of another origin."""
    if method in _READING:
        return False
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = headers.get("origin")
    if origin is None:
        return False
    return urlsplit_netloc(origin) != headers.get("host", "").lower()


def urlsplit_netloc(origin: str) -> str:
    """The host and port of an origin; "" where it is none, as `null`."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
