// publish, publishJSON, batch, batchJSON, enqueue: with every option.

import { assert, checkAll, client, outside, pause, received, told, unique } from "./checks.mjs";

const sink = (name) => `${name}-${unique}`;
const to = (name) => outside(`sink/${sink(name)}`);
const sent = async (name, count) => received(sink(name), count);

await checkAll({
  "publish: text, headers, query": async () => {
    const { messageId } = await client.publish({
      url: `${to("text")}?a=1&b=%20`,
      body: "Grüße",
      headers: { "content-type": "text/plain", "x-own": "kept" },
    });
    assert.match(messageId, /^msg_/);
    const [request] = await sent("text");
    assert.equal(request.method, "POST");
    assert.equal(request.target, `/sink/${sink("text")}?a=1&b=%20`);
    assert.equal(request.text, "Grüße");
    assert.equal(request.headers["content-type"], "text/plain");
    assert.equal(request.headers["x-own"], "kept");
    assert.equal(request.headers["upstash-message-id"], messageId);
    assert.equal(request.headers["upstash-retried"], "0");
    assert.equal(request.headers["user-agent"], "Upstash-QStash");
    assert.ok(request.headers["upstash-signature"]);
  },
  "publishJSON: method and value": async () => {
    await client.publishJSON({ url: to("json"), method: "PUT", body: { a: ["ä", null] } });
    const [request] = await sent("json");
    assert.equal(request.method, "PUT");
    assert.deepEqual(JSON.parse(request.text), { a: ["ä", null] });
    assert.equal(request.headers["content-type"], "application/json");
  },
  "publish: no body, GET": async () => {
    await client.publish({ url: to("get"), method: "GET" });
    const [request] = await sent("get");
    assert.equal(request.method, "GET");
    assert.equal(request.text, "");
  },
  "publish: delay and notBefore": async () => {
    // Two addresses: which of two messages that are due comes first, nobody promises.
    const begun = Date.now() / 1000;
    await client.publishJSON({ url: to("delayed"), delay: 1, body: "delay" });
    const notBefore = Math.floor(begun) + 3;
    await client.publishJSON({ url: to("not-before"), delay: "1h", notBefore, body: "notBefore" });
    const [delayed] = await sent("delayed");
    assert.equal(delayed.text, '"delay"');
    assert.ok(delayed.at - begun >= 0.9, `delivered after ${delayed.at - begun} s`);
    const [late] = await sent("not-before");
    assert.equal(late.text, '"notBefore"');
    assert.ok(late.at >= notBefore - 0.1);
  },
  "publish: callback": async () => {
    const { messageId } = await client.publishJSON({
      url: outside("status/201?text=made"),
      body: { a: 1 },
      callback: to("callback"),
      headers: { "upstash-callback-forward-x-of-callback": "yes" },
    });
    const [request] = await sent("callback");
    const callback = told(request);
    assert.equal(callback.status, 201);
    assert.equal(callback.text, "made");
    assert.deepEqual(callback.header["Content-Type"], ["text/plain"]);
    assert.equal(callback.sourceMessageId, messageId);
    assert.equal(callback.url, outside("status/201?text=made"));
    assert.equal(callback.method, "POST");
    assert.equal(Buffer.from(callback.sourceBody, "base64").toString(), '{"a":1}');
    assert.equal(request.headers["x-of-callback"], "yes");
    assert.ok(request.headers["upstash-signature"]);
  },
  "publish: retries, retryDelay, failureCallback": async () => {
    await client.publishJSON({
      url: outside(`flaky/${sink("flaky")}/9`),
      body: {},
      retries: 2,
      retryDelay: "10 * (1 + retried)",
      failureCallback: to("failed"),
    });
    const failure = told((await sent("failed"))[0]);
    assert.equal(failure.status, 500);
    assert.equal(failure.text, "not yet");
    assert.equal(failure.retried, 2);
    assert.equal(failure.maxRetries, 2);
    assert.ok(failure.dlqId);
    const attempts = await sent("flaky", 3);
    assert.deepEqual(
      attempts.map((attempt) => attempt.headers["upstash-retried"]),
      ["0", "1", "2"],
    );
    assert.equal(attempts.length, 3);
  },
  "publish: retries 0 is one attempt": async () => {
    const url = outside(`flaky/${sink("once")}/9`);
    await client.publishJSON({ url, body: {}, retries: 0, failureCallback: to("once-failed") });
    await sent("once-failed");
    assert.equal((await sent("once")).length, 1);
  },
  "publish: timeout": async () => {
    await client.publishJSON({
      url: outside("slow/5"),
      body: {},
      timeout: 1,
      retries: 0,
      failureCallback: to("timeout"),
    });
    assert.ok(told((await sent("timeout"))[0]).status >= 500);
  },
  "publish: deduplication by id": async () => {
    const message = { url: to("same-id"), body: 1, deduplicationId: sink("id") };
    const first = await client.publishJSON(message);
    const second = await client.publishJSON({ ...message, body: 2 });
    assert.ok(!first.deduplicated);
    assert.equal(second.deduplicated, true);
    assert.equal(second.messageId, first.messageId);
    await sent("same-id");
    await pause(300);
    assert.equal((await sent("same-id")).length, 1);
  },
  "publish: deduplication by content": async () => {
    const message = { url: to("same"), body: { a: 1 }, contentBasedDeduplication: true };
    const first = await client.publishJSON(message);
    assert.equal((await client.publishJSON(message)).deduplicated, true);
    assert.ok(!first.deduplicated);
    assert.ok(!(await client.publishJSON({ ...message, body: { a: 2 } })).deduplicated);
    assert.equal((await sent("same", 2)).length, 2);
  },
  "publish: label, flow control, redaction in what is kept": async () => {
    const { messageId } = await client.publishJSON({
      url: to("kept"),
      body: { secret: true },
      delay: "1h",
      label: ["one", "two"],
      flowControl: { key: sink("key"), parallelism: 3, rate: 10, period: "1m" },
      redact: { body: true, header: ["x-own"] },
      headers: { "x-own": "hidden", "x-other": "shown" },
    });
    const kept = await client.messages.get(messageId);
    assert.deepEqual(kept.labels, ["one", "two"]);
    assert.equal(kept.label, "one");
    assert.equal(kept.flowControlKey, sink("key"));
    assert.deepEqual([kept.parallelism, kept.rate, kept.period], [3, 10, 60]);
    assert.match(kept.body, /^REDACTED:[0-9a-f]{64}$/);
    assert.match(kept.header["X-Own"][0], /^REDACTED:[0-9a-f]{64}$/);
    assert.deepEqual(kept.header["X-Other"], ["shown"]);
    await client.messages.cancel(messageId);
  },
  "batch: to URLs and queues": async () => {
    const answers = await client.batch([
      { url: to("batch"), body: "one", headers: { "x-number": "1" } },
      { url: to("batch"), body: "two", delay: 1 },
      { url: to("batch"), body: "three", queueName: sink("queue") },
    ]);
    assert.equal(new Set(answers.map((answer) => answer.messageId)).size, 3);
    const requests = await sent("batch", 3);
    assert.deepEqual(requests.map((request) => request.text).sort(), ["one", "three", "two"]);
    assert.equal(requests.find((request) => request.text === "one").headers["x-number"], "1");
    await client.queue({ queueName: sink("queue") }).delete();
  },
  "batchJSON": async () => {
    const answers = await client.batchJSON([
      { url: to("batch-json"), body: { number: 1 } },
      { url: to("batch-json"), body: { number: 2 }, method: "PUT" },
    ]);
    assert.equal(answers.length, 2);
    const requests = await sent("batch-json", 2);
    const numbers = requests.map((request) => JSON.parse(request.text).number);
    assert.deepEqual(numbers.sort(), [1, 2]);
  },
});
