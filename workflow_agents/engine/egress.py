"""Which addresses the engine may call: decisions only, no sockets.

A URL says nothing of where it leads: `http://127.1/`, `http://0x7f.1/` and a name with a record
of its own all lead to this machine. So what is decided upon is the address that is about to be
dialled (`blocked`); the URL is only looked at for what no address can mend (`checked_url`).
`dialing` asks for every address, and dials those that it has asked for.

Source: IANA special-purpose address registries. The tables are written out because what
`ipaddress` calls global differs between versions of Python, and includes addresses that
embed others, such as 64:ff9b::7f00:1.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Literal, NamedTuple
from urllib.parse import quote, urlsplit

from workflow_agents.errors import ConfigurationError, RemoteError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Mode = Literal["open", "loopback", "public"]

_SPECIAL: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), what)
    for network, what in (
        ("0.0.0.0/8", "it stands for this machine"),
        ("10.0.0.0/8", "it is private"),
        ("100.64.0.0/10", "it is shared behind a carrier's NAT"),
        ("127.0.0.0/8", "it is this machine (loopback)"),
        ("169.254.0.0/16", "it is link-local"),
        ("172.16.0.0/12", "it is private"),
        ("192.0.0.0/24", "it is reserved for protocols"),
        ("192.0.2.0/24", "it is for documentation"),
        ("192.88.99.0/24", "it is a relay between address families"),
        ("192.168.0.0/16", "it is private"),
        ("198.18.0.0/15", "it is for benchmarks"),
        ("198.51.100.0/24", "it is for documentation"),
        ("203.0.113.0/24", "it is for documentation"),
        ("224.0.0.0/4", "it is multicast"),
        ("240.0.0.0/4", "it is reserved"),
        ("::/128", "it stands for this machine"),
        ("::1/128", "it is this machine (loopback)"),
        ("::/96", "it embeds an IPv4 address"),
        ("64:ff9b::/96", "it embeds an IPv4 address (NAT64)"),
        ("64:ff9b:1::/48", "it embeds an IPv4 address (NAT64)"),
        ("2001::/23", "it is reserved for protocols"),
        ("2001:db8::/32", "it is for documentation"),
        ("2002::/16", "it embeds an IPv4 address (6to4)"),
        ("3fff::/20", "it is for documentation"),
        ("5f00::/16", "it is for segment routing"),
        ("fc00::/7", "it is private"),
        ("fe80::/10", "it is link-local"),
        ("fec0::/10", "it is site-local"),
        ("ff00::/8", "it is multicast"),
    )
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")

_METADATA = frozenset(
    ip_address(text)
    for text in (
        "100.100.100.200",
        "168.63.129.16",
        "169.254.169.254",
        "169.254.170.2",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd20:ce::254",
    )
)
"""Where cloud platforms hand their credentials to the machines that run on them."""

_PLACE = re.compile(r"(\[[^\[\]]*:[^\[\]]*\]|[^\[\]:]*)(:\d*)?", re.A)
_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
_ENDS_IN_A_NUMBER = re.compile(r"(^|\.)(\d+|0x[0-9a-f]*)\.?$")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_KEPT = "!$%&'()*+,/:;=?@[]~|"
"""What quoting leaves alone, besides letters and digits: quoting again would change signed URLs."""


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """Whom the engine may call.

    Attributes:
        mode: "open": everybody, for an engine in the user's own process; "loopback": this
            machine and the internet, for development; "public": the internet.
        allow_networks: may be called besides. The addresses at which cloud platforms hand out
            credentials only if they are named one by one.
        own_ports: where this process listens. They may not be called at any address of this
            machine, whatever else is allowed: a request to itself would go on for ever.
    """

    mode: Mode = "open"
    allow_networks: tuple[Network, ...] = ()
    own_ports: frozenset[int] = frozenset()


OPEN = EgressPolicy()


class Checked(NamedTuple):
    """A URL in its parts: host in ASCII without brackets, port None if it is the usual one."""

    scheme: str
    host: str
    port: int | None
    path: str
    query: str


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """The networks that a setting names, such as "10.0.0.0/8" or "10.1.2.3".

    Raises:
        ConfigurationError: WA102.
    """
    found: list[Network] = []
    for text in texts:
        try:
            found.append(ip_network(text.strip()))
        except ValueError as error:
            raise ConfigurationError(
                "WA102",
                where="allow_networks",
                found=f"expected a network, found {text!r}: {error}"[:200],
                fix=('allow_networks=["10.0.0.0/8", "fd00::/8"]',),
            ) from error
    return tuple(found)


def blocked(address: Address, policy: EgressPolicy) -> str | None:
    """Why this address may not be called; None: it may be."""
    address = _as_dialled(address)
    if policy.mode == "open":
        return None
    allowed = any(address in network for network in policy.allow_networks)
    if address in _METADATA:
        exactly = any(n.num_addresses == 1 and address in n for n in policy.allow_networks)
        return None if exactly else "it hands out a cloud platform's credentials"
    if isinstance(address, IPv6Address) and address in _NAT64 and allowed:
        # The translator is allowed; what lies behind it has rules of its own.
        return blocked(IPv4Address(int(address) & 0xFFFF_FFFF), policy)
    if allowed or (policy.mode == "loopback" and address.is_loopback):
        return None
    for network, what in _SPECIAL:
        if address in network:
            return what
    outside = isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST
    return "it is reserved" if outside or not address.is_global else None


def is_surely_here(address: Address) -> bool:
    """Whether the address leads to this machine on every machine."""
    address = _as_dialled(address)
    return address.is_loopback or address.is_unspecified or address in _SPECIAL[0][0]


def _as_dialled(address: Address) -> Address:
    """Without what makes no difference: a scope, or IPv4 that is written as IPv6."""
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(int(address))


def refusal(destination: str, address: str, why: str) -> RemoteError:
    """The error for an address that may not be called."""
    return RemoteError(
        "WA304",
        f"{destination} may not be called: {why}",
        where=destination,
        found=f"it leads to {address}" if address != destination else "",
    )


@lru_cache(maxsize=1024)
def checked_url(url: str) -> Checked:
    """Take a URL to pieces, and refuse what no engine calls.

    Raises:
        RemoteError: WA302.
    """
    if _CONTROL.search(url):
        raise _unusable("it has blanks or control characters")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _unusable("its host or port cannot be read") from None
    if parts.scheme not in {"http", "https"}:
        raise _unusable(f"its scheme is {parts.scheme[:20]!r}, neither http nor https")
    if "@" in parts.netloc:
        raise _unusable("it holds credentials")
    if not _PLACE.fullmatch(parts.netloc):
        raise _unusable("its host or port cannot be read")
    if port == 0:
        raise _unusable("its port is 0")
    host = _checked_host(host)
    usual = 443 if parts.scheme == "https" else 80
    return Checked(
        parts.scheme,
        host,
        None if port == usual else port,
        quote(parts.path or "/", safe=_KEPT),
        quote(parts.query, safe=_KEPT),
    )


def _checked_host(host: str) -> str:
    if ":" in host:
        try:
            IPv6Address(host if host.isascii() else "")
        except ValueError:
            raise _unusable("its host is not an IPv6 address") from None
        return host
    if not host.isascii():
        import idna

        try:
            host = idna.encode(host, uts46=True).decode().lower()
        except (idna.IDNAError, UnicodeError):
            raise _unusable("its host is not a name") from None
    if len(host) > 253 or not _HOST.fullmatch(host):
        raise _unusable("its host is not a name" if host else "it has no host")
    if _ENDS_IN_A_NUMBER.search(host):
        # Resolvers read 127.1, 0x7f.1, 0177.0.0.1 and 2130706433 as 127.0.0.1.
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise _unusable("its host is a number, but not an IPv4 address") from None
    return host


def _unusable(found: str) -> RemoteError:
    # The URL itself is not quoted: it may hold a key.
    return RemoteError("WA302", f"an address that cannot be called: {found}", found=found)
