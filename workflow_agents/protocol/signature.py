"""Signatures of deliveries: a compact JWS over the hash of the body, by one of two keys.

Only HS256 is read and written, and marks are compared in constant time. There are two keys so
that they can be rotated: deliveries are signed with the current one, and the next one is taken
too. No clock is read here. Source: protocol 8.2 to 8.4.

Whatever is wrong with a signature, `BadSignature` is raised and nothing else. Stricter than the
protocol: a signature that would be good for more than an hour is refused, whoever made it.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any, cast

from workflow_agents.protocol.codec import decode

LIFETIME_S = 300
MOST_LIFETIME_S = 3_600
_AHEAD_S = 60
"""How much the clock of the server may be ahead of ours."""
_compact = json.JSONEncoder(separators=(",", ":")).encode


class BadSignature(ValueError):
    """The signature does not fit; the text says why, and quotes nothing secret."""


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The two keys of a server.

    Attributes:
        current: deliveries are signed with it.
        following: it will be the current one after the next rotation.
    """

    current: str = field(repr=False)
    following: str = field(repr=False)

    def verify(self, signature: str, body: bytes, *, now_s: int, url: str | None = None) -> None:
        """Check that the body was signed with one of the keys, a short time ago.

        Args:
            signature: the header `Upstash-Signature`.
            body: as it came.
            now_s: Unix seconds.
            url: where it was sent; None: wherever.

        Raises:
            BadSignature: it fits neither key, is out of date, or was made for something else.
        """
        head, _, mark = signature.rpartition(".")
        keys = [key for key in (self.current, self.following) if key]
        given = mark.encode("utf-8", "replace")
        if not head.isascii() or not any(hmac.compare_digest(_mark(k, head), given) for k in keys):
            raise BadSignature("it fits neither key")
        header, claims = (_read(part) for part in [*head.split("."), "", ""][:2])
        if header.get("alg") != "HS256" or "crit" in header:
            raise BadSignature("it is not HS256, or has extensions")
        if claims.get("iss") != "Upstash":
            raise BadSignature("it is not issued by Upstash")
        _check_times(claims, now_s)
        address = _text(claims, "sub")
        if url is not None and address != url:
            raise BadSignature("it was made for another address")
        found = _text(claims, "body").rstrip("=").encode("utf-8", "replace")
        if not hmac.compare_digest(found, _hash(body).encode()):
            raise BadSignature("the body is not the one that was signed")


def _check_times(claims: dict[str, Any], now_s: int) -> None:
    ends, begins, made = (_seconds(claims, name) for name in ("exp", "nbf", "iat"))
    if ends <= now_s:
        raise BadSignature("it has expired")
    if begins > now_s:
        raise BadSignature("it is not valid yet")
    if made > now_s + _AHEAD_S:
        raise BadSignature("it was made in the future")
    if ends - made > MOST_LIFETIME_S:
        raise BadSignature("it lasts too long")


def sign(key: str, body: bytes, *, url: str, now_s: int, token_id: str) -> str:
    """The signature of a body that is sent to an address.

    Args:
        key: the current key.
        body: as it is sent.
        url: where it is sent.
        now_s: Unix seconds.
        token_id: makes this signature unlike any other.
    """
    claims = {
        "iss": "Upstash",
        "sub": url,
        "exp": now_s + LIFETIME_S,
        "nbf": 0,
        "iat": now_s,
        "jti": token_id,
        "body": _hash(body),
    }
    head = f"{_ALGORITHM}.{_base64(_compact(claims).encode())}"
    return f"{head}.{_mark(key, head).decode()}"


def _mark(key: str, head: str) -> bytes:
    return _base64(hmac.digest(key.encode(), head.encode(), "sha256")).encode()


def _hash(body: bytes) -> str:
    return _base64(hashlib.sha256(body).digest())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


_ALGORITHM = _base64(b'{"alg":"HS256","typ":"JWT"}')


def _read(part: str) -> dict[str, Any]:
    try:
        data = decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError:
        raise BadSignature("it is no JSON web token") from None
    if not isinstance(data, dict):
        raise BadSignature("it is no JSON web token")
    return cast("dict[str, Any]", data)


def _seconds(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadSignature(f"it has no {name}")
    return value


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str):
        raise BadSignature(f"it has no {name}")
    return value
