"""Which runs a list or a bulk verb means: filters as users give them, and whether a run fits.

Filters hold together. Source: protocol 6.4.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict
from urllib.parse import urlsplit

from workflow_agents.core.bad_options import unknown_option, wrong_option
from workflow_agents.core.lifecycle import RUN_STATES
from workflow_agents.protocol.times import instant_ms

CALLBACK_STATES = ("CALLBACK_INPROGRESS", "CALLBACK_SUCCESS", "CALLBACK_FAIL")


_TEXTS = ("workflow", "url_prefix", "label", "flow_control_key", "caller_ip", "host", "path")


class RunFilters(TypedDict, total=False):
    """Filters of runs.

    Attributes:
        workflow: what is served, its path or its URL.
        url_prefix: with which the workflow's path or URL begins; where runs are cancelled.
        state: RUN_STARTED, RUN_SUCCESS, RUN_FAILED or RUN_CANCELED; in lists of runs.
        failure_function_state: CALLBACK_INPROGRESS, CALLBACK_SUCCESS or CALLBACK_FAIL; of dead
            letters.
        label: a label that it has.
        flow_control_key: the key that it was triggered with.
        caller_ip: the address that triggered it.
        host: the host, and port if there is one, in the workflow's URL.
        path: the path in that.
        response_status: what was answered last; of dead letters.
        since: created, or failed, at this instant or later.
        until: at this instant or before.
    """

    workflow: Any
    url_prefix: str
    state: str
    failure_function_state: str
    label: str
    flow_control_key: str
    caller_ip: str
    host: str
    path: str
    response_status: int
    since: int | float | datetime | str
    until: int | float | datetime | str


@dataclass(frozen=True, slots=True)
class Selection:
    """What was asked for, checked; `since` and `until` in Unix milliseconds.

    Attributes:
        ids: of runs, or of dead letters; empty: any.
    """

    ids: tuple[str, ...] = ()
    workflow: str | None = None
    url_prefix: str | None = None
    state: str | None = None
    failure_function_state: str | None = None
    label: str | None = None
    flow_control_key: str | None = None
    caller_ip: str | None = None
    host: str | None = None
    path: str | None = None
    response_status: int | None = None
    since: int | None = None
    until: int | None = None

    @classmethod
    def checked(
        cls,
        filters: Mapping[str, Any],
        known: tuple[str, ...],
        *,
        ids: tuple[str, ...] = (),
        where: str,
    ) -> "Selection":
        """Filters as users give them, the workflow as its path or URL already.

        Args:
            filters: None counts as not given.
            known: those that make sense here.
            ids: besides.
            where: for errors: the method of the client.

        Raises:
            ConfigurationError: WA101, WA102.
        """
        given = {name: value for name, value in filters.items() if value is not None}
        for name in given:
            if name not in known:
                raise unknown_option(name, known, where)
        for name in ("since", "until"):
            if name in given:
                given[name] = instant_ms(given[name])
        for name in _TEXTS:
            if name in given and (not isinstance(given[name], str) or not given[name]):
                raise wrong_option(name, "text", given[name])
        status = given.get("response_status")
        if status is not None and (type(status) is not int or not 0 <= status <= 999):
            raise wrong_option("response_status", "an HTTP status", status)
        _one_of(given, "state", RUN_STATES)
        _one_of(given, "failure_function_state", CALLBACK_STATES)
        return cls(ids, **given)

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing, and so means all."""
        return self == Selection()

    def fits(
        self,
        *,
        workflow: str,
        at: int,
        labels: tuple[str, ...],
        flow_control_key: str | None,
        caller_ip: str | None = None,
        callback: str | None = None,
        status: int | None = None,
    ) -> bool:
        """Whether a run of which this is known is meant; its id and state are not asked."""
        address = urlsplit(workflow)
        return (
            (self.workflow is None or workflow == self.workflow)
            and (self.url_prefix is None or workflow.startswith(self.url_prefix))
            and (self.label is None or self.label in labels)
            and (self.flow_control_key is None or flow_control_key == self.flow_control_key)
            and (self.caller_ip is None or caller_ip == self.caller_ip)
            and (self.host is None or address.netloc == self.host)
            and (self.path is None or address.path == self.path)
            and (self.response_status is None or status == self.response_status)
            and (self.failure_function_state is None or callback == self.failure_function_state)
            and (self.since is None or at >= self.since)
            and (self.until is None or at <= self.until)
        )


class MessageFilters(TypedDict, total=False):
    """Filters of messages that are still owed.

    Attributes:
        url: where they go.
        url_group: through which they came there.
        queue: in which they wait.
        schedule_id: that published them.
        label: a label that they have.
        flow_control_key: whose limits they wait for.
        since: published at this instant or later.
        until: at this instant or before.
    """

    url: str
    url_group: str
    queue: str
    schedule_id: str
    label: str
    flow_control_key: str
    since: int | float | datetime | str
    until: int | float | datetime | str


@dataclass(frozen=True, slots=True)
class MessageSelection:
    """What was asked for, checked; `since` and `until` in Unix milliseconds."""

    ids: tuple[str, ...] = ()
    url: str | None = None
    url_group: str | None = None
    queue: str | None = None
    schedule_id: str | None = None
    label: str | None = None
    flow_control_key: str | None = None
    since: int | None = None
    until: int | None = None

    @classmethod
    def checked(
        cls, filters: Mapping[str, Any], *, ids: tuple[str, ...] = (), where: str
    ) -> "MessageSelection":
        """Filters as users give them; None counts as not given.

        Raises:
            ConfigurationError: WA101, WA102.
        """
        given = {name: value for name, value in filters.items() if value is not None}
        for name, value in given.items():
            if name not in MessageFilters.__annotations__:
                raise unknown_option(name, MessageFilters.__annotations__, where)
            if name in ("since", "until"):
                given[name] = instant_ms(value)
            elif not isinstance(value, str) or not value:
                raise wrong_option(name, "text", value)
        return cls(ids, **given)

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing, and so means all."""
        return self == MessageSelection()


def _one_of(given: Mapping[str, Any], name: str, known: tuple[str, ...]) -> None:
    if name in given and given[name] not in known:
        raise wrong_option(name, f"one of {', '.join(known)}", given[name])


def checked_ids(ids: object, option: str) -> tuple[str, ...]:
    """One id or several.

    Raises:
        ConfigurationError: WA102.
    """
    listed: Any = (ids,) if isinstance(ids, str) else ids
    try:
        found = tuple(listed)
    except TypeError:
        raise wrong_option(option, "an id, or a list of ids", ids) from None
    if not all(isinstance(one, str) and one for one in found):
        raise wrong_option(option, "an id, or a list of ids", ids)
    return found


def checked_limit(limit: object) -> int:
    """How many are asked for.

    Raises:
        ConfigurationError: WA102.
    """
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise wrong_option("limit", "a whole number from 1", limit)
    return limit
