"""What users pass as bodies, headers and ids: checked, and in the form that is stored."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.core.limits import Limits
from workflow_agents.errors import ConfigurationError, LimitError, RemoteError, StepUsageError
from workflow_agents.protocol.codec import Unencodable, encode, is_text

if TYPE_CHECKING:
    from workflow_agents.protocol.secrets import Secret

JSON_TYPE = "application/json"
MAX_KEY_LENGTH = 256
"""Of the keys that steps, runs and requests share: characters."""

# Compiled by `re` when they are first met, which is not in every process.
_HEADER_NAME = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_HEADER_VALUE = r"[\t\x20-\x7e\x80-\U0010ffff]*"
_RUN_ID = r"[A-Za-z0-9_\-.:@=+~]+"
_DEFAULT = Limits()


def checked_body(body: object, *, where: str) -> tuple[bytes, str]:
    """A body as bytes, and its content type: str and bytes as they are, the rest as JSON.

    Raises:
        StepUsageError: WA204, if it cannot be JSON.
    """
    if body is None:
        return b"", ""
    if isinstance(body, bytes | bytearray):
        return bytes(body), "application/octet-stream"
    if isinstance(body, str):
        return body.encode("utf-8", "surrogatepass"), "text/plain; charset=utf-8"
    try:
        return encode(body), JSON_TYPE
    except Unencodable as error:
        raise StepUsageError(
            "WA204",
            "a body that cannot be sent",
            where=f"{where}, at {error.path}",
            found=error.reason,
            why="a body is sent as JSON, text or bytes",
        ) from error


def is_header_value(text: str) -> bool:
    """Whether the text can be a header's value: RFC 9110, no control characters."""
    return re.fullmatch(_HEADER_VALUE, text) is not None


def call_headers(
    headers: "Mapping[str, str | Secret] | None", content_type: str, url: object, *, where: str
) -> "dict[str, str | Secret]":
    """The headers of an outbound request: lower-case names, grammar of RFC 9110 checked.

    Raises:
        ConfigurationError: WA102, a header that cannot be sent.
        RemoteError: WA302, an address that cannot be called.
    """
    parts = urlsplit(url) if isinstance(url, str) else None
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise RemoteError("WA302", where=where, found=f"url={url!r}"[:200])
    if parts.username or parts.password:
        raise RemoteError("WA302", where=where, found="the address holds credentials")
    checked: dict[str, str | Secret] = {"content-type": content_type} if content_type else {}
    if not isinstance(headers or {}, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
        raise wrong_option("headers", "a dict of texts", headers)
    for name, value in (headers or {}).items():
        text = value if isinstance(value, str) else ""
        known = isinstance(name, str) and (isinstance(value, str) or _is_secret(value))  # pyright: ignore[reportUnnecessaryIsInstance] -- users need not check types
        if not known or not re.fullmatch(_HEADER_NAME, name) or not is_header_value(text):
            raise ConfigurationError(
                "WA102",
                "a header that cannot be sent",
                where=f"{where}, header {name!r}"[:200],
                found=f"expected text without line breaks, found {type(value).__name__}",
                fix=("headers={'x-name': 'value'}", 'headers={"authorization": Secret("KEY")}'),
            )
        checked[name.lower()] = value
    return checked


def _is_secret(value: object) -> bool:
    from workflow_agents.protocol.secrets import Secret

    return isinstance(value, Secret)


def checked_event_id(event_id: object, where: str) -> str:
    """An event id: any text that is not empty.

    Raises:
        ConfigurationError: WA504.
    """
    sized = isinstance(event_id, str) and 0 < len(event_id) <= _DEFAULT.name_characters
    if sized and isinstance(event_id, str) and is_text(event_id):
        return event_id
    raise ConfigurationError(
        "WA504",
        "an event needs an id",
        where=where,
        found=f"expected text of 1 to {_DEFAULT.name_characters} characters, found {event_id!r}"[
            :200
        ],
        fix=('context.wait_for_event("wait", "order-42-paid")',),
    )


def checked_conversation(key: object) -> str:
    """The key of a conversation: any text on one line that is not empty.

    Raises:
        ConfigurationError: WA504.
    """
    longest = _DEFAULT.name_characters
    if isinstance(key, str) and 0 < len(key) <= longest and key.isprintable():
        return key
    raise ConfigurationError(
        "WA504",
        "a conversation needs a key",
        where="conversation",
        found=f"expected text on one line of at most {longest} characters, found {key!r}"[:200],
        fix=('conversation="user-42"',),
    )


def checked_run_id(run_id: object) -> str:
    """A run id as it is stored: with its prefix.

    Raises:
        ConfigurationError: WA504.
    """
    if isinstance(run_id, str) and len(run_id) <= 256 and re.fullmatch(_RUN_ID, run_id):
        return run_id if run_id.startswith("wfr_") else f"wfr_{run_id}"
    raise ConfigurationError(
        "WA504",
        "a run id that cannot be used",
        where="workflow_run_id",
        found=f"{run_id!r}"[:200],
        fix=("use letters, digits and - _ . : @ = + ~, at most 256 of them",),
    )


def checked_name(what: str, name: object) -> str:
    """A name of something that is kept on a server: a queue, a URL group, a schedule, a key.

    Raises:
        ConfigurationError: WA102.
    """
    from workflow_agents.protocol.message_headers import is_name
    from workflow_agents.protocol.times import shown

    if isinstance(name, str) and is_name(name):
        return name
    raise ConfigurationError(
        "WA102",
        f"{what} has 1 to 256 letters, digits and - _ .",
        found=shown(name),
        fix=("emails", "nightly-report"),
    )


def checked_size(size: int, limit: int, where: str) -> None:
    """Refuse a payload over the limit.

    Raises:
        LimitError: WA501.
    """
    if size > limit:
        raise LimitError(
            "WA501", where=where, found=f"expected at most {limit:,} bytes, found {size:,}"
        )


def checked_stream(stream: object) -> None:
    """Refuse what is no format of a streamed reply.

    Raises:
        ConfigurationError: WA102.
    """
    if stream is None:
        return
    from workflow_agents.core.assembly import STREAM_FORMATS

    if stream not in STREAM_FORMATS:
        raise wrong_option("stream", f"one of {', '.join(map(repr, STREAM_FORMATS))}", stream)


def checked_pause_key(pause_key: object) -> None:
    """Refuse what cannot be a key that requests share.

    Raises:
        ConfigurationError: WA102.
    """
    if pause_key is None:
        return
    if not isinstance(pause_key, str) or not 0 < len(pause_key) <= MAX_KEY_LENGTH:
        raise wrong_option("pause_key", f"text of 1 to {MAX_KEY_LENGTH} characters", pause_key)
    if not is_text(pause_key):
        raise wrong_option("pause_key", f"text of 1 to {MAX_KEY_LENGTH} characters", pause_key)


def workflow_path(workflow: Any) -> str:
    """The path of a workflow given as itself, as a path, or as a URL.

    Raises:
        ConfigurationError: WA107.
    """
    path = getattr(workflow, "path", workflow)
    if isinstance(path, str) and "://" in path:
        path = urlsplit(path).path or "/"
    if not isinstance(path, str):
        raise ConfigurationError(
            "WA107", found=f"expected a workflow, its path or its URL, found {workflow!r}"[:200]
        )
    return path
