"""What lists and bulk verbs are asked for: filters, counts and cursors, by query or JSON body.

Values of one filter are alternatives, repeated or joined by commas; different filters hold
together. Source: protocol 6.1.
"""

from collections.abc import Mapping
from typing import Any, cast

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.protocol.codec import is_text
from workflow_agents.store.message_lists import MessageFilter
from workflow_agents.store.remote_rows import RunFilter

Query = Mapping[str, list[str]]

_MOST_IDS = 1_000


def values_of(query: Query, *names: str) -> tuple[str, ...]:
    """All values of a parameter, under each of its names."""
    texts = (text for name in names for text in query.get(name, []))
    return tuple(part for text in texts for part in (p.strip() for p in text.split(",")) if part)


def whole_values_of(query: Query, name: str) -> tuple[str, ...]:
    """All values of a parameter in which a comma stands for itself."""
    return tuple(text for text in query.get(name, []) if text)


def last_of(query: Query, name: str) -> str:
    """A parameter of which there is one: the last that was given; "": none was."""
    return (query.get(name) or [""])[-1]


def count_of(query: Query, default: int, most: int) -> int:
    """How many are asked for; more than `most` are given by and by.

    Raises:
        ConfigurationError: WA102.
    """
    return min(_number(query, "count", 1, default) or default, most)


def date_of(query: Query, name: str) -> int | None:
    """Unix milliseconds.

    Raises:
        ConfigurationError: WA102.
    """
    return _number(query, name, 0, None)


def cursor_of(query: Query) -> int | None:
    """Where the part before ended; None: at the beginning.

    Raises:
        ConfigurationError: WA102, it was not made here.
    """
    return _number(query, "cursor", 0, None)


def _number(query: Query, name: str, least: int, default: int | None) -> int | None:
    text = last_of(query, name).strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text) >= least):
        raise wrong_option(name, f"a whole number from {least}", text)
    return int(text)


def message_filter(query: Query) -> MessageFilter:
    """Which messages are meant.

    Raises:
        ConfigurationError: WA102.
    """
    return MessageFilter(
        urls=whole_values_of(query, "url"),
        hosts=values_of(query, "host"),
        paths=whole_values_of(query, "path"),
        url_groups=values_of(query, "topicName", "urlGroup"),
        queues=values_of(query, "queueName"),
        schedules=values_of(query, "scheduleId"),
        labels=values_of(query, "label"),
        flow_keys=values_of(query, "flowControlKey"),
        caller_ips=values_of(query, "callerIp", "callerIP"),
        since=date_of(query, "fromDate"),
        until=date_of(query, "toDate"),
    )


def run_filter(query: Query) -> RunFilter:
    """Which runs are meant, but for their state and the messages that are theirs.

    Raises:
        ConfigurationError: WA102.
    """
    return RunFilter(
        run_ids=values_of(query, "workflowRunId", "workflowRunIds"),
        urls=whole_values_of(query, "workflowUrl"),
        hosts=values_of(query, "host"),
        paths=whole_values_of(query, "path"),
        labels=values_of(query, "label"),
        flow_keys=values_of(query, "flowControlKey"),
        caller_ips=values_of(query, "callerIp", "callerIP"),
        created_at=date_of(query, "workflowCreatedAt"),
        from_at=date_of(query, "fromDate"),
        to_at=date_of(query, "toDate"),
    )


def ids_in(data: Any, name: str) -> tuple[str, ...] | None:
    """The ids that a JSON body lists; None: it lists none, and says nothing.

    Raises:
        ConfigurationError: WA102.
    """
    if data is None:
        return None
    listed: Any = cast("dict[str, Any]", data).get(name) if isinstance(data, dict) else data
    if listed is None:
        return None
    ids: list[object] = cast("list[object]", listed) if isinstance(listed, list) else [listed]
    if len(ids) > _MOST_IDS:
        raise wrong_option(name, f"at most {_MOST_IDS:,} ids", len(ids))
    if not all(isinstance(one, str) and is_text(one) for one in ids):
        raise wrong_option(name, "a list of ids", "something else")
    return tuple(str(one) for one in ids)
