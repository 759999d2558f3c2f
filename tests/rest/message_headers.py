"""What the headers of a request say of the message, or the schedule, that it asks for."""

from tests.rest.trials import Table, Trial

OF_MESSAGES = Table()
header = OF_MESSAGES.header


@header("Authorization", "Bearer {token}")
def authorization(trial: Trial) -> None:
    """Who asks; or `?qstash_token=` with the same token."""
    assert trial.place.ask("GET", "/v2/keys", headers=trial.sent, token=None).status == 200
    token = trial.value.removeprefix("Bearer ")
    assert trial.place.ask("GET", f"/v2/keys?qstash_token={token}", token=None).status == 200


@header("Content-Type", "text/csv")
def content_type(trial: Trial) -> None:
    """The type of the body, which is delivered as it is."""
    assert trial.delivered().headers["content-type"] == trial.value


@header("Upstash-Method", "PUT")
def method(trial: Trial) -> None:
    """The method of the delivery; POST where none is given."""
    assert trial.delivered().method == "PUT"


@header("Upstash-Delay", "1h")
def delay(trial: Trial) -> None:
    """How long before the first attempt; a bare number counts seconds."""
    message = trial.waiting()
    assert message["notBefore"] - message["createdAt"] == 3_600_000
    assert trial.waiting({"Upstash-Delay": "60"})["notBefore"] < message["notBefore"]
    assert not trial.place.outside.received(trial.word)
    trial.place.jump(3_601)
    trial.came(2)


@header("Upstash-Not-Before", "4102444800")
def not_before(trial: Trial) -> None:
    """Unix seconds before which no attempt is made; counts before `Upstash-Delay`."""
    assert trial.waiting({"Upstash-Delay": "1s"})["notBefore"] == 4_102_444_800_000


@header("Upstash-Retries", "1")
def retries(trial: Trial) -> None:
    """How many attempts follow one that fails; 3 where it is not given, 1000 at most."""
    trial.publish(url=trial.url(500))
    trial.log("RETRY")
    trial.place.jump(60)
    assert [request.headers["upstash-retried"] for request in trial.came(2)] == ["0", "1"]
    assert trial.log("FAILED")["maxRetries"] == 1


@header("Upstash-Retry-Delay", "60000 * (1 + retried)")
def retry_delay(trial: Trial) -> None:
    """Milliseconds before each retry, as an expression of `retried`; or a duration, as `5m`."""
    trial.publish(url=trial.url(500))
    failed = trial.log("RETRY")
    assert failed["nextDeliveryTime"] - failed["time"] == 60_000


@header("Upstash-Timeout", "1s")
def timeout(trial: Trial) -> None:
    """How long each attempt may take."""
    slow = f"{trial.place.outside.url}/slow/3?{trial.word}"
    trial.publish({"Upstash-Retries": "0"}, url=slow)
    path = f"/v2/dlq?url={slow}"
    [letter] = trial.place.until(lambda: trial.place.done("GET", path)["messages"], len)
    assert (letter["responseStatus"], letter["responseBody"]) == (504, "no answer within 1 s")


@header("Upstash-Callback", "{url}")
def callback(trial: Trial) -> None:
    """Where the answer goes to."""
    message_id = trial.publish().json["messageId"]
    told = trial.told().json
    assert (told["status"], told["sourceMessageId"]) == (200, message_id)


@header("Upstash-Callback-Method", "PUT")
def callback_method(trial: Trial) -> None:
    """So each header configures the callback's message."""
    trial.publish({"Upstash-Callback": f"{trial.place.outside.url}/sink/{trial.word}-told"})
    assert trial.told().method == "PUT"


@header("Upstash-Callback-Forward-X-Tenant", "acme")
def callback_forward(trial: Trial) -> None:
    """So each header is delivered with the callback."""
    trial.publish({"Upstash-Callback": f"{trial.place.outside.url}/sink/{trial.word}-told"})
    assert trial.told().headers["x-tenant"] == "acme"


@header("Upstash-Failure-Callback", "{url}")
def failure_callback(trial: Trial) -> None:
    """Who is told when all attempts have failed."""
    trial.publish({"Upstash-Retries": "0"}, url=trial.url(503))
    told = trial.told().json
    assert (told["status"], told["retried"]) == (503, 0)
    assert trial.place.done("GET", f"/v2/dlq/{told['dlqId']}")


@header("Upstash-Failure-Callback-Method", "PUT")
def failure_callback_method(trial: Trial) -> None:
    """So each header configures the failure callback's message."""
    told = {"Upstash-Failure-Callback": f"{trial.place.outside.url}/sink/{trial.word}-told"}
    trial.publish({"Upstash-Retries": "0", **told}, url=trial.url(503))
    assert trial.told().method == "PUT"


@header("Upstash-Failure-Callback-Forward-X-Tenant", "acme")
def failure_callback_forward(trial: Trial) -> None:
    """So each header is delivered with the failure callback."""
    told = {"Upstash-Failure-Callback": f"{trial.place.outside.url}/sink/{trial.word}-told"}
    trial.publish({"Upstash-Retries": "0", **told}, url=trial.url(503))
    assert trial.told().headers["x-tenant"] == "acme"


