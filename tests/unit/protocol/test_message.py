"""Messages are read from what clients send, by name and by prefix, in any case."""

from typing import Any

import pytest

from workflow_agents.core.flow_control import FlowControl
from workflow_agents.core.journal import Call
from workflow_agents.core.options import RunOptions
from workflow_agents.core.retry import RetryPolicy
from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.codec import decode
from workflow_agents.protocol.message import (
    DETECT_TRIGGER,
    NO_DELETE,
    TRIGGER_ON_CONFIG,
    MessageSpec,
    WorkflowPart,
    content_key,
    parse_message,
)
from workflow_agents.protocol.wire_steps import WireStep
from workflow_agents.qstash import requests

URL = "https://shop.test/api/order"


def parse(*, to: str = URL, query: dict[str, list[str]] | None = None, **headers: str) -> Any:
    """Underscores stand for dashes."""
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return parse_message(to, pairs, query)


def test_a_message_without_headers_has_the_defaults() -> None:
    assert parse() == MessageSpec(url=URL)


def test_options_are_read_in_their_units() -> None:
    spec = parse(
        Upstash_Method="put",
        UPSTASH_DELAY="1d10h30m",
        upstash_not_before="1735689660",
        Upstash_Retries="5",
        Upstash_Retry_Delay="1000 * (1 + retried)",
        Upstash_Timeout="30",
        Upstash_Deduplication_Id="once",
        Upstash_Content_Based_Deduplication="True",
        Upstash_Flow_Control_Key="pay",
        Upstash_Flow_Control_Value="parallelism=3, rate=10, period=1m",
        Upstash_Label="eu, vip,eu",
        Upstash_Queue_Name="orders",
        Upstash_Cron="CRON_TZ=Europe/Berlin 0 9 * * *",
        Upstash_Schedule_Id="daily",
    )
    assert spec == MessageSpec(
        url=URL,
        method="PUT",
        delay_ms=(24 + 10) * 3_600_000 + 30 * 60_000,
        not_before=1_735_689_660_000,
        retries=5,
        retry_delay="1000 * (1 + retried)",
        timeout_ms=30_000,
        deduplication_id="once",
        content_based_deduplication=True,
        flow_key="pay",
        flow_value="parallelism=3, rate=10, period=1m",
        labels=("eu", "vip"),
        queue="orders",
        cron="CRON_TZ=Europe/Berlin 0 9 * * *",
        schedule_id="daily",
    )


@pytest.mark.parametrize(
    ("text", "ms"), [("60s", 60_000), ("1w", 604_800_000), ("1mo", 2_592_000_000), ("45", 45_000)]
)
def test_durations_of_sleeps_are_read(text: str, ms: int) -> None:
    assert parse(upstash_delay=text).delay_ms == ms


def test_only_forwarded_headers_and_the_content_type_are_delivered() -> None:
    spec = parse(
        content_type="text/csv",
        authorization="Bearer mine",
        x_private="1",
        upstash_forward_x_tenant="acme",
        Upstash_Forward_Authorization="Bearer theirs",
    )
    assert spec.headers == {
        "Content-Type": "text/csv",
        "X-Tenant": "acme",
        "Authorization": "Bearer theirs",
    }


def test_headers_that_an_sdk_forwards_by_mistake_are_left_out() -> None:
    names = [
        "host",
        "content-length",
        "connection",
        "transfer-encoding",
        "accept-encoding",
        "user-agent",
        "content-type",
        "upstash-signature",
        "upstash-message-id",
        "upstash-retried",
        "upstash-region",
        "upstash-caller-ip",
    ]
    pairs = [(f"Upstash-Forward-{name}", "x") for name in names]
    assert parse_message(URL, pairs).headers == {}


def test_all_headers_are_forwarded_on_request_but_not_what_opens_this_server() -> None:
    given = {"authorization": "Bearer mine", "cookie": "a=b", "x_a": "1", "host": "qs.test"}
    forwarded = {"Content-Type": "text/csv", "X-A": "1"}
    spec = parse(Upstash_Header_Forward="TRUE", content_type="text/csv", **given)
    assert spec.headers == forwarded
    by_query = parse(query={"upstash-header-forward": ["true"]}, content_type="text/csv", **given)
    assert by_query.headers == forwarded
    assert parse(x_a="1").headers == {}


def test_a_header_counts_before_the_parameter_of_its_name() -> None:
    query = {"upstash-retries": ["1"], "upstash-delay": ["2s"], "upstash-forward-x-a": ["q"]}
    spec = parse(query=query, Upstash_Retries="4")
    assert (spec.retries, spec.delay_ms, spec.headers) == (4, 2_000, {"X-A": "q"})


