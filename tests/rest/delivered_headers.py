"""What the server itself says in the headers of a delivery, and reads in those of the answer."""

import base64
import hashlib
import hmac
import json

from tests.rest.trials import SDK, Table, Trial
from workflow_agents.server.settings import DEV_KEYS

OF_DELIVERIES = Table()
OF_VISITS = Table()
OF_ANSWERS = Table()
header = OF_DELIVERIES.header
visit = OF_VISITS.header
answer = OF_ANSWERS.header


def found(trial: Trial, headers: dict[str, str] | None = None) -> str:
    """The header of a delivery."""
    trial.place.done("POST", f"/v2/publish/{trial.url()}", b"x", headers)
    return trial.came()[0].headers[trial.name.lower()]


@header("User-Agent", "Upstash-QStash")
def user_agent(trial: Trial) -> None:
    """Who delivers."""
    assert found(trial) == trial.value


@header("Upstash-Message-Id", "msg_0000000001")
def message_id(trial: Trial) -> None:
    """The message; of a visit, the last element of its list."""
    told = found(trial)
    assert trial.place.done("GET", f"/v2/logs?messageId={told}")["logs"]


@header("Upstash-Retried", "0")
def retried(trial: Trial) -> None:
    """How many attempts were made before this one."""
    assert found(trial) == trial.value


