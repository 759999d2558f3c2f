"""What logs show in place of data that is to be redacted.

The mark is keyed: a bare hash of something short could be guessed by trying.
Source: the `redact` option; its form `REDACTED:<hash>`.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workflow_agents.protocol.codec import encode
from workflow_agents.protocol.headers import is_sensitive

if TYPE_CHECKING:
    from workflow_agents.protocol.secrets import Secret

HIDDEN = "[hidden]"
"""In place of a header's value that nobody is to see."""

_KEY = os.urandom(32)


def redacted(body: object, redact: Mapping[str, Any] | None) -> Any:
    """The body, or its mark: the same data has the same mark within this process."""
    if not redact or not redact.get("body"):
        return body
    return _mark(body)


def redacted_headers(headers: Mapping[str, str], redact: Mapping[str, Any] | None) -> Any:
    """The headers, with the marks of those that are named, or of all."""
    asked = (redact or {}).get("header")
    if not asked:
        return dict(headers)
    named = None if asked is True else {str(name).lower() for name in asked}
    return {
        name: _mark(value) if named is None or name.lower() in named else value
        for name, value in headers.items()
    }


def redacted_fields(redact: Mapping[str, Any] | None) -> str:
    """The same as the header `Upstash-Redact-Fields` says it; "": nothing. Source: protocol 2.2."""
    if redact is None:
        return ""
    fields = ["body"] if redact.get("body") else []
    header = redact.get("header")
    if header is True:
        fields.append("header")
    elif header:
        fields += [f"header[{name}]" for name in header]
    return ",".join(fields)


def shown_headers(headers: "Mapping[str, str | Secret]") -> dict[str, str]:
    """Headers of a request as they may be seen: neither secrets nor what sounds like one.

    A `Secret` shows its name. Any other value under a name like "authorization" is hidden.
    """
    from workflow_agents.protocol.secrets import Secret

    shown: dict[str, str] = {}
    for name, value in headers.items():
        if isinstance(value, Secret):
            shown[name] = f"[secret {value.env}]"
        else:
            shown[name] = HIDDEN if is_sensitive(name) else value
    return shown


def _mark(value: object) -> str:
    import hashlib
    import hmac

    return f"REDACTED:{hmac.new(_KEY, encode(value), hashlib.sha256).hexdigest()}"
