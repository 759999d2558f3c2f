"""What the headers of a request say of a run of a workflow; SDKs write most of them."""

import base64
import json

from tests.rest.trials import SDK, Table, Trial

OF_RUNS = Table()
AGAIN = Table()
header = OF_RUNS.header
again = AGAIN.header


@header("Upstash-Workflow-RunId", "wfr_order-42")
def run_id(trial: Trial) -> None:
    """The run that a message begins, or belongs to; `Runid` is the same."""
    trial.begin(trial.sent)
    assert trial.came()[0].headers["upstash-workflow-runid"] == trial.value
    trial.submit("", {"Upstash-Workflow-Runid": trial.value})
    assert len(json.loads(trial.came(2)[1].text)) == 2


@header("Upstash-Workflow-Init", "true")
def init(trial: Trial) -> None:
    """The message begins the run, with its body as the payload; `false`: it is a step."""
    trial.begin(trial.sent, body=b'{"order":42}')
    [element] = trial.came()[0].json
    assert base64.b64decode(element["body"]) == b'{"order":42}'
    assert element["callType"] == "step"


@header("Upstash-Workflow-Url", "https://shop.test/order")
def workflow_url(trial: Trial) -> None:
    """The address of the workflow, by which its runs are found."""
    run = trial.place.run(trial.begin(trial.sent), "RUN_STARTED")
    assert run["workflowUrl"] == trial.value


@header("Upstash-Workflow-Sdk-Version", "1")
def sdk_version(trial: Trial) -> None:
    """The version of the protocol; with `Upstash-Forward-` before it, it marks a visit."""
    trial.begin(trial.sent)
    assert trial.came()[0].headers["upstash-workflow-sdk-version"] == "1"


@header("Upstash-Workflow-CallType", "toCallback")
def call_type(trial: Trial) -> None:
    """The message is the request of a `call` step: sent as it is, its answer to the workflow."""
    run = trial.begin({"Upstash-Forward-X-Tenant": "acme"})
    trial.came()
    given = trial.place.new_name("third-party")
    told = {
        "Upstash-Workflow-RunId": run,
        "Upstash-Workflow-Init": "false",
        "Upstash-Feature-Set": "WF_NoDelete,InitialBody",
        "Upstash-Callback": trial.url(answered=SDK),
        "Upstash-Callback-Workflow-RunId": run,
        "Upstash-Callback-Workflow-CallType": "fromCallback",
        "Upstash-Callback-Feature-Set": "InitialBody,WF_TriggerOnConfig",
        "Upstash-Callback-Forward-Upstash-Workflow-Callback": "true",
        "Upstash-Callback-Forward-Upstash-Workflow-StepId": "1",
    }
    trial.publish(told, b"paid?", f"{trial.place.outside.url}/sink/{given}")
    [request] = trial.place.received(given)
    assert request.text == "paid?"
    assert not {"upstash-workflow-runid", "x-tenant"} & {*request.headers}
    answer = trial.came(2)[1]
    assert base64.b64decode(answer.json["body"]) == b'{"kept": true}'
    assert answer.headers["upstash-workflow-callback"] == "true"
    assert answer.headers["upstash-workflow-stepid"] == "1"
    assert answer.headers["x-tenant"] == "acme"
    assert "upstash-workflow-sdk-version" not in answer.headers


@header("Upstash-Workflow-Invoke", "true")
def invoke(trial: Trial) -> None:
    """The message begins a run whose end is a step of the one that its body names."""
    parent = trial.begin()
    trial.came()
    step = {"stepId": 1, "stepName": "ship", "stepType": "Invoke", "concurrent": 1}
    told = {"Upstash-Workflow-RunId": f"{parent}-child", "Upstash-Workflow-Init": "true"}
    url = trial.url(answered=SDK)
    body = {"body": "42", "headers": {}, "workflowRunId": parent, "workflowUrl": url, "step": step}
    trial.publish(told, body, url)
    [element] = trial.came(2)[1].json
    assert base64.b64decode(element["body"]) == b"42"
    trial.place.done("DELETE", f"/v2/workflows/runs/{parent}-child?cancel=false", b'"shipped"')
    done = json.loads(base64.b64decode(trial.came(3)[2].json[1]["body"]))
    assert json.loads(done["out"])["body"] == '"shipped"'


@header("Upstash-Forward-Upstash-Workflow-Invoke-Count", "3")
def invoke_count(trial: Trial) -> None:
    """How many runs above this one invoked each other; 100 at most."""
    trial.begin(trial.sent)
    assert trial.came()[0].headers["upstash-workflow-invoke-count"] == "3"


@header("Upstash-Workflow-Unknown-Sdk", "true")
def unknown_sdk(trial: Trial) -> None:
    """Of a trigger: the first visit asks the endpoint's SDK to trigger the run again."""
    trial.place.done("POST", f"/v2/trigger/{trial.url(answered=SDK)}", b"{}", trial.sent)
    assert trial.came()[0].headers["upstash-workflow-unknown-sdk"] == "true"


@header("upstash-workflow-trigger-by-sdk", "true")
def trigger_by_sdk(trial: Trial) -> None:
    """This is that second trigger, and no duplicate."""
    url = trial.url(answered=SDK)
    told = {"Upstash-Workflow-Unknown-Sdk": "true", "Upstash-Workflow-RunId": trial.word}
    run = trial.place.done("POST", f"/v2/trigger/{url}", b"{}", told)["workflowRunId"]
    trial.came()
    trial.begin({**trial.sent, "Upstash-Workflow-RunId": run})
    assert "upstash-workflow-unknown-sdk" not in trial.came(2)[1].headers