def test_a_repeated_forwarded_header_is_joined() -> None:
    pairs = [("Upstash-Forward-Accept", "a/b"), ("upstash-forward-accept", "c/d")]
    assert parse_message(URL, pairs).headers == {"Accept": "a/b, c/d"}


def test_the_headers_of_a_callback_are_those_of_its_message() -> None:
    spec = parse(
        Upstash_Callback="https://a.test/cb",
        Upstash_Callback_Retries="1",
        Upstash_Callback_Forward_X_A="1",
        Upstash_Callback_Workflow_RunId="wfr_1",
        Upstash_Callback_Failure_Callback="https://a.test/late",
        Upstash_Callback_Failure_Callback_Forward_X_B="2",
        Upstash_Failure_Callback="https://a.test/failed",
        Upstash_Failure_Callback_Delay="5s",
    )
    callback = parse_message(spec.callback, spec.callback_headers.items())
    assert (callback.retries, callback.headers, callback.run_id) == (1, {"X-A": "1"}, "wfr_1")
    assert callback.failure_callback == "https://a.test/late"
    assert callback.failure_callback_headers == {"Upstash-Forward-X-B": "2"}
    assert spec.failure_callback == "https://a.test/failed"
    assert spec.failure_callback_headers == {"Upstash-Delay": "5s"}


def test_a_destination_without_a_scheme_is_a_url_group() -> None:
    spec = parse(to="all-shops")
    assert (spec.url, spec.url_group) == ("", "all-shops")


@pytest.mark.parametrize(
    ("text", "redact"),
    [
        ("body", {"body": True}),
        ("body, header", {"body": True, "header": True}),
        ("header[Authorization],headers[X-Key]", {"header": ["Authorization", "X-Key"]}),
        ("headers, header[a]", {"header": True}),
    ],
)
def test_what_is_not_to_be_shown(text: str, redact: Any) -> None:
    assert parse(upstash_redact_fields=text).redact == redact


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Upstash-Retries", "-1"),
        ("Upstash-Retries", "1.5"),
        ("Upstash-Retries", "\u0661"),
        ("Upstash-Delay", "soon"),
        ("Upstash-Timeout", "1 s"),
        ("Upstash-Not-Before", "tomorrow"),
        ("Upstash-Not-Before", "1735689660000"),
        ("Upstash-Method", "GO"),
        ("Upstash-Callback", "a.test"),
        ("Upstash-Failure-Callback", "ftp://a.test"),
        ("Upstash-Flow-Control-Key", "a key"),
        ("Upstash-Label", "eu,a b"),
        ("Upstash-Queue-Name", "a/b"),
        ("Upstash-Schedule-Id", "ü"),
        ("Upstash-Redact-Fields", "everything"),
        ("Upstash-Forward-X", "a\r\nHost: b"),
        ("Upstash-Forward-X Y", "1"),
        ("Upstash-Forward-Upstash-Workflow-Invoke-Count", "many"),
    ],
)
def test_a_value_that_cannot_be_used_names_its_header(name: str, value: str) -> None:
    if name.startswith("Upstash-Forward-Upstash-Workflow"):
        headers = [(name, value), ("Upstash-Workflow-Runid", "wfr_1")]
        name = name.removeprefix("Upstash-Forward-")
    else:
        headers = [(name, value)]
    with pytest.raises(ConfigurationError) as told:
        parse_message(URL, headers)
    assert told.value.code == "WA121"
    assert name.lower() in told.value.where.lower()


def test_a_value_of_a_callback_is_refused_with_its_message() -> None:
    with pytest.raises(ConfigurationError) as told:
        parse(Upstash_Callback="https://a.test", Upstash_Callback_Retries="x")
    assert told.value.where == "the headers Upstash-Callback-..."
    assert "Upstash-Callback-Retries" in told.value.what


