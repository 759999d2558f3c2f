// dlq: listMessages, retry, delete, in every form. Those for all are in sweeping.mjs.

import { assert, checkAll, client, outside, received, refused, unique, until } from "./checks.mjs";

const letters = async (filter) => (await client.dlq.listMessages({ filter })).messages;

/** Publish to what always fails; the dead letter of it. */
async function failed(name, options = {}) {
  const url = outside(`status/503?text=${name}-${unique}`);
  const { messageId } = await client.publishJSON({ url, body: { name }, retries: 0, ...options });
  const [letter] = await until(() => letters({ messageId }), (found) => found.length === 1);
  return letter;
}

await checkAll({
  "listMessages": async () => {
    const label = `dead-${unique}`;
    const letter = await failed("list", { label, headers: { "x-own": "kept" } });
    assert.ok(letter.dlqId);
    assert.equal(letter.responseStatus, 503);
    assert.equal(letter.responseBody, `list-${unique}`);
    assert.deepEqual(letter.responseHeader["Content-Type"], ["text/plain"]);
    assert.equal(letter.body, '{"name":"list"}');
    assert.deepEqual(letter.header["X-Own"], ["kept"]);
    assert.equal(letter.maxRetries, 0);
    assert.equal(letter.method, "POST");
    assert.equal(letter.label, label);
    const { url } = letter;
    const filters = { url, label, responseStatus: 503, fromDate: letter.createdAt - 1000, toDate: new Date() };
    for (const [name, value] of Object.entries(filters)) {
      const found = await letters({ [name]: value, label });
      assert.deepEqual(found.map((other) => other.dlqId), [letter.dlqId], name);
    }
    assert.deepEqual(await letters({ label, responseStatus: [500, 404] }), []);
    const byId = await client.dlq.listMessages({ dlqIds: [letter.dlqId] });
    assert.deepEqual(byId.messages.map((other) => other.dlqId), [letter.dlqId]);
    await client.dlq.delete(letter.dlqId);
  },
  "listMessages: pages": async () => {
    const label = `pages-${unique}`;
    const made = [];
    for (const name of ["p1", "p2", "p3"]) made.push((await failed(name, { label })).dlqId);
    const seen = [];
    let cursor;
    do {
      const page = await client.dlq.listMessages({ count: 2, cursor, filter: { label } });
      assert.ok(page.messages.length <= 2);
      seen.push(...page.messages.map((letter) => letter.dlqId));
      cursor = page.cursor;
    } while (cursor);
    assert.deepEqual(seen.sort(), made.sort());
    assert.equal((await client.dlq.delete({ filter: { label } })).deleted, 3);
  },
  "delete": async () => {
    const [one, two, three, four] = await Promise.all(
      ["d1", "d2", "d3", "d4"].map((name) => failed(name)),
    );
    assert.equal((await client.dlq.delete(one.dlqId)).deleted, 1);
    assert.equal((await client.dlq.delete([two.dlqId])).deleted, 1);
    assert.equal((await client.dlq.delete({ dlqIds: three.dlqId })).deleted, 1);
    assert.equal((await client.dlq.deleteMany({ dlqIds: [four.dlqId, one.dlqId] })).deleted, 1);
    assert.deepEqual(await letters({ messageId: one.messageId }), []);
  },
  "retry": async () => {
    const name = `mended-${unique}`;
    const url = outside(`flaky/${name}/3`);
    for (const body of [1, 2, 3]) await client.publishJSON({ url, body, retries: 0, label: name });
    const found = await until(() => letters({ url }), (all) => all.length === 3);
    const [one, two] = found.map((letter) => letter.dlqId);
    const first = await client.dlq.retry(one);
    assert.match(first.responses[0].messageId, /^msg_/);
    assert.equal((await client.dlq.retry([two])).responses.length, 1);
    assert.equal((await client.dlq.retry({ filter: { label: name } })).responses.length, 1);
    const requests = await received(name, 6);
    assert.deepEqual(requests.slice(3).map((request) => request.text).sort(), ["1", "2", "3"]);
    assert.deepEqual(await letters({ url }), []);
  },
  "of a queue": async () => {
    const queueName = `dead-${unique}`;
    const queue = client.queue({ queueName });
    await queue.enqueue({ url: outside("status/500"), body: "x", retries: 0 });
    const [letter] = await until(() => letters({ queueName }), (found) => found.length === 1);
    assert.equal(letter.queueName, queueName);
    await client.dlq.delete(letter.dlqId);
    await queue.delete();
  },
  "unknown": async () => {
    assert.deepEqual(await letters({ messageId: "msg_unknown" }), []);
    await refused(client.http.request({ method: "GET", path: ["v2", "dlq", "1-0"] }), 404);
  },
});
