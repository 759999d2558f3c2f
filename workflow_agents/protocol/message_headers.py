"""The headers of a message: split into families, their values read, and what is delivered.

`Upstash-X` configures the message, `Upstash-Forward-X` is delivered as `X`, and the families
of `Upstash-Callback-X` and `Upstash-Failure-Callback-X` are the headers of messages that come
later: with the prefix taken off once, the same parser reads them. Values in, values out; what
they mean together is `protocol.message`'s. Source: protocol 2.1, 2.2, 2.7, 2.8.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.codec import is_text
from workflow_agents.protocol.headers import OF_TRANSPORT
from workflow_agents.protocol.times import duration_ms, instant_ms, shown

CONTENT_TYPE = "Content-Type"

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\U0010ffff]*")
_NAME = re.compile(r"[a-zA-Z0-9\-_.]{1,256}")
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_MOST_RETRIES_DIGITS = 9
_MOST_HEADERS, _MOST_CHARACTERS = 1_000, 128 * 1024
"""Of one message, with those of its callbacks: what JSON can name is bounded as a head is."""

# Set by the server for each delivery, or of one connection only: forwarded values are ignored,
# because an SDK forwards whatever it received.
_SET_BY_SERVER = OF_TRANSPORT | {
    "content-type",
    "proxy-authenticate",
    "proxy-authorization",
    "upstash-caller-ip",
    "upstash-message-id",
    "upstash-region",
    "upstash-retried",
    "upstash-schedule-id",
    "upstash-signature",
    "upstash-topic-name",
}
# With all headers of a request forwarded: what gave access to this server stays here.
_OF_THIS_REQUEST = frozenset({"authorization", "cookie"})

_FORWARD = "upstash-forward-"
_CALLBACK = "upstash-callback"
_FAILURE_CALLBACK = "upstash-failure-callback"


@lru_cache(maxsize=2048)
def canonical_name(name: str) -> str:
    """A header's name as answers show it: `Content-Type`, `Upstash-Workflow-Runid`."""
    return "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))


