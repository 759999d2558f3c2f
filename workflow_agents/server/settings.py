"""What a server is told when it starts: where it listens, whom it lets in, what it refuses."""

import base64
import hashlib
import ipaddress
import json
from dataclasses import dataclass, field
from enum import Enum, auto

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.dev_credentials import DEV_KEYS as DEV_KEYS
from workflow_agents.protocol.dev_credentials import DEV_TOKEN as DEV_TOKEN
from workflow_agents.protocol.signature import SigningKeys

DEFAULT_PORT = 8080

LOOPBACK_NAMES = frozenset({"localhost", "host.docker.internal"})


class Scope(Enum):
    """What a token may do."""

    ADMIN = auto()
    READ = auto()


@dataclass(frozen=True, slots=True)
class Account:
    """Who a token stands for; the token itself is not kept.

    Attributes:
        user: what webhook addresses name.
        digest: SHA-256 of the token.
        scope: what it may do.
        keys: that its endpoints verify with; None: those of the server.
    """

    user: str
    digest: bytes = field(repr=False)
    scope: Scope = Scope.ADMIN
    keys: SigningKeys | None = None


def digest_of(token: str) -> bytes:
    """What is kept of a token. It is random, so that a fast hash will do."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def make_token(user: str, password: str) -> str:
    """A token as clients expect it: they read the user in it. Source: protocol 8.1."""
    text = json.dumps({"UserID": user, "Password": password}, separators=(",", ":"))
    return base64.b64encode(text.encode()).decode()


def user_of(token: str) -> str | None:
    """The user that a token names; None: it has not the form that clients expect."""
    try:
        data = json.loads(base64.b64decode(token, validate=True))
        user = data["UserID"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return user if isinstance(user, str) and user else None


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """See the module.

    Attributes:
        host: the address to listen on.
        port: the port.
        accounts: who may use it.
        dev: it is a developer's own: well-known tokens are taken, on loopback only.
        hosts: names under which it is reached; those of loopback and bare addresses always
            are; empty: on loopback those only, elsewhere any.
        allow_networks: private networks that messages may go to, as "10.0.0.0/8".
        batch_bytes: of the body of a batch.
        header_bytes: of all headers of a request.
        target_bytes: of its path and query.
        body_seconds: for the whole body to come.
        stream_seconds: for which a reader of a stream of events may take nothing.
        rate: requests a second of one token, None: any number.
        stranger_rate: requests a second of one address, of those that carry no token: refused
            ones, and webhooks.

    Raises:
        ConfigurationError: WA122, well-known tokens where others can reach it.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    accounts: tuple[Account, ...] = ()
    dev: bool = False
    hosts: frozenset[str] = frozenset()
    allow_networks: tuple[str, ...] = ()
    batch_bytes: int = 100 * 2**20
    header_bytes: int = 64 * 2**10
    target_bytes: int = 16 * 2**10
    body_seconds: float = 60.0
    stream_seconds: float = 20.0
    rate: float | None = None
    stranger_rate: float = 100.0

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise wrong_option("port", "a port from 0 to 65535", self.port)
        known = {a.digest for a in self.accounts} & WELL_KNOWN_DIGESTS
        if known and not (self.dev and is_loopback(self.host)):
            raise ConfigurationError(
                "WA122",
                where=f"listening on {self.host}",
                found="a token that the documentation of QStash prints",
            )

    @property
    def any_host(self) -> bool:
        """Whether it answers under any name."""
        return not self.hosts and not is_loopback(self.host)

    @property
    def url(self) -> str:
        """Its address, as a client on this machine is given it."""
        host = "127.0.0.1" if self.host in {"", "0.0.0.0", "::"} else self.host  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# Everybody knows these: protocol 9.

_TEST_KEYS = (
    ("sig_7GVPjvuwsfqF65iC8fSrs1dfYruM", "sig_5NoELc3EFnZn4DVS5bDs2Nk4b7Ua"),
    ("sig_6jWGaWRxHsw4vMSPJprXadyvrybF", "sig_7qHbvhmahe5GwfePDiS5Lg3pi6Qx"),
    ("sig_5T8FcSsynBjn9mMLBsXhpacRovJf", "sig_7GFR4YaDshFcqsxWRZpRB161jguD"),
)

DEV_ACCOUNTS = (
    Account("defaultUser", digest_of(DEV_TOKEN)),
    *(
        Account(
            f"testUser{n}",
            digest_of(make_token(f"testUser{n}", "testPassword")),
            keys=SigningKeys(*keys),
        )
        for n, keys in enumerate(_TEST_KEYS, 1)
    ),
)
WELL_KNOWN_DIGESTS = frozenset(account.digest for account in DEV_ACCOUNTS)
WELL_KNOWN_KEYS = frozenset(
    {DEV_KEYS.current, DEV_KEYS.following, *(key for pair in _TEST_KEYS for key in pair)}
)