@header("Upstash-Forward-X-Tenant", "acme")
def forward(trial: Trial) -> None:
    """So each header is delivered; what the server sets itself is not."""
    told = trial.delivered({"Upstash-Forward-User-Agent": "mine", "X-Other": "stays"}).headers
    assert (told["x-tenant"], told["user-agent"]) == ("acme", "Upstash-QStash")
    assert "x-other" not in told


@header("Upstash-Header-Forward", "true")
def header_forward(trial: Trial) -> None:
    """All headers of the request are delivered, but for those that give access to the server."""
    told = trial.delivered({"X-Tenant": "acme"}).headers
    assert told["x-tenant"] == "acme"
    assert "authorization" not in told


@header("Upstash-Deduplication-Id", "order-42")
def deduplication_id(trial: Trial) -> None:
    """Messages with the same one are accepted once in ten minutes; then the answer is 202."""
    first, second = trial.publish(body=b"a"), trial.publish(body=b"b")
    assert (first.status, second.status) == (200, 202)
    assert second.json == {**first.json, "deduplicated": True}
    trial.place.jump(601)
    assert trial.publish().status == 200


@header("Upstash-Content-Based-Deduplication", "true")
def content_based_deduplication(trial: Trial) -> None:
    """Messages with the same address, body and delivered headers are accepted once."""
    answers = [trial.publish(body=body).status for body in (b"a", b"a", b"b")]
    assert answers == [200, 202, 200]


@header("Upstash-Flow-Control-Key", "emails")
def flow_control_key(trial: Trial) -> None:
    """Whose limits hold for the message."""
    assert trial.waiting()["flowControlKey"] == "emails"


@header("Upstash-Flow-Control-Value", "parallelism=2, rate=10, period=1m")
def flow_control_value(trial: Trial) -> None:
    """The limits of the key from now on; the period is 1 s where none is given, a week at most."""
    trial.publish({"Upstash-Flow-Control-Key": trial.word})
    key = trial.place.done("GET", f"/v2/flowControl/{trial.word}")
    assert (key["parallelismMax"], key["rateMax"], key["ratePeriod"]) == (2, 10, 60)


@header("Upstash-Label", "eu,vip")
def label(trial: Trial) -> None:
    """Labels, by which lists and logs find the message."""
    message = trial.waiting()
    assert (message["label"], message["labels"]) == ("eu", ["eu", "vip"])


@header("Upstash-Redact-Fields", "body, header[X-Key]")
def redact_fields(trial: Trial) -> None:
    """What lists and logs do not show; it is delivered in clear."""
    message = trial.waiting({"Upstash-Forward-X-Key": "mine", "Upstash-Forward-X-Other": "seen"})
    assert message["body"].startswith("REDACTED:")
    assert message["header"]["X-Key"][0].startswith("REDACTED:")
    assert message["header"]["X-Other"] == ["seen"]
    trial.place.jump(3_601)
    [request] = trial.came()
    assert (request.text, request.headers["x-key"]) == ("x", "mine")


def scheduled(trial: Trial, **more: str) -> str:
    """A schedule with the header; its id."""
    told = {"Upstash-Cron": "* * * * *", **{n.replace("_", "-"): v for n, v in more.items()}}
    asked = f"/v2/schedules/{trial.url()}"
    return trial.place.done("POST", asked, b"x", {**told, **trial.sent})["scheduleId"]


@header("Upstash-Cron", "30 9 * * *")
def cron(trial: Trial) -> None:
    """When a schedule makes messages: in UTC, or in the zone of a `CRON_TZ=Europe/Berlin` first."""
    path = f"/v2/schedules/{scheduled(trial)}"
    assert trial.place.done("GET", path)["cron"] == trial.value
    trial.place.jump(86_400)
    trial.came()
    trial.place.done("DELETE", path)


@header("Upstash-Schedule-Id", "nightly")
def schedule_id(trial: Trial) -> None:
    """The id of the schedule, which takes the place of the one that had it."""
    assert scheduled(trial, Upstash_Cron="1 1 * * *") == "nightly"
    assert scheduled(trial, Upstash_Cron="2 2 * * *") == "nightly"
    assert trial.place.done("GET", "/v2/schedules/nightly")["cron"] == "2 2 * * *"
    trial.place.done("DELETE", "/v2/schedules/nightly")


@header("Upstash-Queue-Name", "reports")
def queue_name(trial: Trial) -> None:
    """The queue of a schedule's messages."""
    trial.place.done("POST", "/v2/queues", {"queueName": "reports", "paused": True})
    path = f"/v2/schedules/{scheduled(trial)}"
    assert trial.place.done("GET", path)["queueName"] == "reports"
    trial.place.jump(61)
    queue = "/v2/queues/reports"
    trial.place.until(lambda: trial.place.done("GET", queue)["lag"], lambda lag: lag == 1)
    for left in (path, queue):
        trial.place.done("DELETE", left)


@header("Upstash-Telemetry-Sdk", "upstash-qstash-js@2")
def telemetry(trial: Trial) -> None:
    """`-Sdk`, `-Framework`, `-Runtime`, `-Platform` are taken, and neither kept nor delivered."""
    assert not [name for name in trial.delivered().headers if "telemetry" in name]
