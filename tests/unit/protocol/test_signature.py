"""Signatures: the protocol's test vector, every reason to refuse, and another implementation."""

from typing import Any

import jwt
import pytest

from workflow_agents.protocol.signature import BadSignature, SigningKeys, sign

KEY = "sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r"
OTHER = "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs"
URL = "https://shop.test/api/order"
NOW = 1735689600
TOKEN = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJVcHN0YXNoIiwic3ViIjoiaHR0cHM6Ly9zaG9wLnRlc3QvY"
    "XBpL29yZGVyIiwiZXhwIjoxNzM1Njg5OTAwLCJuYmYiOjAsImlhdCI6MTczNTY4OTYwMCwianRpIjoiand0XzEiLCJib2R"
    "5IjoiTFBKTnVsLXdvdzRtNkRzcXhibmluaHNXSGx3ZnAwSmVjd1F6WXBPTG1DUSJ9.1VPjEqw-XGqx8G434V9GVVHJxzwt"
    "Dx0mBnez1x5P-QU"
)
HASH = "LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ"


def test_the_vector_of_the_protocol() -> None:
    """Source: protocol 8.2."""
    assert sign(KEY, b"hello", url=URL, now_s=NOW, token_id="jwt_1") == TOKEN
    SigningKeys(KEY, OTHER).verify(TOKEN, b"hello", now_s=NOW, url=URL)
    SigningKeys(OTHER, KEY).verify(TOKEN, b"hello", now_s=NOW)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"body": HASH + "="}, None),
        ({"iss": "Someone"}, "issued"),
        ({"exp": NOW}, "expired"),
        ({"exp": None}, "no exp"),
        ({"exp": True}, "no exp"),
        ({"nbf": NOW + 1}, "not valid yet"),
        ({"nbf": "0"}, "no nbf"),
        ({"sub": "https://elsewhere.test/"}, "another address"),
        ({"body": "x"}, "not the one"),
        ({"body": None}, "no body"),
    ],
)
def test_claims_of_another_implementation(change: dict[str, Any], reason: str | None) -> None:
    claims = {"iss": "Upstash", "sub": URL, "exp": NOW + 300, "nbf": 0, "iat": NOW, "body": HASH}
    given = {n: v for n, v in (claims | change).items() if v is not None}
    if isinstance(given.get("iss"), str) and given.get("exp") is not True:
        token = jwt.encode(given, KEY, algorithm="HS256")
    else:
        token = jwt.api_jws.encode(__import__("json").dumps(given).encode(), KEY)

    if reason is None:
        SigningKeys(KEY, OTHER).verify(token, b"hello", now_s=NOW, url=URL)
        return
    with pytest.raises(BadSignature, match=reason):
        SigningKeys(KEY, OTHER).verify(token, b"hello", now_s=NOW, url=URL)


@pytest.mark.parametrize("algorithm", ["HS512", "HS384"])
def test_no_other_algorithm(algorithm: str) -> None:
    key = KEY * 3
    token = jwt.encode({"iss": "Upstash"}, key, algorithm=algorithm)

    with pytest.raises(BadSignature, match="neither key"):
        SigningKeys(key, key).verify(token, b"hello", now_s=NOW)


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", TOKEN[:-1], TOKEN + "A", "é.é.é"])
def test_what_is_no_token(token: str) -> None:
    with pytest.raises(BadSignature, match="neither key"):
        SigningKeys(KEY, "").verify(token, b"hello", now_s=NOW)


def test_keys_are_not_shown() -> None:
    assert KEY not in repr(SigningKeys(KEY, OTHER))