def header_map(items: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Headers as JSON shows them: canonical names, each with a list of its values."""
    shown_as: dict[str, list[str]] = {}
    for name, value in items:
        shown_as.setdefault(canonical_name(name), []).append(value)
    return shown_as


@dataclass(frozen=True, slots=True)
class Families:
    """The headers of a message, told apart.

    Attributes:
        own: of the message, lower-case names without `upstash-`: "retries", "workflow-runid".
        forwarded: are delivered; canonical names.
        content_type: of the body, where it is given.
        callback: of the callback's message, as `Upstash-X`; canonical names.
        failure_callback: of the failure callback's message, likewise.
    """

    own: dict[str, str] = field(default_factory=dict[str, str])
    forwarded: dict[str, str] = field(default_factory=dict[str, str])
    content_type: str | None = None
    callback: dict[str, str] = field(default_factory=dict[str, str])
    failure_callback: dict[str, str] = field(default_factory=dict[str, str])


def split_headers(
    headers: Iterable[tuple[str, str]], query: Mapping[str, list[str]] | None
) -> Families:
    """Tell the families apart. A header counts before the query parameter of its name.

    Raises:
        ConfigurationError: WA121, a name or value that no header can have.
    """
    given = [
        *((name.lower(), values[-1]) for name, values in (query or {}).items() if values),
        *((name.lower(), value) for name, value in headers),
    ]
    size = sum(len(name) + len(value) for name, value in given)
    if len(given) > _MOST_HEADERS or size > _MOST_CHARACTERS:
        raise ConfigurationError(
            "WA121",
            "the headers of a message are too many, or too large",
            where="the headers",
            found=f"expected at most {_MOST_HEADERS:,} of {_MOST_CHARACTERS:,} characters in all,"
            f" found {len(given):,} of {size:,}",
            fix=("send large values in the body",),
        )
    own: dict[str, str] = {}
    forwarded: dict[str, str] = {}
    callback: dict[str, str] = {}
    failure: dict[str, str] = {}
    plain: dict[str, str] = {}
    for name, text in given:
        value = text.strip(" \t")
        _check(name, value)
        if name.startswith(_FORWARD):
            _add(forwarded, name.removeprefix(_FORWARD), value)
        elif name.startswith(f"{_FAILURE_CALLBACK}-"):
            _keep(failure, name.removeprefix(f"{_FAILURE_CALLBACK}-"), value)
        elif name.startswith(f"{_CALLBACK}-"):
            _keep(callback, name.removeprefix(f"{_CALLBACK}-"), value)
        elif name.startswith("upstash-"):
            own[name.removeprefix("upstash-")] = value
        else:
            _add(plain, name, value)
    if flag(own, "header-forward"):
        kept = {n: v for n, v in plain.items() if n not in _OF_THIS_REQUEST}
        forwarded = {**kept, **forwarded}
    return Families(
        own,
        {canonical_name(n): v for n, v in forwarded.items() if n and n not in _SET_BY_SERVER},
        plain.get("content-type"),
        callback,
        failure,
    )


def _check(name: str, value: str) -> None:
    if not _TOKEN.fullmatch(name):
        raise bad_header(name[:80], "a name of letters, digits and -", name)
    if value.isascii() and value.isprintable():
        return
    if not _VALUE.fullmatch(value) or not is_text(value):
        raise bad_header(name, "text without control characters", value)


def _add(family: dict[str, str], name: str, value: str) -> None:
    family[name] = f"{family[name]}, {value}" if name in family else value


def _keep(family: dict[str, str], name: str, value: str) -> None:
    if name:
        family[canonical_name(f"upstash-{name}")] = value


def delivered_headers(
    forwarded: Mapping[str, str], *, message_id: str, retried: int, own: Mapping[str, str]
) -> dict[str, str]:
    """The headers of one delivery. Source: protocol 2.5.

    Args:
        forwarded: those of the message, `MessageSpec.headers`.
        message_id: of the message.
        retried: how many attempts were made before this one.
        own: what else the server sets: the signature, the run's headers; counts before others.
    """
    return {
        **forwarded,
        "User-Agent": "Upstash-QStash",
        "Upstash-Message-Id": message_id,
        "Upstash-Retried": str(retried),
        **{canonical_name(name): value for name, value in own.items()},
    }


# The values of single headers.


def bad_header(name: str, expected: str, found: object) -> ConfigurationError:
    """WA121: which header, what it takes and what it had."""
    known = canonical_name(name)
    return ConfigurationError(
        "WA121",
        f"header {known}: expected {expected}",
        where=f"header {known}",
        found=shown(found),
    )


def _bad_own(name: str, expected: str, found: object) -> ConfigurationError:
    return bad_header(f"upstash-{name}", expected, found)


def flag(own: Mapping[str, str], name: str) -> bool:
    """Whether it says `true`, in any case."""
    return own.get(name, "").lower() == "true"


def text_of(own: Mapping[str, str], name: str) -> str | None:
    """The value, unless it is missing or empty."""
    return own.get(name) or None


def count_of(own: Mapping[str, str], name: str) -> int | None:
    """A whole number from 0.

    Raises:
        ConfigurationError: WA121.
    """
    text = text_of(own, name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_RETRIES_DIGITS):
        raise _bad_own(name, "a whole number from 0", text)
    return int(text)


def duration_of(own: Mapping[str, str], name: str) -> int | None:
    """A duration in milliseconds; a bare number counts seconds.

    Raises:
        ConfigurationError: WA121.
    """
    text = text_of(own, name)
    if text is None:
        return None
    try:
        return duration_ms(text)
    except ConfigurationError:
        raise _bad_own(name, 'a duration, as "30s" or "1d12h"', text) from None


def instant_of(own: Mapping[str, str], name: str) -> int | None:
    """Unix seconds, as Unix milliseconds.

    Raises:
        ConfigurationError: WA121.
    """
    text = text_of(own, name)
    if text is None:
        return None
    expected = "Unix seconds"
    if not re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,18})?", text, re.ASCII):
        raise _bad_own(name, expected, text)
    try:
        return instant_ms(float(text))
    except ConfigurationError:
        raise _bad_own(name, f"{expected} before the year 10000", text) from None


def method_of(own: Mapping[str, str]) -> str:
    """The method of the delivery; POST where none is given.

    Raises:
        ConfigurationError: WA121.
    """
    method = (text_of(own, "method") or "POST").upper()
    if method not in _METHODS:
        raise _bad_own("method", f"one of {', '.join(sorted(_METHODS))}", method)
    return method


def name_of(own: Mapping[str, str], name: str) -> str | None:
    """A name of a queue, a key, a schedule: letters, digits and - _ .

    Raises:
        ConfigurationError: WA121.
    """
    text = text_of(own, name)
    if text is not None and not _NAME.fullmatch(text):
        raise _bad_own(name, "1 to 256 letters, digits and - _ .", text)
    return text


def is_name(text: str) -> bool:
    """Whether it can name a queue, a URL group, a schedule, a label or a key."""
    return _NAME.fullmatch(text) is not None


def names_of(own: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Several names, joined by commas.

    Raises:
        ConfigurationError: WA121.
    """
    texts = [part.strip() for part in own.get(name, "").split(",")]
    names = tuple(dict.fromkeys(text for text in texts if text))
    for text in names:
        if not _NAME.fullmatch(text):
            raise _bad_own(name, "labels of letters, digits and - _ ., joined by commas", text)
    return names


def url_of(own: Mapping[str, str], name: str) -> str | None:
    """An address.

    Raises:
        ConfigurationError: WA121.
    """
    text = text_of(own, name)
    if text is not None and not is_url(text):
        raise _bad_own(name, "an http or https address", text)
    return text


_URL = re.compile(r"https?://[^\s\x00-\x1f\x7f/?#@]+(?:[/?#][^\s\x00-\x1f\x7f]*)?", re.I)


def is_url(text: str) -> bool:
    """Whether it is an http or https address with a host and without credentials."""
    return len(text) <= 8_192 and _URL.fullmatch(text) is not None and is_text(text)


_REDACTED = re.compile(r"(?:body|headers?(?:\[([^\[\],]+)\])?)", re.I)


def redaction_of(own: Mapping[str, str]) -> dict[str, bool | list[str]] | None:
    """What logs are not to show: `{"body": True, "header": True}`, or names of headers.

    Raises:
        ConfigurationError: WA121.
    """
    text = text_of(own, "redact-fields")
    if text is None:
        return None
    redacted: dict[str, bool | list[str]] = {}
    names: list[str] = []
    for part in text.split(","):
        field_ = part.strip()
        found = _REDACTED.fullmatch(field_)
        if not found:
            raise _bad_own("redact-fields", '"body", "header" or "header[Name]"', field_)
        if field_.lower() == "body":
            redacted["body"] = True
        elif found[1] is None:
            redacted["header"] = True
        else:
            names.append(found[1].strip())
    if names and "header" not in redacted:
        redacted["header"] = names
    return redacted
