"""Steps that an endpoint makes itself, calls, and groups of steps side by side."""

import time

from tests.official.outside import BYTES
from tests.official.scenarios import scenario
from tests.official.site import Stage, steps_of
from workflow_agents.testing import ScriptedModel

VALUES = [
    None, True, False, 0, -1, 1.5, 1e21, 9007199254740991,
    "", "text", "Grüße, 世界 🎉", "\"\\\n\u0000",
    [], {}, [1, [2, [3]]], {"a": {"b": [None, {"c": "d"}]}}, "undefined", "null", "[1]", "1",
]  # fmt: skip
ONE_WILL_DO = ("express",)  # frameworks, for what does not depend on them


@scenario("run")
async def run_gives_back_every_value(stage: Stage) -> None:
    run_id = await stage.trigger("run-values", {"values": VALUES})
    assert await stage.result(run_id) == VALUES
    assert await stage.visits(run_id) == len(VALUES) + 1


@scenario("run")
async def run_without_a_result(stage: Stage) -> None:
    run = await stage.ended(await stage.trigger("run-nothing"))
    assert "workflowRunResponse" not in run
    step = steps_of(run)["nothing"]
    assert (step["stepType"], step["callType"], step["state"]) == ("Run", "step", "STEP_SUCCESS")


@scenario("run")
async def run_many_steps(stage: Stage) -> None:
    run_id = await stage.trigger("many-steps", {"steps": 25})
    assert await stage.result(run_id) == 25 * 26 / 2


@scenario("run", frameworks=ONE_WILL_DO)
async def run_with_a_result_of_megabytes(stage: Stage) -> None:
    size = 1_500_000
    assert await stage.result(await stage.trigger("big-result", {"size": size})) == size


@scenario("sleep")
async def sleep_by_number_and_text(stage: Stage) -> None:
    run_id = await stage.trigger("sleeps", {"seconds": 1})
    assert await stage.result(run_id) >= 1900
    steps = steps_of(await stage.run(run_id))
    assert steps["by number"]["sleepFor"] == 1
    assert steps["by text"]["stepType"] == "SleepFor"


@scenario("sleepUntil")
async def sleep_until_in_every_form(stage: Stage) -> None:
    run_id = await stage.trigger("sleeps-until", {"ms": 2000})
    assert await stage.result(run_id) >= 1000
    assert steps_of(await stage.run(run_id))["by date"]["sleepUntil"] > time.time() - 60


@scenario("call")
async def call_in_every_form(stage: Stage) -> None:
    headers = {"x-own": "kept", "content-type": "application/json"}
    calls = [
        {"url": stage.outside("echo?a=1&b=%20")},
        {"url": stage.outside("echo"), "method": "POST", "headers": headers, "body": '{"a":"ä"}'},
        {"url": stage.outside("echo"), "method": "PUT", "body": "text", "timeout": 30},
        {"url": stage.outside("echo"), "method": "PATCH", "body": "[]", "timeout": "30s"},
        {"url": stage.outside("echo"), "method": "DELETE"},
        {"url": stage.outside("status/200?text=plain")},
        {"url": stage.outside("status/204")},
    ]
    run_id = await stage.trigger("calls", {"calls": calls}, headers={"x-tenant": "acme"})
    got, posted, put, patched, deleted, plain, empty = await stage.result(run_id)
    assert got["status"] == 200
    assert got["header"]["Content-Type"] == ["application/json"]
    assert (got["body"]["method"], got["body"]["target"]) == ("GET", "/echo?a=1&b=%20")
    sent = got["body"]["headers"]
    assert sent["user-agent"] == "Upstash-QStash"
    assert "upstash-signature" in sent
    assert not [name for name in sent if name.startswith("upstash-workflow")]
    assert "x-tenant" not in sent, "the run's headers are not for third parties"
    assert posted["body"]["text"] == '{"a":"ä"}'
    assert posted["body"]["headers"]["x-own"] == "kept"
    assert posted["body"]["headers"]["content-type"] == "application/json"
    assert (put["body"]["method"], put["body"]["text"]) == ("PUT", "text")
    assert (patched["body"]["method"], patched["body"]["text"]) == ("PATCH", "[]")
    assert deleted["body"]["method"] == "DELETE"
    assert plain["body"] == "plain"
    assert (empty["status"], empty["body"]) == (204, "")
    assert await stage.visits(run_id) == 2 * len(calls) + 2


