"""Whatever headers come, a message is read or refused, and its JSON says the same again."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.message import MessageSpec, parse_message

KNOWN = [
    "method",
    "delay",
    "not-before",
    "retries",
    "retry-delay",
    "timeout",
    "callback",
    "failure-callback",
    "label",
    "cron",
    "deduplication-id",
    "content-based-deduplication",
    "flow-control-key",
    "flow-control-value",
    "queue-name",
    "redact-fields",
    "schedule-id",
    "header-forward",
    "feature-set",
    "workflow-runid",
    "workflow-init",
    "workflow-url",
    "workflow-calltype",
    "workflow-sdk-version",
    "workflow-invoke",
    "workflow-unknown-sdk",
    "workflow-trigger-by-sdk",
    "workflow-invoke-count",
    "forward-x-a",
    "forward-upstash-workflow-invoke-count",
    "forward-upstash-workflow-unknown-sdk",
]

PREFIXES = ("", "callback-", "failure-callback-", "callback-failure-callback-", "forward-")
VALUES = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "true",
            "TRUE",
            "false",
            "0",
            "3",
            "10s",
            "1d10h30m",
            "1mo",
            "1735689660",
            "POST",
            "get",
            "https://a.test/b",
            "http://[::1]:1",
            "wfr_1",
            "body",
            "header[a],body",
            "eu,vip",
            "rate=3",
            "9999999999999999999",
            "step",
            "1e5",
            "-1",
        ]
    ),
)


def spelled(name: str, upper: bool) -> str:
    return name.upper() if upper else name


NAMES = st.one_of(
    st.text(max_size=30),
    st.just("content-type"),
    st.builds(
        lambda prefix, name, upper: spelled(f"upstash-{prefix}{name}", upper),
        st.sampled_from(PREFIXES),
        st.sampled_from(KNOWN),
        st.booleans(),
    ),
)
DESTINATIONS = st.one_of(st.sampled_from(["https://a.test/b", "group"]), st.text(max_size=30))
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=8)
QUERIES = st.dictionaries(NAMES, st.lists(VALUES, max_size=2), max_size=4)


def read_or_refused(
    destination: str, pairs: list[tuple[str, str]], query: dict[str, list[str]]
) -> MessageSpec | None:
    try:
        return parse_message(destination, pairs, query)
    except ConfigurationError as error:
        told = error
    assert told.code == "WA121"
    assert len(str(told).splitlines()) <= 15
    return None


@settings(max_examples=2_000, deadline=None)
@given(DESTINATIONS, PAIRS, QUERIES)
def test_a_message_is_read_or_refused(
    destination: str, pairs: list[tuple[str, str]], query: dict[str, list[str]]
) -> None:
    spec = read_or_refused(destination, pairs, query)
    if spec is None:
        return
    data = json.loads(json.dumps(spec.to_json()))
    assert MessageSpec.from_json(data) == spec
    for url, headers in (
        (spec.callback, spec.callback_headers),
        (spec.failure_callback, spec.failure_callback_headers),
    ):
        if url is not None:
            parse_message(url, headers.items())  # what comes later can be read then


def test_a_chain_of_callbacks_is_read_as_far_as_names_reach() -> None:
    def chain(depth: int) -> list[tuple[str, str]]:
        return [(f"upstash-{'callback-' * n}callback", "https://a.test/") for n in range(depth)]

    assert read_or_refused("https://a.test/", chain(25), {}) is not None
    assert read_or_refused("https://a.test/", chain(200), {}) is None
