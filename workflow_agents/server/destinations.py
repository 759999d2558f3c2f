"""The destination of a message, read from the request's target as it came.

Clients put it there as it is, with its slashes and its query: `/v2/publish/https://a.test/b?c=d`.
What a framework makes of a path (decoded, slashes merged) would change it. Source: protocol 6.1.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, unquote_plus

_COLLAPSED = re.compile(r"^(https?):/+(?=[^/])", re.I)
_ENCODED = re.compile(r"^https?%3a", re.I)
_SCHEME = re.compile(r"^https?:", re.I)
_PRINTABLE = bytes(range(0x21, 0x7F))


@dataclass(frozen=True, slots=True)
class Target:
    """A request's target.

    Attributes:
        segments: of the path, each as it came.
        query: the query as it came.
    """

    segments: tuple[str, ...]
    query: str

    @classmethod
    def of(cls, scope: Mapping[str, Any]) -> "Target":
        """That of an ASGI request."""
        raw = scope.get("raw_path") or scope["path"].encode()
        path = raw.partition(b"?")[0]  # some servers leave the query in it
        return cls(tuple(_ascii(path).split("/"))[1:], _ascii(scope.get("query_string", b"")))

    def decoded(self, nth: int) -> str:
        """One segment, without percent-encoding; "" where there is none."""
        return unquote(self.segments[nth]) if nth < len(self.segments) else ""

    @property
    def parameters(self) -> dict[str, list[str]]:
        """The query, each name with its values."""
        found: dict[str, list[str]] = {}
        for part in self.query.split("&"):
            if part:
                name, _, value = part.partition("=")
                found.setdefault(unquote_plus(name), []).append(unquote_plus(value))
        return found

    @property
    def configuration(self) -> dict[str, list[str]]:
        """Those parameters that stand for headers."""
        return {n: v for n, v in self.parameters.items() if n.lower().startswith("upstash-")}

    def destination(self, skip: int) -> str:
        """Where a message goes: all of the target behind `skip` segments of the path.

        What configures the message is left out of the query. A scheme whose slashes a proxy has
        merged is mended, and a destination that is percent-encoded as a whole is decoded.
        """
        path = "/".join(self.segments[skip:])
        if _ENCODED.match(path):
            path = unquote(path)
        if not _SCHEME.match(path):
            return unquote(path)  # the name of a URL group, or nothing that can be used
        url = _COLLAPSED.sub(r"\1://", path)
        kept = [part for part in self.query.split("&") if part and not _is_ours(part)]
        if not kept:
            return url
        return f"{url}{'&' if '?' in url else '?'}{'&'.join(kept)}"


def _is_ours(part: str) -> bool:
    name = unquote_plus(part.partition("=")[0]).lower()
    return name == "qstash_token" or name.startswith("upstash-")


def _ascii(raw: bytes) -> str:
    """Bytes of a target as text; what may not stand there is percent-encoded."""
    return raw.decode("ascii") if raw.isascii() else quote(raw, safe=_PRINTABLE)
