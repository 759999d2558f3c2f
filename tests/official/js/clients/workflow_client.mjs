// The client of @upstash/workflow: trigger, cancel, notify, getWaiters, logs, dlq.

import { Client } from "@upstash/workflow";
import { assert, checkAll, outside, received, unique, until } from "./checks.mjs";

const client = new Client({ retry: false });
const app = (workflow) => `${process.env.HONO_URL}/${workflow}`;
const raise = (flag) => fetch(`${process.env.CONTROL_URL}/raise/${flag}`);
const run = async (workflowRunId) => (await client.logs({ workflowRunId })).runs[0];
const ended = (workflowRunId) =>
  until(
    () => run(workflowRunId),
    (found) => found && found.workflowState !== "RUN_STARTED",
  );

/** A run that waits for an event until it is told otherwise. */
async function waiting(eventId, options = {}) {
  const url = app("waits");
  const { workflowRunId } = await client.trigger({ url, body: { eventId, timeout: "1h" }, ...options });
  await until(
    () => client.getWaiters({ eventId }),
    (waiters) => waiters.length > 0,
  );
  return workflowRunId;
}

/** A run that has failed, until its flag is raised; its dead letter. */
async function failed(flag, options = {}) {
  const told = { url: app("broken"), body: { flag }, retries: 0, ...options };
  const { workflowRunId } = await client.trigger(told);
  const [letter] = await until(
    async () => (await client.dlq.list({ filter: { workflowRunId } })).messages,
    (messages) => messages.length === 1,
  );
  return letter;
}

