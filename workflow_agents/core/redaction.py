"""What logs show in place of data that is to be redacted.

The mark is keyed: a bare hash of something short could be guessed by trying.
Source: the `redact` option; its form `REDACTED:<hash>`.
"""

import os
from collections.abc import Mapping
from typing import Any

from workflow_agents.protocol.codec import encode

_KEY = os.urandom(32)


def redacted(body: object, redact: Mapping[str, Any] | None) -> Any:
    """The body, or its mark: the same data has the same mark within this process."""
    if not redact or not redact.get("body"):
        return body
    import hashlib
    import hmac

    return f"REDACTED:{hmac.new(_KEY, encode(body), hashlib.sha256).hexdigest()}"
