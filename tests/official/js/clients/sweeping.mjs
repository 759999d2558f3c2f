// Verbs for everything there is. For a server of its own.

import { Client as WorkflowClient } from "@upstash/workflow";
import { assert, check, client, outside, until } from "./checks.mjs";

const later = () => client.publishJSON({ url: outside("sink/never"), body: 1, delay: "1h" });
const letters = async () => (await client.dlq.listMessages()).messages;

async function fail(count) {
  const url = outside("status/500");
  for (let made = 0; made < count; made += 1) {
    await client.publishJSON({ url, body: made, retries: 0 });
  }
  await until(letters, (found) => found.length === count);
}

await check("messages.cancel: all", async () => {
  await Promise.all([later(), later(), later()]);
  assert.equal((await client.messages.cancel({ all: true })).cancelled, 3);
  assert.equal((await client.messages.cancel({ all: true })).cancelled, 0);
});

await check("messages.deleteAll", async () => {
  await later();
  assert.equal(await client.messages.deleteAll(), 1);
});

await check("dlq.delete: all, in pages", async () => {
  await fail(3);
  let deleted = 0;
  let cursor;
  do {
    const page = await client.dlq.delete({ all: true, count: 2, cursor });
    deleted += page.deleted;
    cursor = page.cursor;
  } while (cursor);
  assert.equal(deleted, 3);
  assert.deepEqual(await letters(), []);
});

await check("dlq.retry: all", async () => {
  await fail(2);
  assert.equal((await client.dlq.retry({ all: true })).responses.length, 2);
  await until(letters, (found) => found.length === 2);
  await client.dlq.delete({ all: true });
});

await check("workflow cancel: all", async () => {
  const workflows = new WorkflowClient({ retry: false });
  for (const number of [1, 2]) {
    await workflows.trigger({ url: outside("status/200"), body: number, delay: "1h" });
  }
  assert.equal((await workflows.cancel({ all: true })).cancelled, 2);
});