@scenario("call")
async def call_as_the_logs_tell_it(stage: Stage) -> None:
    calls = [{"url": stage.outside("status/418?text=teapot"), "method": "POST", "body": "tea?"}]
    run_id = await stage.trigger("calls", {"calls": calls})
    [answer] = await stage.result(run_id)
    assert (answer["status"], answer["body"]) == (418, "teapot")
    step = steps_of(await stage.run(run_id))["call 0"]
    assert step["stepType"] == "Call"
    assert (step["callUrl"], step["callMethod"]) == (calls[0]["url"], "POST")
    assert step["callBody"] == "tea?"
    assert step["callResponseStatus"] == 418
    assert step["callResponseBody"] == "teapot"
    assert step["callResponseHeaders"]["Content-Type"] == ["text/plain"]


@scenario("call")
async def call_with_binary_answer(stage: Stage) -> None:
    answer = await stage.result(await stage.trigger("binary-call", {"url": stage.outside("bytes")}))
    assert answer == {"status": 200, "bytes": [*BYTES]}


@scenario("call: retries")
async def call_tried_again(stage: Stage) -> None:
    name = stage.unique
    calls = [
        {"url": stage.outside(f"flaky/{name}/2"), "retries": 2, "retryDelay": "10 * (retried + 1)"},
        {"url": stage.outside(f"flaky/{name}-no/1")},
        {"url": stage.outside(f"flaky/{name}-few/3"), "retries": 1, "retryDelay": "1"},
    ]
    run_id = await stage.trigger("calls", {"calls": calls})
    made, failed, few = await stage.result(run_id)
    assert (made["status"], made["body"]) == (200, "made it")
    assert (failed["status"], failed["body"]) == (500, "not yet")
    assert (few["status"], few["body"]) == (500, "not yet")
    counts = [len(stage.site.outside.received(f"{name}{end}")) for end in ("", "-no", "-few")]
    assert counts == [3, 1, 2]
    assert await stage.visits(run_id) == 2 * len(calls) + 2, "one callback for each call"


@scenario("call: timeout")
async def call_timed_out(stage: Stage) -> None:
    calls = [
        {"url": stage.outside("slow/3"), "timeout": 1},
        {"url": "http://127.0.0.1:9/nobody-listens"},
    ]
    late, refused = await stage.result(await stage.trigger("calls", {"calls": calls}))
    assert late["status"] >= 500
    assert refused["status"] >= 500


@scenario("call: flowControl")
async def call_with_flow_control(stage: Stage) -> None:
    key = f"calls-{stage.unique}"
    url, control = stage.outside("slow/0.3"), {"key": key, "parallelism": 1}
    calls = [{"url": url, "flowControl": control}]
    begun = time.monotonic()
    runs = [await stage.trigger("calls", {"calls": calls}) for _ in range(3)]
    for run_id in runs:
        [answer] = await stage.result(run_id)
        assert answer["body"] == "at last"
    assert time.monotonic() - begun >= 0.9, "one at a time"
    told = await stage.rest("GET", f"/v2/flowControl/{key}")
    assert (told["flowControlKey"], told["parallelismMax"]) == (key, 1)


@scenario("parallel", "run")
async def parallel_runs(stage: Stage) -> None:
    run_id = await stage.trigger("parallel-runs")
    assert await stage.result(run_id) == {"members": [2, 3, 4], "after": 9}
    assert len(await stage.noted(run_id, "member")) == 3
    assert len(await stage.noted(run_id, "after")) == 1
    # init, before; 3 plans and 3 results, of which the last makes "after"; the end.
    assert await stage.visits(run_id) == 9
    groups = (await stage.run(run_id))["steps"]
    assert [group["type"] for group in groups] == [
        "sequential", "sequential", "parallel", "sequential",
    ]  # fmt: skip
    assert [step["stepId"] for step in groups[2]["steps"]] == [2, 3, 4]
    assert {step["concurrent"] for step in groups[2]["steps"]} == {3}


