"""Who looks at the dashboard: a cookie that scripts cannot read, in place of the token.

A session says who it is for and until when, signed with a secret of this process: after a
restart people sign in again. Pure.
"""

import base64
import hashlib
import hmac
import json
from typing import NamedTuple

COOKIE = "workflow_agents_session"
LASTS_S = 12 * 3600


class Session(NamedTuple):
    """Somebody who has shown a token.

    Attributes:
        user: whose token it was.
        may_change: whether it may do more than read.
        until: Unix seconds.
    """

    user: str
    may_change: bool
    until: int


def to_cookie(session: Session, secret: bytes) -> str:
    """As the value of a cookie."""
    said = base64.urlsafe_b64encode(json.dumps([*session]).encode()).decode()
    return f"{said}.{_seal(said, secret)}"


def from_cookie(value: str, secret: bytes, now: int) -> Session | None:
    """The reverse; None: it is none of ours, or its time is over.

    Args:
        value: of the cookie.
        secret: that it was signed with.
        now: Unix seconds.
    """
    said, _, seal = value.partition(".")
    if not hmac.compare_digest(seal.encode(), _seal(said, secret).encode()):
        return None
    user, may_change, until = json.loads(base64.urlsafe_b64decode(said))
    session = Session(user, may_change, until)
    return session if session.until > now else None


def _seal(said: str, secret: bytes) -> str:
    return hmac.new(secret, said.encode(), hashlib.sha256).hexdigest()
