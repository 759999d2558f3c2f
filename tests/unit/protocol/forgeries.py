"""Signatures that must not pass, in every form that is known to be tried; and those that must."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from workflow_agents.protocol.signature import sign

KEY = "sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r"
NEXT = "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs"
STRANGERS = "sig_7RvLjqfZBvP5KEUimQCE1pvpLuou"
URL = "https://shop.test/api/order"
BODY = b'{"amount":10}'
NOW = 1_735_689_600


@dataclass(frozen=True)
class Given:
    """A signature, and the request that it comes with."""

    token: str
    body: bytes = BODY
    url: str = URL
    now_s: int = NOW


def packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def hash_of(body: bytes) -> str:
    return packed(hashlib.sha256(body).digest())


CLAIMS: dict[str, Any] = {
    "iss": "Upstash",
    "sub": URL,
    "exp": NOW + 300,
    "nbf": 0,
    "iat": NOW,
    "jti": "jwt_1",
    "body": hash_of(BODY),
}


def made(
    claims: Any = None,
    header: Any = None,
    key: str = KEY,
    digest: str = "sha256",
    mark: Callable[[str], str] | None = None,
) -> str:
    """A token with these parts, marked with a key, or by whatever `mark` makes of its head.

    Bytes stand for themselves; anything else is written as JSON.
    """
    parts = [
        {"alg": "HS256", "typ": "JWT"} if header is None else header,
        CLAIMS if claims is None else claims,
    ]
    head = ".".join(
        packed(part if isinstance(part, bytes) else json.dumps(part).encode()) for part in parts
    )
    if mark is not None:
        return f"{head}.{mark(head)}"
    return f"{head}.{packed(hmac.digest(key.encode(), head.encode(), digest))}"


def but(**changed: Any) -> dict[str, Any]:
    """The right claims, but for these; None leaves one out."""
    return {name: v for name, v in {**CLAIMS, **changed}.items() if v is not None}


RIGHT = made()
_HEAD, _, _MARK = RIGHT.rpartition(".")
_OTHERS_HEAD = made(but(sub="https://evil.test/")).rpartition(".")[0]

FORGERIES: dict[str, Given] = {
    # Not signed with a key of ours.
    "alg none, no mark": Given(made(header={"alg": "none"}, mark=lambda _head: "")),
    "alg None": Given(made(header={"alg": "None"}, mark=lambda _head: "")),
    "alg none, a mark of ours": Given(made(header={"alg": "none"}, mark=lambda _head: _MARK)),
    "HS256, no mark": Given(made(mark=lambda _head: "")),
    "a stranger's key": Given(made(key=STRANGERS)),
    "the empty key": Given(made(key="")),
    "the key in lower case": Given(made(key=KEY.lower())),
    "the key with a line end": Given(made(key=f"{KEY}\n")),
    "the decoded key": Given(made(key=KEY.removeprefix("sig_"))),
    "both keys in one": Given(made(key=KEY + NEXT)),
    "HS512": Given(made(header={"alg": "HS512"}, digest="sha512")),
    "HS384": Given(made(header={"alg": "HS384"}, digest="sha384")),
    "HS512 said, SHA-256 used": Given(made(header={"alg": "HS512"})),
    "RS256 said, SHA-256 used": Given(made(header={"alg": "RS256"})),
    "no alg": Given(made(header={"typ": "JWT"})),
    "alg is a list": Given(made(header={"alg": ["HS256"]})),
    "alg in lower case": Given(made(header={"alg": "hs256"})),
    "a header that must be understood": Given(made(header={"alg": "HS256", "crit": ["b64"]})),
    "a key of its own": Given(
        made(header={"alg": "HS256", "jwk": {"kty": "oct", "k": "YQ"}}, key="a")
    ),
    "a key at an address": Given(
        made(header={"alg": "HS256", "jku": "https://evil.test/keys"}, key=STRANGERS)
    ),
    "a key that is a file": Given(made(header={"alg": "HS256", "kid": "/dev/null"}, key="")),
    # The mark of another token, or a part of it.
    "the mark of another head": Given(f"{_OTHERS_HEAD}.{_MARK}"),
    "the mark without its last character": Given(RIGHT[:-1]),
    "the mark's beginning": Given(f"{_HEAD}.{_MARK[:8]}"),
    "the mark and more": Given(f"{RIGHT}A"),
    "the mark with padding": Given(f"{RIGHT}="),
    "a space behind": Given(f"{RIGHT} "),
    "a line behind": Given(f"{RIGHT}\nX: 1"),
    "a mark in other case": Given(f"{_HEAD}.{_MARK.swapcase()}"),
    "bits behind the mark's end": Given(f"{_HEAD}.{_MARK[:-1]}{chr(ord(_MARK[-1]) + 1)}"),
    "standard base64": Given(made(mark=lambda _head: "+/" + _MARK[2:])),
    "claims only": Given(_HEAD.split(".")[1]),
    "head only": Given(_HEAD),
    "a fourth part": Given(f"{RIGHT}.{_MARK}"),
    "an empty part before": Given(f".{RIGHT}"),
    "twice": Given(f"{RIGHT}, {RIGHT}"),
    "nothing": Given(""),
    "dots": Given(".."),
    "not ASCII": Given("é.é.é"),
    "a mark that is not ASCII": Given(f"{_HEAD}.{'é' * len(_MARK)}"),
    "a lone surrogate": Given(f"{_HEAD}.\ud800"),
    "a lone surrogate in the head": Given(f"\ud800.{_HEAD}.{_MARK}"),
    "NUL": Given("\x00"),
    "a megabyte": Given("a" * 1_000_000),
    "a million dots": Given("." * 1_000_000),
    # For something else.
    "another body": Given(RIGHT, body=b'{"amount":1000}'),
    "the body written again": Given(RIGHT, body=b'{"amount": 10}'),
    "the body and a line end": Given(RIGHT, body=BODY + b"\n"),
    "no body": Given(RIGHT, body=b""),
    "another address": Given(RIGHT, url="https://shop.test/api/refund"),
    "another host": Given(RIGHT, url="https://evil.test/api/order"),
    "another scheme": Given(RIGHT, url="http://shop.test/api/order"),
    "a query more": Given(RIGHT, url=f"{URL}?admin=1"),
    "a slash more": Given(RIGHT, url=f"{URL}/"),
    # Not now.
    "expired": Given(RIGHT, now_s=NOW + 300),
    "expired long ago": Given(RIGHT, now_s=NOW + 10**9),
    "not yet valid": Given(made(but(nbf=NOW + 1))),
    "signed tomorrow": Given(made(but(iat=NOW + 86_400, exp=NOW + 86_700))),
    "lasts ten years": Given(made(but(exp=NOW + 315_360_000))),
    "lasts longer than it was signed for": Given(made(but(iat=0))),
    # Claims that are missing, or are something else.
    "another issuer": Given(made(but(iss="upstash"))),
    "issuers": Given(made(but(iss=["Upstash"]))),
    **{f"no {name}": Given(made(but(**{name: None}))) for name in CLAIMS if name != "jti"},
    **{
        f"{name} is {value!r}"[:60]: Given(made(but(**{name: value})))
        for name in ("exp", "nbf", "iat")
        for value in ("1", True, [], {}, f"{NOW + 300}", float("nan"), float("inf"), -float("inf"))
    },
    "exp is 1e999": Given(made(json.dumps(CLAIMS).replace(f"{NOW + 300}", "1e999").encode())),
    "exp has 5,000 digits": Given(
        made(json.dumps(CLAIMS).replace(f"{NOW + 300}", "9" * 5_000).encode())
    ),
    "sub is a number": Given(made(but(sub=1))),
    "sub is a list": Given(made(but(sub=[URL]))),
    "body is a number": Given(made(but(body=1))),
    "body is a list": Given(made(but(body=[hash_of(BODY)]))),
    "body is empty": Given(made(but(body=""))),
    "body is padding": Given(made(but(body="===")), body=b""),
    "body is a lone surrogate": Given(made(but(body="\ud800"))),
    "body is not ASCII": Given(made(but(body="é" * 43))),
    "body in hex": Given(made(but(body=hashlib.sha256(BODY).hexdigest()))),
    "body itself": Given(made(but(body=BODY.decode()))),
    # Signed, and no token.
    "claims are a list": Given(made([])),
    "claims are null": Given(made(b"null")),
    "claims are nothing": Given(made(b"")),
    "claims are no JSON": Given(made(b"{")),
    "claims are no UTF-8": Given(made(b"\xff\xfe")),
    "claims are deep": Given(made(b"[" * 100_000 + b"]" * 100_000)),
    "the header is a list": Given(made(header=[])),
    "the header is no JSON": Given(made(header=b"HS256")),
}

PASS: dict[str, Given] = {
    "as we sign": Given(sign(KEY, BODY, url=URL, now_s=NOW, token_id="jwt_1")),
    "with the next key": Given(sign(NEXT, BODY, url=URL, now_s=NOW, token_id="jwt_1")),
    "by another implementation": Given(RIGHT),
    "a hash with padding": Given(made(but(body=hash_of(BODY) + "="))),
    "in its last second": Given(RIGHT, now_s=NOW + 299),
    "by a clock that is a little ahead": Given(RIGHT, now_s=NOW - 30),
    "with the name of its key": Given(made(header={"alg": "HS256", "kid": "1"})),
    "an empty body": Given(made(but(body=hash_of(b""))), body=b""),
    "a body that is no text": Given(made(but(body=hash_of(b"\xff\x00"))), body=b"\xff\x00"),
}
