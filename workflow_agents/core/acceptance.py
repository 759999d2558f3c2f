"""Whether an answer to a call is what the call was made for: a status, and what the body holds.

An answer that falls short is a failed attempt, and is tried again as far as the call's retries
go. Gateways answer with a page of their own under status 200, providers with an error.
"""

import json
from collections.abc import Iterable


def shortcoming(status: int, body: bytes, expect: Iterable[str]) -> str | None:
    """What an answer lacks; None: it is good.

    Args:
        status: good is 2xx.
        body: of the answer.
        expect: members that the body, a JSON object, has to have; none: any body is good.
    """
    if not 200 <= status < 300:
        return f"answered {status}"
    names = [*expect]
    if not names:
        return None
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        return f"answered {status} without a JSON object"
    lacking = [name for name in names if name not in value]
    return f"answered {status} without {', '.join(map(repr, lacking))}" if lacking else None
