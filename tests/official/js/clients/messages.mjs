// messages: get and cancel in every form. Cancelling all is in sweeping.mjs.

import { assert, checkAll, client, outside, refused, unique } from "./checks.mjs";

const later = (name, options = {}) =>
  client.publishJSON({ url: outside(`sink/${name}-${unique}`), body: { name }, delay: "1h", ...options });

/** Whether a message is still to be delivered. */
async function kept(messageId) {
  try {
    await client.messages.get(messageId);
    return true;
  } catch (error) {
    assert.equal(error.status, 404);
    return false;
  }
}

await checkAll({
  "get": async () => {
    const begun = Date.now();
    const url = outside(`sink/get-${unique}?a=1`);
    const { messageId } = await client.publishJSON({
      url,
      body: { a: "ä" },
      delay: "1h",
      retries: 5,
      retryDelay: "1000 * (1 + retried)",
      method: "PUT",
      callback: outside("sink/c"),
      failureCallback: outside("sink/f"),
      headers: { "x-own": "kept" },
      timeout: "30s",
    });
    const message = await client.messages.get(messageId);
    assert.equal(message.messageId, messageId);
    assert.equal(message.url, url);
    assert.equal(message.method, "PUT");
    assert.equal(message.body, '{"a":"ä"}');
    assert.deepEqual(message.header["X-Own"], ["kept"]);
    assert.equal(message.maxRetries, 5);
    assert.equal(message.retryDelayExpression, "1000 * (1 + retried)");
    assert.equal(message.callback, outside("sink/c"));
    assert.equal(message.failureCallback, outside("sink/f"));
    assert.ok(Math.abs(message.createdAt - begun) < 60_000);
    assert.ok(Math.abs(message.notBefore - message.createdAt - 3_600_000) < 2000);
    await client.messages.cancel(messageId);
  },
  "get: unknown": async () => {
    await refused(client.messages.get("msg_unknown"), 404);
  },
  "cancel: one": async () => {
    const { messageId } = await later("one");
    assert.deepEqual(await client.messages.cancel(messageId), { cancelled: 1 });
    assert.equal(await kept(messageId), false);
  },
  "cancel: many by id": async () => {
    const many = [await later("many"), await later("many")].map(({ messageId }) => messageId);
    assert.equal((await client.messages.cancel(many)).cancelled, 2);
    const again = await later("many");
    const request = { messageIds: [again.messageId, "msg_unknown"] };
    assert.equal((await client.messages.cancel(request)).cancelled, 1);
  },
  "cancel: by filters": async () => {
    const label = `label-${unique}`;
    const [one, two, three] = [
      await later("by-label", { label }),
      await later("by-label", { label: [label, "other"] }),
      await later("by-label", { label: `not-${label}` }),
    ];
    assert.equal((await client.messages.cancel({ filter: { label } })).cancelled, 2);
    assert.deepEqual(await Promise.all([one, two, three].map((m) => kept(m.messageId))), [
      false,
      false,
      true,
    ]);
    const url = outside(`sink/by-label-${unique}`);
    assert.equal((await client.messages.cancel({ filter: { url: [url] } })).cancelled, 1);
    const flowControl = { key: `cancel-${unique}`, parallelism: 1 };
    await later("by-key", { flowControl });
    const filter = { flowControlKey: flowControl.key, fromDate: Date.now() - 60_000, toDate: new Date() };
    assert.equal((await client.messages.cancel({ filter, count: 10 })).cancelled, 1);
    await later("by-path");
    const { host, pathname } = new URL(outside(`sink/by-path-${unique}`));
    assert.equal((await client.messages.cancel({ filter: { host, path: pathname } })).cancelled, 1);
  },
  "delete and deleteMany": async () => {
    const { messageId } = await later("delete");
    await client.messages.delete(messageId);
    assert.equal(await kept(messageId), false);
    const many = [await later("delete"), await later("delete")].map((m) => m.messageId);
    assert.equal(await client.messages.deleteMany(many), 2);
  },
});