@scenario(
    "parallel", "run", "sleep", "sleepUntil", "call", "waitForEvent", "notify", "createWebhook"
)
async def parallel_with_every_kind(stage: Stage) -> None:
    wanted, missing = f"wanted-{stage.unique}", f"missing-{stage.unique}"
    told = {"outside": stage.outside("echo"), "wanted": wanted, "missing": missing}
    run_id = await stage.trigger("parallel-kinds", {**told, "soon": int(time.time()) + 1})
    await stage.waiting(wanted)
    await stage.rest("POST", f"/v2/notify/{wanted}", json={"told": "so"})
    result = await stage.result(run_id)
    called = result.pop("call")
    assert called["body"]["text"] == '{"from":"group"}'
    assert result == {
        "run": {"made": True},
        "slept": True,
        "until": True,
        "told": {"eventData": {"told": "so"}, "timeout": False},
        "timedOut": {"timeout": True},
        "notified": 0,
        "webhook": True,
    }


@scenario("parallel")
async def parallel_branches_of_two_steps(stage: Stage) -> None:
    assert await stage.result(await stage.trigger("parallel-branches")) == "a1 a2, b1 b2"


@scenario("parallel", "WorkflowNonRetryableError")
async def parallel_with_a_failing_member(stage: Stage) -> None:
    run, said = await stage.failed(await stage.trigger("parallel-failing"))
    assert said == "the bad member"
    [group] = [group for group in run["steps"] if group["type"] == "parallel"]
    states = {step["stepName"]: step for step in group["steps"]}
    assert states["bad"]["state"] == "STEP_FAILED"
    assert states["bad"]["errors"][0]["status"] == 489


@scenario("POST /v2/trigger")
async def triggered_over_rest(stage: Stage) -> None:
    wanted = f"rest-{stage.unique}"
    headers = {
        "Upstash-Workflow-RunId": wanted,
        "Upstash-Forward-X-Tenant": "acme",
        "Upstash-Label": "by-rest",
        "Content-Type": "application/json",
    }
    told = await stage.rest(
        "POST", f"/v2/trigger/{stage.url('tells')}", headers=headers, json={"a": 1}
    )
    run_id = told["workflowRunId"]
    assert run_id == f"wfr_{wanted}"
    seen = (await stage.result(run_id))["second"]
    assert seen["payload"] == {"a": 1}
    assert (seen["tenant"], seen["label"]) == ("acme", "by-rest")
    assert seen["createdAt"] == told["workflowCreatedAt"]


@scenario("first invocation")
async def started_by_a_message(stage: Stage) -> None:
    run_id = await stage.publish_to("tells", {"a": "ä"}, upstash_forward_x_tenant="acme")
    seen = (await stage.result(run_id))["second"]
    assert (seen["payload"], seen["tenant"]) == ({"a": "ä"}, "acme")


@scenario("first invocation")
async def started_by_a_request_to_the_endpoint(stage: Stage) -> None:
    answer = await stage.http.post(
        stage.url("tells-unverified"), json={"a": 1}, headers={"x-tenant": "acme"}
    )
    told = answer.json()
    assert (answer.status_code, told["finishCondition"]) == (200, "success")
    seen = (await stage.result(told["workflowRunId"]))["second"]
    assert (seen["payload"], seen["tenant"]) == ({"a": 1}, "acme")


@scenario("run", "parallel", "context", frameworks=("others",))
async def other_adapters(stage: Stage) -> None:
    adapters = ("web", "pages", "cloudflare", "svelte", "astro", "solidjs", "tanstack")
    for adapter in (*adapters, "react-router"):
        told = await stage.trigger(f"{adapter}/tells", {"a": "ä"}, headers={"x-tenant": "acme"})
        grouped = await stage.trigger(f"{adapter}/parallel-runs")
        seen = (await stage.result(told))["second"]
        assert (seen["payload"], seen["tenant"]) == ({"a": "ä"}, "acme"), adapter
        assert seen["url"] == stage.url(f"{adapter}/tells")
        assert (await stage.result(grouped))["after"] == 9, adapter


@scenario("api.openai", frameworks=ONE_WILL_DO)
async def context_api_asks_a_model(stage: Stage) -> None:
    with ScriptedModel(api_key="right") as model:
        model.say("Oslo is cold.")
        told = {"baseURL": model.base_url.removesuffix("/v1"), "token": "right", "prompt": "Oslo?"}
        answer = await stage.result(await stage.trigger("calls-openai", told))
        assert answer == {"status": 200, "text": "Oslo is cold."}
        assert model.requests[0].prompt == "Oslo?"