@header("Upstash-Signature", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9...")
def signature(trial: Trial) -> None:
    """A JWT that the current signing key proves: of the address, the body and the time."""
    signed, _, mark = found(trial).rpartition(".")
    proof = hmac.digest(DEV_KEYS.current.encode(), signed.encode(), hashlib.sha256)
    assert base64.urlsafe_b64decode(mark + "=") == proof
    told = json.loads(base64.urlsafe_b64decode(signed.partition(".")[2] + "=="))
    assert {*told} == {"iss", "sub", "exp", "nbf", "iat", "jti", "body"}
    assert (told["iss"], told["sub"]) == ("Upstash", trial.url())
    assert base64.urlsafe_b64decode(told["body"] + "=") == hashlib.sha256(b"x").digest()
    assert (told["nbf"], told["exp"] - told["iat"]) == (0, 300)


@header("Upstash-Caller-Ip", "127.0.0.1")
def caller_ip(trial: Trial) -> None:
    """Where the message was published from."""
    assert found(trial) == trial.value


@header("Upstash-Topic-Name", "followers")
def topic_name(trial: Trial) -> None:
    """The URL group that the message was published to."""
    ends = {"endpoints": [{"url": trial.url()}]}
    trial.place.done("POST", "/v2/topics/followers/endpoints", ends)
    trial.place.done("POST", "/v2/publish/followers", b"x")
    assert trial.came()[0].headers["upstash-topic-name"] == trial.value
    trial.place.done("DELETE", "/v2/topics/followers")


@header("Upstash-Schedule-Id", "hourly")
def schedule_id(trial: Trial) -> None:
    """The schedule that made the message."""
    told = {"Upstash-Cron": "0 * * * *", "Upstash-Schedule-Id": "hourly"}
    trial.place.done("POST", f"/v2/schedules/{trial.url()}", b"x", told)
    trial.place.jump(3_600)
    assert trial.came()[0].headers["upstash-schedule-id"] == trial.value
    trial.place.done("DELETE", "/v2/schedules/hourly")


# Of the visits of a run.


@visit("Content-Type", "application/json")
def content_type(trial: Trial) -> None:
    """A visit brings the steps of the run, whatever the type of its payload."""
    trial.begin({"Content-Type": "text/plain"}, body=b"text")
    assert trial.came()[0].headers["content-type"] == trial.value


@visit("Upstash-Workflow-RunId", "wfr_order-43")
def run_id(trial: Trial) -> None:
    """The run."""
    trial.begin({"Upstash-Workflow-RunId": trial.value})
    assert trial.came()[0].headers["upstash-workflow-runid"] == trial.value


@visit("Upstash-Workflow-CreatedAt", "1735689600000")
def created_at(trial: Trial) -> None:
    """When it was begun, in Unix milliseconds."""
    run = trial.place.run(trial.begin(), "RUN_STARTED")
    told = trial.came()[0].headers["upstash-workflow-createdat"]
    assert told == str(run["workflowRunCreatedAt"])
    assert len(told) == len(trial.value)


@visit("Upstash-Workflow-Sdk-Version", "1")
def sdk_version(trial: Trial) -> None:
    """The version of the protocol; neither with the answer to a call nor of a failure."""
    told = {"Upstash-Failure-Callback": f"{trial.place.outside.url}/sink/{trial.word}-told"}
    trial.begin(told, url=trial.url(500))
    assert trial.came()[0].headers["upstash-workflow-sdk-version"] == trial.value
    assert "upstash-workflow-sdk-version" not in trial.told().headers


@visit("Upstash-Label", "eu")
def label(trial: Trial) -> None:
    """The labels of a run that was triggered without an SDK; an SDK forwards them itself."""
    trial.place.done("POST", f"/v2/trigger/{trial.url(answered=SDK)}", b"{}", {trial.name: "eu"})
    assert trial.came()[0].headers["upstash-label"] == trial.value


@visit("Upstash-Workflow-Is-Failure", "true")
def is_failure(trial: Trial) -> None:
    """The visit tells of the failure of the run; so does `Upstash-Workflow-Failure-Callback`."""
    trial.place.done("POST", f"/v2/trigger/{trial.url(500)}", b"{}", {"Upstash-Retries": "0"})
    told = trial.came(2)[1].headers
    marks = ("upstash-workflow-is-failure", "upstash-workflow-failure-callback")
    assert [told[mark] for mark in marks] == ["true", "true"]


# Of the answer.


def failed(trial: Trial, status: int) -> dict[str, int]:
    """The log of the attempt that is answered with the header, and followed by another."""
    url = trial.url(status, trial.sent)
    trial.place.done("POST", f"/v2/publish/{url}", b"x")
    path = f"/v2/logs?path=/answer/{trial.word}/{status}&state=RETRY"
    return trial.place.until(lambda: trial.place.done("GET", path)["logs"], len)[0]


def waited(trial: Trial, status: int = 429) -> float:
    """Seconds until the attempt that follows."""
    log = failed(trial, status)
    return (log["nextDeliveryTime"] - log["time"]) / 1000


@answer("Retry-After", "90")
def retry_after(trial: Trial) -> None:
    """When to try again: seconds, a date or a duration, up to a day."""
    assert waited(trial, 503) == 90


@answer("X-RateLimit-Reset", "2m")
def rate_limit_reset(trial: Trial) -> None:
    """The same."""
    assert waited(trial) == 120


@answer("X-RateLimit-Reset-Requests", "6m5s")
def rate_limit_reset_requests(trial: Trial) -> None:
    """The same, as providers of models say it."""
    assert waited(trial) == 365


@answer("X-RateLimit-Reset-Tokens", "1500ms")
def rate_limit_reset_tokens(trial: Trial) -> None:
    """The same, of their tokens."""
    assert waited(trial) == 1.5


@answer("Upstash-NonRetryable-Error", "true")
def non_retryable(trial: Trial) -> None:
    """With status 489: no attempt follows."""
    url = trial.url(489, trial.sent)
    trial.place.done("POST", f"/v2/publish/{url}", b"x")
    path = f"/v2/dlq?path=/answer/{trial.word}/489"
    trial.place.until(lambda: trial.place.done("GET", path)["messages"], len)
    assert len(trial.came()) == 1


@answer("Upstash-Workflow-Sdk-Version", "1")
def serves_workflows(trial: Trial) -> None:
    """The address serves workflows; without it, a 2xx answer fails a run that asks for it."""
    asks = {"Upstash-Feature-Set": "WF_DetectTrigger"}
    assert trial.place.run(trial.begin(asks), "RUN_STARTED")
    trial.came()
    other = {**asks, "Upstash-Workflow-RunId": f"wfr_{trial.word}-2"}
    assert trial.place.run(trial.begin(other, url=trial.url()), "RUN_FAILED")


@answer("Upstash-workflow-sdk", "v1.3.2")
def sdk(trial: Trial) -> None:
    """The version of the SDK, which `/v2/trigger` needs to be 1.0 or later."""
    old = trial.url(answered={**SDK, "upstash-workflow-sdk": "v0.9"})
    run = trial.place.done("POST", f"/v2/trigger/{old}", b"{}")["workflowRunId"]
    [error] = trial.place.run(run, "RUN_FAILED")["steps"][-1]["steps"][0]["errors"]
    assert error["error"].startswith("trigger rest api is only usable with sdk versions")


@answer("Upstash-Error-Step-Name", "charge")
def error_step_name(trial: Trial) -> None:
    """The step that failed, as logs show it."""
    run = trial.place.run(trial.begin(url=trial.url(500, trial.sent)), "RUN_FAILED")
    assert run["steps"][-1]["steps"][0]["stepName"] == trial.value


@answer("Upstash-Workflow-Failure-Callback-Notfound", "true")
def no_failure_function(trial: Trial) -> None:
    """There is no failure function; logs show none."""
    told = {"Upstash-Failure-Callback": trial.url(200, trial.sent)}
    run = trial.begin(told, url=trial.url(500))
    trial.came(2)
    letter = trial.place.run(run, "RUN_FAILED")["dlqId"]
    path = f"/v2/workflows/dlq/{letter}"
    trial.place.until(
        lambda: trial.place.done("GET", path),
        lambda one: one.get("failureFunctionState") != "CALLBACK_INPROGRESS",
    )
    assert "failureFunctionState" not in trial.place.done("GET", path)
