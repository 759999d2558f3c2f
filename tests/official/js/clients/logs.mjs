// logs and events: filters, pages, states.

import { assert, checkAll, client, outside, received, unique, until } from "./checks.mjs";

const states = async (messageId) => {
  const { logs } = await client.logs({ messageIds: [messageId] });
  return logs.map((entry) => entry.state);
};

await checkAll({
  "the life of a message": async () => {
    const label = `life-${unique}`;
    const url = outside(`sink/${label}`);
    const { messageId } = await client.publishJSON({
      url,
      body: { a: 1 },
      label,
      headers: { "x-own": "kept" },
    });
    await received(label);
    const seen = await until(
      () => states(messageId),
      (found) => found.includes("DELIVERED"),
    );
    assert.ok(seen.includes("CREATED"), seen);
    const { logs, events } = await client.logs({ filter: { label } });
    assert.deepEqual(events, logs);
    for (const entry of logs) {
      assert.deepEqual([entry.messageId, entry.url, entry.label], [messageId, url, label]);
      assert.ok(entry.time > 1.7e12);
    }
    assert.deepEqual(
      logs.map((entry) => entry.time),
      logs.map((entry) => entry.time).sort((a, b) => b - a),
      "newest first",
    );
    const delivered = await client.logs({ filter: { label, state: "DELIVERED" } });
    assert.equal(delivered.logs.length, 1);
    assert.equal((await client.events({ filter: { label } })).events.length, logs.length);
  },
  "of a message that fails": async () => {
    const url = outside(`status/500?text=${unique}`);
    const { messageId } = await client.publishJSON({ url, body: 1, retries: 1, retryDelay: "10" });
    const seen = await until(
      () => states(messageId),
      (found) => found.includes("FAILED"),
    );
    assert.ok(seen.includes("RETRY") || seen.includes("ERROR"), seen);
    const { logs } = await client.logs({ messageIds: [messageId] });
    assert.ok(logs.some((entry) => entry.responseStatus === 500));
  },
  "of a message that is cancelled": async () => {
    const url = outside("sink/never");
    const { messageId } = await client.publishJSON({ url, body: 1, delay: "1h" });
    await client.messages.cancel(messageId);
    const seen = await states(messageId);
    assert.ok(seen.includes("CANCELED"), seen);
  },
  "filters": async () => {
    const name = `filter-${unique}`;
    await client.urlGroups.addEndpoints({ name, endpoints: [{ url: outside(`sink/${name}`) }] });
    const flowControl = { key: name, parallelism: 1 };
    const begun = Date.now();
    await client.publishJSON({ urlGroup: name, body: 1, flowControl });
    const queue = client.queue({ queueName: name });
    await queue.enqueue({ url: outside(`sink/${name}`), body: "2" });
    await received(name, 2);
    const { host, pathname } = new URL(outside(`sink/${name}`));
    const both = { url: outside(`sink/${name}`) };
    const filters = {
      urlGroup: [{ urlGroup: name }, 1],
      topicName: [{ topicName: name }, 1],
      queueName: [{ queueName: name }, 1],
      flowControlKey: [{ flowControlKey: [name, "other"] }, 1],
      hostAndPath: [{ host, path: pathname }, 2],
      dates: [{ ...both, fromDate: begun - 1000, toDate: new Date(Date.now() + 60_000) }, 2],
      past: [{ ...both, toDate: begun - 60_000 }, 0],
    };
    for (const [filterName, [filter, messages]] of Object.entries(filters)) {
      const { logs } = await client.logs({ filter });
      const found = new Set(logs.map((entry) => entry.messageId));
      assert.equal(found.size, messages, filterName);
    }
    await queue.delete();
    await client.urlGroups.delete(name);
  },
  "pages": async () => {
    const label = `pages-${unique}`;
    const url = outside(`sink/${label}`);
    for (const body of [1, 2, 3]) await client.publishJSON({ url, body, label });
    await received(label, 3);
    const all = await until(
      async () => (await client.logs({ filter: { label } })).logs,
      (logs) => logs.filter((entry) => entry.state === "DELIVERED").length === 3,
    );
    const seen = [];
    let cursor;
    do {
      const page = await client.logs({ count: 4, cursor, filter: { label } });
      assert.ok(page.logs.length <= 4);
      seen.push(...page.logs);
      cursor = page.cursor;
    } while (cursor);
    assert.deepEqual(seen, all);
  },
});