@pytest.mark.parametrize(
    "destination",
    [
        "",
        "ftp://a.test",
        "https://",
        "https://u:p@a.test",
        "https://a.test/a b",
        "https://a.test/\ud800",
        "http://a\0b",
        "a/b",
    ],
)
def test_a_destination_that_cannot_be_called_is_refused(destination: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        parse(to=destination)
    assert told.value.where == "the destination"


# What our own client writes.

RUN = requests.RunAddress("wfr_order-42", URL, 2)


def item_of(request: Any) -> MessageSpec:
    [item] = decode(request.body)
    return parse_message(item["destination"], item["headers"].items())


def test_a_trigger_of_our_client_is_read() -> None:
    options = RunOptions(
        retries=5,
        retry_delay="1000",
        flow_control=FlowControl("orders", parallelism=2),
        labels=("eu", "vip"),
        redact={"body": True, "header": ["X-Key"]},
        headers={"x-tenant": "acme", "content-type": "text/plain"},
    )
    request = requests.trigger(RUN, b"42", options, failure_url=URL, not_before=1_735_689_660_000)
    spec = item_of(request)
    assert spec.workflow == WorkflowPart(
        run_id="wfr_order-42",
        init=True,
        url=URL,
        features=frozenset({"LazyFetch", "InitialBody", DETECT_TRIGGER, TRIGGER_ON_CONFIG}),
        sdk_version="1",
        invoke_count=2,
    )
    assert (spec.retries, spec.retry_delay, spec.not_before) == (5, "1000", 1_735_689_660_000)
    assert (spec.flow_key, spec.flow_value) == ("orders", "parallelism=2")
    assert (spec.labels, spec.redact) == (("eu", "vip"), {"body": True, "header": ["X-Key"]})
    assert spec.headers == {
        "Content-Type": "text/plain",
        "X-Tenant": "acme",
        "Upstash-Label": "eu,vip",
        "Upstash-Workflow-Sdk-Version": "1",
        "Upstash-Workflow-Invoke-Count": "2",
    }
    failure = parse_message(URL, spec.failure_callback_headers.items())
    assert failure.headers == {
        "Upstash-Workflow-Is-Failure": "true",
        "Upstash-Workflow-Failure-Callback": "true",
        "Upstash-Workflow-Invoke-Count": "2",
        "X-Tenant": "acme",
    }
    assert failure.workflow is not None
    assert (failure.workflow.call_type, failure.workflow.init) == ("failureCall", False)
    assert (failure.retries, failure.flow_key) == (5, "orders")


def test_a_call_of_our_client_is_read() -> None:
    step = WireStep(2, "charge", "Call", 1)
    call = Call("https://pay.test/charge", "POST", {}, b"{}", RetryPolicy(0), 30_000, None)
    spec = item_of(requests.call(RUN, step, call, {"authorization": "Bearer pay"}))
    assert spec.workflow is not None
    assert spec.workflow.call_type == "toCallback"
    assert spec.workflow.features == {NO_DELETE, "InitialBody"}
    assert (spec.retries, spec.timeout_ms) == (0, 30_000)
    assert spec.headers["Authorization"] == "Bearer pay"
    assert "Upstash-Workflow-Sdk-Version" not in spec.headers
    callback = parse_message(spec.callback or "", spec.callback_headers.items())
    assert callback.workflow is not None
    assert callback.workflow.call_type == "fromCallback"
    assert callback.headers["Upstash-Workflow-Stepname"] == "charge"


def test_both_spellings_of_the_run_id_are_one() -> None:
    pairs = [("Upstash-Workflow-RunId", "wfr_1"), ("Upstash-Workflow-Runid", "wfr_1")]
    assert parse_message(URL, pairs).run_id == "wfr_1"


def test_an_unknown_sdk_is_marked_by_the_caller_or_by_what_it_forwards() -> None:
    for prefix in ("Upstash-", "Upstash-Forward-Upstash-"):
        part = parse_message(URL, [(f"{prefix}Workflow-Unknown-Sdk", "true")]).workflow
        assert part is not None
        assert part.unknown_sdk
        assert part.run_id is None


def test_a_plain_message_to_a_workflow_is_a_plain_message() -> None:
    spec = parse(upstash_forward_upstash_workflow_sdk_version="1", upstash_feature_set="LazyFetch")
    assert spec.workflow is None


def test_json_holds_what_is_not_default() -> None:
    assert parse().to_json() == {"url": URL}
    spec = parse(upstash_label="a", upstash_retries="0", upstash_workflow_runid="wfr_1")
    assert spec.to_json() == {
        "url": URL,
        "retries": 0,
        "labels": ["a"],
        "workflow": {"run_id": "wfr_1"},
    }


def test_the_content_is_the_destination_the_body_and_what_is_delivered() -> None:
    one = content_key(parse(upstash_forward_x_a="1"), b"body")
    assert content_key(parse(Upstash_Forward_X_A="1", upstash_retries="9"), b"body") == one
    others = {
        content_key(parse(upstash_forward_x_a="1"), b"bodies"),
        content_key(parse(upstash_forward_x_a="2"), b"body"),
        content_key(parse(upstash_forward_x_a="1", content_type="a/b"), b"body"),
        content_key(parse(to=f"{URL}/2", upstash_forward_x_a="1"), b"body"),
    }
    assert len(others | {one}) == 5