@header("Upstash-Feature-Set", "WF_DetectTrigger")
def detect_trigger(trial: Trial) -> None:
    """A 2xx answer without `Upstash-Workflow-Sdk-Version` fails the run at once."""
    run = trial.place.run(trial.begin(trial.sent, url=trial.url(200)), "RUN_FAILED")
    [error] = run["steps"][-1]["steps"][0]["errors"]
    assert error["error"].startswith("detected a non-workflow destination")


@header("Upstash-Feature-Set", "InitialBody")
def initial_body(trial: Trial) -> None:
    """Callbacks bring the payload of the run as `sourceBody`."""
    told = {"Upstash-Failure-Callback": f"{trial.place.outside.url}/sink/{trial.word}-told"}
    trial.begin({**trial.sent, **told}, url=trial.url(500), body=b'{"order":42}')
    assert base64.b64decode(trial.told().json["sourceBody"]) == b'{"order":42}'


@header("Upstash-Feature-Set", "WF_TriggerOnConfig")
def trigger_on_config(trial: Trial) -> None:
    """What the first message says holds for all visits; without it, each says all itself."""
    run = trial.begin({**trial.sent, "Upstash-Forward-X-Tenant": "acme"})
    trial.submit(run, trial.sent)
    trial.came(2)
    trial.submit(run, {"Upstash-Feature-Set": ""}, step=2)
    assert [one.headers.get("x-tenant") for one in trial.came(3)] == ["acme", "acme", None]


@header("Upstash-Feature-Set", "LazyFetch")
def lazy_fetch(trial: Trial) -> None:
    """Taken; visits bring their steps all the same."""
    trial.begin(trial.sent)
    assert trial.came()[0].json


@header("Upstash-Feature-Set", "WF_NoDelete")
def no_delete(trial: Trial) -> None:
    """Of a `call`: what becomes of its request does not end the run."""
    run = trial.begin()
    told = {
        "Upstash-Workflow-RunId": run,
        "Upstash-Workflow-Init": "false",
        "Upstash-Workflow-CallType": "toCallback",
        "Upstash-Retries": "0",
        "Upstash-Callback": trial.url(answered=SDK),
        "Upstash-Callback-Workflow-RunId": run,
        "Upstash-Callback-Workflow-CallType": "fromCallback",
        "Upstash-Callback-Forward-Upstash-Workflow-StepId": "1",
    }
    trial.publish(told, url=f"{trial.place.outside.url}/status/500")
    assert trial.came(2)[1].json["status"] == 500
    assert trial.place.run(run, "RUN_STARTED")


# Of a run that is resumed or restarted.


def restarted(trial: Trial) -> dict[str, object]:
    """The dead letter of a run that failed, was restarted with the header, and failed again."""
    first = trial.place.run(trial.begin(url=trial.url(500)), "RUN_FAILED")["dlqId"]
    path = f"/v2/workflows/dlq/restart/{first}"
    run = trial.place.done("POST", path, b"", trial.sent)["workflowRunId"]
    path = f"/v2/workflows/dlq?workflowRunId={run}"
    return trial.place.until(lambda: trial.place.done("GET", path)["messages"], len)[0]


@again("Upstash-Retries", "1")
def again_retries(trial: Trial) -> None:
    """The retries of its visits."""
    first = trial.place.run(trial.begin(url=trial.url(500)), "RUN_FAILED")["dlqId"]
    trial.place.done("POST", f"/v2/workflows/dlq/resume/{first}", b"", trial.sent)
    trial.came(2)
    trial.place.jump(60)
    assert trial.came(3)[2].headers["upstash-retried"] == "1"


@again("Upstash-Delay", "1h")
def again_delay(trial: Trial) -> None:
    """How long before its first visit."""
    first = trial.place.run(trial.begin(url=trial.url(500)), "RUN_FAILED")["dlqId"]
    trial.place.done("POST", f"/v2/workflows/dlq/restart/{first}", b"", trial.sent)
    assert len(trial.came()) == 1
    trial.place.jump(3_601)
    trial.came(2)


@again("Upstash-Retry-Delay", "5m")
def again_retry_delay(trial: Trial) -> None:
    """The delay of its retries, as an expression or a duration."""
    assert restarted(trial)["retryDelayExpression"] == "5m"


@again("Upstash-Flow-Control-Key", "shop")
def again_flow_control_key(trial: Trial) -> None:
    """Whose limits hold for its visits."""
    assert restarted(trial)["flowControlKey"] == "shop"


@again("Upstash-Flow-Control-Value", "parallelism=7")
def again_flow_control_value(trial: Trial) -> None:
    """The limits of its key."""
    told = {"Upstash-Flow-Control-Key": trial.word}
    first = trial.place.run(trial.begin(told, url=trial.url(500)), "RUN_FAILED")["dlqId"]
    trial.place.done("POST", f"/v2/workflows/dlq/restart/{first}", b"", trial.sent)
    assert trial.place.done("GET", f"/v2/flowControl/{trial.word}")["parallelismMax"] == 7


@again("Upstash-Label", "again")
def again_label(trial: Trial) -> None:
    """Its labels."""
    assert restarted(trial)["labels"] == ["again"]


@again("Upstash-Failure-Callback", "{url}")
def again_failure_callback(trial: Trial) -> None:
    """Who is told if it fails too."""
    assert restarted(trial)["failureCallback"] == trial.value
    assert trial.told().json["status"] == 500
