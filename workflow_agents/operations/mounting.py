"""What the ASGI apps of this room share: whose engine it is, who may ask, and short answers."""

import hmac
from typing import Any, Protocol

from workflow_agents.engine.engine import DurableEngine
from workflow_agents.protocol.callbacks import compact_json

Scope = Any
Receive = Any
Send = Any


class HasCore(Protocol):
    """The engine as users hold it."""

    @property
    def core(self) -> DurableEngine:
        """The engine itself."""
        ...


def core_of(engine: DurableEngine | HasCore) -> DurableEngine:
    """The engine itself."""
    return engine if isinstance(engine, DurableEngine) else engine.core


def header(scope: Scope, name: str) -> str | None:
    """A header of a request; `name` in lower case."""
    wanted = name.encode()
    found = next((value for key, value in scope["headers"] if key == wanted), None)
    return None if found is None else found.decode("latin-1")


def may_ask(scope: Scope, token: str | None) -> bool:
    """Whether the request carries the token, if there is one to carry."""
    if token is None:
        return True
    scheme, _, given = (header(scope, "authorization") or "").partition(" ")
    same = hmac.compare_digest(given.strip().encode(), token.encode())
    return scheme.lower() == "bearer" and same


async def answer(
    send: Send, status: int, body: bytes, content_type: str, *headers: tuple[bytes, bytes]
) -> None:
    """A short answer."""
    length = (b"content-length", str(len(body)).encode())
    all_headers = [(b"content-type", content_type.encode()), length, *headers]
    await send({"type": "http.response.start", "status": status, "headers": all_headers})
    await send({"type": "http.response.body", "body": body})


async def refuse(send: Send, status: int, text: str, *headers: tuple[bytes, bytes]) -> None:
    """A request that is not carried out, and why."""
    await answer(send, status, compact_json({"error": text}), "application/json", *headers)


async def refuse_stranger(send: Send) -> None:
    """The answer to who may not ask."""
    text = "unauthorized: a token is needed, as Authorization: Bearer <token>"
    await refuse(send, 401, text, (b"www-authenticate", b"Bearer"))