await checkAll({
  "trigger: every option": async () => {
    const { workflowRunId } = await client.trigger({
      url: app("tells"),
      body: { a: 1 },
      headers: { "x-tenant": "acme" },
      workflowRunId: `all-${unique}`,
      retries: 5,
      retryDelay: "1000",
      flowControl: { key: `trigger-${unique}`, parallelism: 5, rate: 100, period: "1m" },
      delay: 1,
      label: ["one", "two"],
      failureUrl: outside("sink/never"),
      disableTelemetry: true,
    });
    assert.equal(workflowRunId, `wfr_all-${unique}`);
    const log = await ended(workflowRunId);
    assert.equal(log.workflowState, "RUN_SUCCESS");
    assert.equal(log.workflowUrl, app("tells"));
    assert.deepEqual(log.labels, ["one", "two"]);
    const [init, first] = log.steps.map((group) => group.steps[0]);
    assert.equal(init.stepName, "init");
    assert.deepEqual([init.retries, init.retryDelay], [5, "1000"]);
    assert.equal(init.out, '{"a":1}');
    assert.equal(first.stepType, "Run");
    assert.ok(log.workflowRunCompletedAt - log.workflowRunCreatedAt >= 900);
  },
  "trigger: many, and strings": async () => {
    const told = ["a", '{"b":1}'].map((body) => ({ url: app("not-json"), body }));
    const runs = await client.trigger(told);
    const results = [];
    for (const { workflowRunId } of runs) {
      results.push(JSON.parse((await ended(workflowRunId)).workflowRunResponse));
    }
    assert.deepEqual(results, ["a", { b: 1 }]);
  },
  "a run in progress, as a whole": async () => {
    const { workflowRunId } = await client.trigger({
      url: outside("slow/3"),
      body: "x",
      headers: { "x-own": "kept" },
    });
    const { runs, cursor } = await client.logs({ workflowRunId });
    assert.equal(cursor, undefined);
    const [log] = runs;
    const optional = ["workflowRunCallerIp", "workflowRunCompletedAt"];
    assert.deepEqual(
      Object.keys(log).filter((key) => !optional.includes(key)).sort(),
      ["steps", "workflowRunCreatedAt", "workflowRunId", "workflowState", "workflowUrl"],
    );
    assert.equal(log.workflowState, "RUN_STARTED");
    const [init, next] = log.steps;
    assert.deepEqual([init.type, next.type], ["sequential", "next"]);
    assert.deepEqual(Object.keys(init.steps[0]).sort(), [
      "callType", "concurrent", "createdAt", "headers", "messageId", "out", "retries",
      "retryDelay", "state", "stepName", "stepType",
    ]);
    assert.deepEqual(init.steps[0].headers["X-Own"], ["kept"]);
    assert.equal(next.steps[0].state, "STEP_PROGRESS");
    assert.ok(next.steps[0].messageId);
    await client.cancel(workflowRunId);
  },
  "cancel: one, many, unknown": async () => {
    const [one, two, three] = await Promise.all(["1", "2", "3"].map((n) => waiting(`c${n}-${unique}`)));
    assert.equal((await client.cancel(one)).cancelled, 1);
    assert.equal((await client.cancel([two, one])).cancelled, 1);
    assert.equal((await client.cancel({ workflowRunIds: [three, "wfr_no"] })).cancelled, 1);
    assert.equal((await run(one)).workflowState, "RUN_CANCELED");
  },
  "cancel: by filters": async () => {
    const label = `cancel-${unique}`;
    const flowControl = { key: `cancel-${unique}`, parallelism: 9 };
    await waiting(`cl-${unique}`, { label });
    assert.equal((await client.cancel({ filter: { label } })).cancelled, 1);
    await waiting(`ck-${unique}`, { flowControl });
    const filter = { flowControlKey: flowControl.key, fromDate: Date.now() - 60_000, toDate: new Date() };
    assert.equal((await client.cancel({ filter, count: 5 })).cancelled, 1);
  },
  "cancel: by URL": async () => {
    const url = `${outside("slow/9")}?${unique}`;
    const delayed = (end) => client.trigger({ url: `${url}${end}`, body: 1, delay: "1h" });
    await Promise.all(["&a", "&ab", "&b"].map(delayed));
    const exact = { workflowUrl: [`${url}&a`, `${url}&other`] };
    assert.equal((await client.cancel({ filter: exact })).cancelled, 1);
    const prefix = { workflowUrlStartingWith: url };
    assert.equal((await client.cancel({ filter: prefix })).cancelled, 2);
  },
  "notify, getWaiters": async () => {
    const eventId = `notify-${unique}`;
    const workflowRunId = await waiting(eventId);
    const [waiter] = await client.getWaiters({ eventId });
    assert.equal(waiter.url, app("waits"));
    assert.ok(Math.abs(waiter.deadline - Date.now() / 1000 - 3600) < 60);
    const [told] = await client.notify({ eventId, eventData: { a: 1 } });
    assert.equal(told.workflowRunId, workflowRunId);
    assert.ok(told.messageId);
    const log = await ended(workflowRunId);
    assert.deepEqual(JSON.parse(log.workflowRunResponse), { eventData: { a: 1 }, timeout: false });
    assert.deepEqual(await client.notify({ eventId }), []);
    assert.deepEqual(await client.getWaiters({ eventId }), []);
  },
  "notify: look-back": async () => {
    const eventId = `early-${unique}`;
    const told = { url: app("waits-late"), body: { eventId } };
    const { workflowRunId } = await client.trigger(told);
    for (const eventData of ["one", "two"]) await client.notify({ eventId, eventData, workflowRunId });
    const results = JSON.parse((await ended(workflowRunId)).workflowRunResponse);
    assert.deepEqual(results.map((result) => result.eventData), ["one", "two"]);
  },
  "logs: filters and pages": async () => {
    const label = `logs-${unique}`;
    const begun = Date.now();
    const told = ["many-steps", "many-steps", "tells"].map((name) => ({
      url: app(name),
      body: { steps: 1 },
      label: [label, "other"],
      flowControl: { key: label, parallelism: 9 },
    }));
    const ids = (await client.trigger(told)).map(({ workflowRunId }) => workflowRunId);
    for (const id of ids) await ended(id);
    const { host, pathname } = new URL(app("tells"));
    const filters = [
      [{ label }, 3],
      [{ label: ["nothing", label] }, 3],
      [{ label, workflowUrl: app("tells") }, 1],
      [{ label, host, path: pathname }, 1],
      [{ label, state: "RUN_SUCCESS" }, 3],
      [{ label, state: "RUN_FAILED" }, 0],
      [{ flowControlKey: label }, 3],
      [{ label, fromDate: begun - 1000, toDate: Date.now() + 60_000 }, 3],
      [{ label, toDate: begun - 60_000 }, 0],
      [{ workflowRunId: ids[0] }, 1],
    ];
    for (const [filter, count] of filters) {
      const { runs } = await client.logs({ filter });
      assert.equal(runs.length, count, JSON.stringify(filter));
    }
    const [one] = (await client.logs({ workflowRunId: ids[0] })).runs;
    const workflowCreatedAt = one.workflowRunCreatedAt;
    const byTime = await client.logs({ filter: { workflowRunId: ids[0], workflowCreatedAt } });
    assert.equal(byTime.runs.length, 1);
    const seen = [];
    let cursor;
    do {
      const page = await client.logs({ count: 2, cursor, filter: { label } });
      assert.ok(page.runs.length <= 2);
      seen.push(...page.runs.map((log) => log.workflowRunId));
      cursor = page.cursor;
    } while (cursor);
    assert.deepEqual(seen.sort(), ids.sort());
  },
  "dlq.list": async () => {
    const label = `dead-${unique}`;
    const letter = await failed(`dead-${unique}`, { label, headers: { "x-tenant": "acme" } });
    assert.equal(letter.workflowUrl, app("broken"));
    assert.equal(letter.responseStatus, 500);
    assert.match(letter.responseBody, /not mended yet/);
    assert.ok(letter.responseHeader["Upstash-Workflow-Sdk-Version"]);
    assert.equal(letter.label, label);
    assert.equal(letter.failureCallback, app("broken"));
    const { workflowRunId, workflowCreatedAt } = letter;
    const filters = {
      label, workflowUrl: app("broken"), workflowRunId, workflowCreatedAt,
      fromDate: letter.createdAt - 60_000, toDate: new Date(Date.now() + 60_000),
    };
    for (const [name, value] of Object.entries(filters)) {
      const { messages } = await client.dlq.list({ filter: { label, [name]: value } });
      assert.deepEqual(messages.map((other) => other.dlqId), [letter.dlqId], name);
    }
    const none = await client.dlq.list({ filter: { label, workflowUrl: app("tells") } });
    assert.deepEqual(none.messages, []);
    await client.dlq.delete(letter.dlqId);
  },
  "dlq.resume": async () => {
    const flag = `resume-${unique}`;
    const letters = await Promise.all([1, 2, 3, 4].map(() => failed(flag, { label: flag })));
    const [one, two, three] = letters.map((letter) => letter.dlqId);
    await raise(flag);
    const flowControl = { key: flag, parallelism: 3 };
    const first = await client.dlq.resume(one, { retries: 2, flowControl });
    const second = await client.dlq.resume([two]);
    const third = await client.dlq.resume({ dlqIds: [three] });
    const fourth = await client.dlq.resume({ filter: { label: flag }, count: 10 });
    for (const told of [first, second, third, fourth]) {
      assert.equal(told.workflowRuns.length, 1);
      const log = await ended(told.workflowRuns[0].workflowRunId);
      assert.equal(log.workflowState, "RUN_SUCCESS");
    }
    const log = await run(first.workflowRuns[0].workflowRunId);
    assert.equal(log.steps.at(-1).steps[0].stepName, "mended");
    assert.deepEqual((await client.dlq.list({ filter: { label: flag } })).messages, []);
  },
  "dlq.restart": async () => {
    const flag = `restart-${unique}`;
    const [one, two] = await Promise.all([failed(flag), failed(flag)]);
    await raise(flag);
    const first = await client.dlq.restart(one.dlqId, { retries: 1 });
    const legacy = await client.dlq.restart({ dlqId: [two.dlqId] });
    for (const told of [first.workflowRuns[0], legacy[0]]) {
      const log = await ended(told.workflowRunId);
      assert.equal(log.workflowRunResponse, '"kept, mended"');
      assert.equal(log.workflowRunCreatedAt, Number(told.workflowCreatedAt));
    }
  },
  "dlq.retryFailureFunction": async () => {
    const flag = `function-${unique}`;
    const told = { url: app("broken-twice"), body: { flag }, retries: 0 };
    const { workflowRunId } = await client.trigger(told);
    const filter = { workflowRunId, failureFunctionState: "CALLBACK_FAIL" };
    const [letter] = await until(
      async () => (await client.dlq.list({ filter })).messages,
      (messages) => messages.length === 1,
    );
    await raise(flag);
    const again = await client.dlq.retryFailureFunction({ dlqId: letter.dlqId });
    assert.equal(again.workflowRunId, workflowRunId);
    await until(
      () => run(workflowRunId),
      (log) => log.failureFunction?.state === "CALLBACK_SUCCESS",
    );
  },
  "dlq.delete": async () => {
    const flag = `delete-${unique}`;
    const letters = await Promise.all([1, 2, 3].map(() => failed(flag, { label: flag })));
    const [one, two] = letters.map((letter) => letter.dlqId);
    assert.equal((await client.dlq.delete(one)).deleted, 1);
    assert.equal((await client.dlq.delete([two, one])).deleted, 1);
    assert.equal((await client.dlq.delete({ filter: { label: flag } })).deleted, 1);
  },
  "failureUrl": async () => {
    const name = `failure-${unique}`;
    const failureUrl = outside(`sink/${name}`);
    await client.trigger({ url: app("fails-untold"), retries: 0, failureUrl });
    const [request] = await received(name);
    assert.equal(JSON.parse(request.text).status, 500);
  },
});
