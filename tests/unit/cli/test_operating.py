"""The commands that operate a server, against one on loopback: what they do, print and answer."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.journeys.client_worlds import ClientWorld, client_world
from tests.unit.cli.conftest import clean_environment


@pytest.fixture
async def world(tmp_path, monkeypatch) -> AsyncIterator[ClientWorld]:
    clean_environment(monkeypatch)
    monkeypatch.chdir(tmp_path)
    async with client_world("http", tmp_path, monkeypatch) as made:
        yield made


async def failed_run(world: ClientWorld, ask: Any, name: str) -> dict[str, Any]:
    """A run that failed for good, as `dlq list` tells of it."""
    done = await ask(
        *("trigger", world.work, "-d", '"fail"', "--run-id", name, "--retries", "0", "--follow")
    )
    assert done.code == 7, done.err
    listed = await ask("dlq", "list", "--json")
    return next(one for one in listed.json["letters"] if one["workflow_run_id"] == f"wfr_{name}")


async def test_a_run_is_triggered_and_followed(world: ClientWorld, ask) -> None:
    quiet = await ask("trigger", world.work, "-d", "5", "--run-id", "first", "--label", "vip")
    assert (quiet.code, quiet.out) == (0, "wfr_first\n")
    again = await ask("trigger", world.work, "--run-id", "first", "--json")
    assert again.json == {"workflow_run_id": "wfr_first", "deduplicated": True}

    shown = await ask("trigger", world.work, "-d", '{"n": 1}', "--follow")
    assert shown.code == 0
    lines = shown.out.splitlines()
    assert lines[0].startswith("wfr_")
    assert [line.split()[1] for line in lines[1:-1]] == ["before", "do"]
    assert lines[-1].strip().startswith("success after")
    assert lines[-1].endswith('{"n": 1}')

    told = await ask("trigger", world.work, "-d", "7", "--follow", "--json")
    events = [json.loads(line) for line in told.out.splitlines()]
    assert events[-1]["event"] == "run"
    assert events[-1]["run"]["result"] == 7
    assert [e["step"]["name"] for e in events if e["event"] == "step"] == ["before", "do"]


async def test_payloads_come_from_files_and_are_text_where_they_are_no_json(
    world: ClientWorld, ask, tmp_path
) -> None:
    (tmp_path / "payload.json").write_text('{"from": "file"}')
    for given, result in (("@payload.json", {"from": "file"}), ("plain words", "plain words")):
        done = await ask("trigger", world.work, "-d", given, "--follow", "--json")
        assert json.loads(done.out.splitlines()[-1])["run"]["result"] == result
    missing = await ask("trigger", world.work, "-d", "@nothing.json")
    assert missing.code == 1
    assert "WA102" in missing.err


async def test_runs_are_searched(world: ClientWorld, ask) -> None:
    for n in range(3):
        given = json.dumps({"sku": f"A-{n}"})
        await ask("trigger", world.work, "-d", given, "--run-id", f"r{n}", "--follow")
    found = await ask("runs", "list", "--search", '"sku": "a-1"')
    assert [line.split()[0] for line in found.out.splitlines()[:2]] == ["RUN", "wfr_r1"]
    assert "looked into the newest 3 runs, back to " in found.out
    first = (await ask("runs", "list", "--search", "a-", "--limit", "2", "--json")).json
    assert (len(first["matches"]), first["stopped_by"]) == (2, "enough")
    rest = await ask("runs", "list", "--search", "a-", "--cursor", first["cursor"], "--json")
    assert [match["workflow_run_id"] for match in rest.json["matches"]] == ["wfr_r0"]
    nothing = await ask("runs", "list", "--search", "A-9", "--state", "success")
    assert nothing.out.startswith("no run holds it\n")


async def test_runs_are_listed_shown_and_cancelled(world: ClientWorld, ask) -> None:
    assert (await ask("runs", "list")).out == "no runs\n"
    for n in range(3):
        await ask("trigger", world.work, "-d", str(n), "--run-id", f"r{n}", "--follow")
    await ask("trigger", world.other, "--run-id", "waits", "--label", "slow")

    listed = await ask("runs", "list", "--limit", "2", "--json")
    assert [run["workflow_run_id"] for run in listed.json["runs"]] == ["wfr_waits", "wfr_r2"]
    rest = await ask("runs", "list", "--cursor", listed.json["cursor"], "--state", "success")
    assert rest.out.splitlines()[0].split() == [
        *("RUN", "WORKFLOW", "STATE", "STARTED", "TOOK", "LABELS")
    ]
    assert [line.split()[0] for line in rest.out.splitlines()[1:]] == ["wfr_r1", "wfr_r0"]

    shown = await ask("runs", "show", "wfr_r1")
    assert "before" in shown.out
    assert "success" in shown.out
    assert (await ask("runs", "show", "wfr_r1", "--json")).json["result"] == 1
    assert (await ask("runs", "cancel", "--label", "slow")).out == "cancelled 1\n"
    assert (await ask("runs", "cancel", "wfr_r0", "--json")).json == {"cancelled": 0}
    refused = await ask("runs", "cancel")
    assert refused.code == 1
    assert "either ids" in refused.err
    resumed = await ask("runs", "resume", "wfr_r0")
    assert resumed.code == 6
    assert "WA608" in resumed.err


async def test_failed_runs_go_on(world: ClientWorld, ask) -> None:
    letter = await failed_run(world, ask, "broken")
    listed = await ask("dlq", "list")
    assert letter["dlq_id"] in listed.out
    assert "no such order" in listed.out
    shown = await ask("dlq", "show", letter["dlq_id"])
    assert "no such order" in shown.out
    assert (await ask("dlq", "show", letter["dlq_id"], "--json")).json["dlq_id"] == letter["dlq_id"]

    world.broken.clear()
    made = (await ask("runs", "resume", "wfr_broken", "--json")).json["workflow_run_id"]
    assert await world.client.handle(made).result() == "fail"

    world.broken.append(True)
    second = await failed_run(world, ask, "again")
    world.broken.clear()
    restarted = await ask("dlq", "restart", second["dlq_id"], "--retries", "1")
    assert await world.client.handle(restarted.out.strip()).result() == "fail"
    gone = await ask("dlq", "resume", second["dlq_id"])
    assert gone.code == 5

    done = restarted.out.strip()
    forked = await ask("runs", "fork", done, "--body", '{"n": 2}')
    assert await world.client.handle(forked.out.strip()).result() == {"n": 2}
    kept = await ask("runs", "fork", done, "--step", "before", "--json")
    assert await world.client.handle(kept.json["workflow_run_id"]).result() == "fail"
    for wrong in (("--step", "nothing"), ("--step", "1", "--model", "b"), ("--body", "{")):
        assert (await ask("runs", "fork", done, *wrong)).code != 0
    assert "WA607" in gone.err

    world.broken.append(True)
    await failed_run(world, ask, "third")
    assert (await ask("dlq", "delete", "--all", "--json")).json == {"deleted": 1}
    assert (await ask("dlq", "list")).out == "nothing failed for good\n"
    assert (await ask("dlq", "resume", "--all", "--json")).json == {"workflow_run_ids": []}
    wrong = await ask("dlq", "retry-failure-function", "nothing", "--json")
    assert wrong.code == 5
    assert json.loads(wrong.err)["error"]["code"] == "WA607"


async def test_events(world: ClientWorld, ask) -> None:
    assert (await ask("events", "waiters", "go")).out == "nobody waits for it\n"
    assert (await ask("events", "notify", "go")).out == "nobody waits for it\n"
    run = await world.client.trigger(world.work, "wait", workflow_run_id="patient")
    async with asyncio.timeout(20):
        while not (await ask("events", "waiters", "go", "--json")).json["waiters"]:
            await asyncio.sleep(0.05)
    assert "wfr_patient" in (await ask("events", "waiters", "go")).out
    woken = await ask("events", "notify", "go", "-d", '{"by": "me"}', "--json")
    assert woken.json["notified"][0]["workflow_run_id"] == run.run_id
    assert await run.result() == {"by": "me"}


async def test_schedules(world: ClientWorld, ask) -> None:
    to = "https://example.test/tick"
    made = await ask(
        *("schedules", "create", to, "--cron", "0 9 * * *", "--id", "daily", "-d", '{"a": 1}')
    )
    assert made.out == "daily\n"
    assert (await ask("schedules", "pause", "daily")).out == "paused daily\n"
    shown = await ask("schedules", "show", "daily", "--json")
    assert (shown.json["paused"], shown.json["body"]) == (True, '{"a": 1}')
    assert "0 9 * * *" in (await ask("schedules", "show", "daily")).out
    assert (await ask("schedules", "resume", "daily", "--json")).json["resumed"]
    assert (await ask("schedules", "list", "--json")).json["schedules"][0]["destination"] == to
    assert to in (await ask("schedules", "list")).out
    assert (await ask("schedules", "delete", "daily")).code == 0
    assert (await ask("schedules", "show", "daily")).code == 5
    wrong = await ask("schedules", "create", to, "--cron", "sometimes")
    assert "WA115" in wrong.err


async def test_flow_control_queues_and_keys(world: ClientWorld, ask) -> None:
    assert (await ask("flow-control", "pin", "llm", "--rate", "5", "--period", "1m")).code == 0
    for verb in ("pause", "resume", "reset-rate"):
        assert (await ask("flow-control", verb, "llm")).code == 0
    shown = (await ask("flow-control", "show", "llm", "--json")).json
    assert (shown["rate"], shown["period_ms"], shown["pinned_rate"]) == (5, 60_000, True)
    assert (await ask("flow-control", "unpin", "llm", "--json")).json["unpinned"]
    assert "llm" in (await ask("flow-control", "list")).out
    assert (await ask("flow-control", "show", "nobody")).code == 5

    assert (await ask("queues", "upsert", "mail", "--parallelism", "4")).code == 0
    for verb in ("pause", "resume"):
        assert (await ask("queues", verb, "mail")).code == 0
    assert (await ask("queues", "show", "mail", "--json")).json["parallelism"] == 4
    assert "mail" in (await ask("queues", "list")).out
    assert (await ask("queues", "delete", "mail", "--json")).json["deleted"]

    keys = await world.client.keys.get()
    masked = (await ask("keys", "show")).out
    assert keys.current not in masked
    assert keys.current[:6] in masked
    revealed = await ask("keys", "show", "--reveal", "--json")
    assert revealed.json == {"current": keys.current, "next": keys.following}
    rotated = await ask("keys", "rotate", "--reveal", "--json")
    assert rotated.json["current"] == keys.following


async def test_how_commands_fail(world: ClientWorld, ask) -> None:
    refused = await ask("runs", "list", "--token", "wrong")
    assert refused.code == 4
    assert "wrong" not in refused.err.splitlines()[0]
    nobody = await ask("runs", "list", "--server", "http://127.0.0.1:9", "--json")
    assert nobody.code == 3
    assert json.loads(nobody.err)["error"]["exitCode"] == 3
    assert (await ask("runs", "show", "wfr_nobody")).code == 5
    assert (await ask("runs", "list", "--limit", "0")).code == 2
    assert (await ask("no-such-command")).code == 2
