"""HTTP headers as a workflow sees them: names in any case, one text for each."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache


class Headers(Mapping[str, str]):
    """Read-only headers. `headers["Content-Type"]` and `headers["content-type"]` are one."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        self._items: dict[str, str] = {n.lower(): v for n, v in dict(items).items()}

    def __getitem__(self, name: str) -> str:
        return self._items[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._items

    def __repr__(self) -> str:
        return f"Headers({sorted(self._items)})"


_DROPPED = (
    "upstash-workflow-",
    "upstash-region",
    "x-vercel-",
    "x-forwarded-",
    "cf-connecting-ip",
    "cdn-loop",
    "cf-ew-via",
    "cf-ray",
    "render-proxy-ttl",
)


def user_headers(items: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Those headers of a request that a workflow sees. Source: protocol 11.3."""
    return {name.lower(): value for name, value in items if not name.lower().startswith(_DROPPED)}


OF_TRANSPORT = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)


def forwardable(items: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Those headers of a request that its run is given for all its visits.

    What belongs to this one request is left out: its connection, its signature and the like.
    Source: protocol 2.8, headers that a server sets itself.
    """
    return {
        name: value
        for name, value in user_headers(items).items()
        if name not in OF_TRANSPORT and not name.startswith("upstash-")
    }


_SENSITIVE = "(?i)auth|cookie|credential|key|passw|secret|signature|token"
_LIMITED = "-flow-control-key"


@lru_cache(maxsize=2048)
def is_sensitive(name: str) -> bool:
    """Whether a header's value is never stored or shown in plain.

    A list of names would miss the next provider's, so anything that sounds like it is sealed,
    but for what is known to be no secret.
    """
    return re.search(_SENSITIVE, name) is not None and not name.lower().endswith(_LIMITED)
