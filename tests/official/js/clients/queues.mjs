// queue: upsert, get, list, pause, resume, delete, enqueue.

import { assert, checkAll, client, outside, pause, received, refused, unique } from "./checks.mjs";

await checkAll({
  "upsert, get, list, delete": async () => {
    const queueName = `life-${unique}`;
    const queue = client.queue({ queueName });
    await queue.upsert({ parallelism: 2 });
    const made = await queue.get();
    assert.equal(made.name, queueName);
    assert.deepEqual([made.parallelism, made.lag, made.paused], [2, 0, false]);
    assert.ok(made.createdAt > 1.7e12);
    await queue.upsert({ parallelism: 5, paused: true });
    const changed = await queue.get();
    assert.deepEqual([changed.parallelism, changed.paused], [5, true]);
    assert.equal(changed.createdAt, made.createdAt);
    assert.ok(changed.updatedAt >= made.updatedAt);
    const names = (await client.queue().list()).map((listed) => listed.name);
    assert.ok(names.includes(queueName));
    await queue.delete();
    await refused(queue.get(), 404);
  },
  "first in, first out": async () => {
    const queue = client.queue({ queueName: `order-${unique}` });
    const url = outside(`sink/order-${unique}`);
    for (const number of [1, 2, 3, 4, 5]) await queue.enqueueJSON({ url, body: { number } });
    const requests = await received(`order-${unique}`, 5);
    assert.deepEqual(
      requests.map((request) => JSON.parse(request.text).number),
      [1, 2, 3, 4, 5],
    );
    await queue.delete();
  },
  "a failing message holds the others up": async () => {
    const queue = client.queue({ queueName: `held-${unique}` });
    const first = outside(`flaky/held-${unique}/1`);
    await queue.enqueue({ url: first, body: "first", retries: 1, retryDelay: "500" });
    await queue.enqueue({ url: outside(`sink/held-${unique}`), body: "second" });
    const texts = (await received(`held-${unique}`, 3)).map((request) => request.text);
    assert.deepEqual(texts, ["first", "first", "second"]);
    await queue.delete();
  },
  "pause and resume": async () => {
    const name = `paused-${unique}`;
    const queue = client.queue({ queueName: name });
    await queue.upsert({ parallelism: 1 });
    await queue.pause();
    assert.equal((await queue.get()).paused, true);
    const { messageId } = await queue.enqueue({ url: outside(`sink/${name}`), body: "x" });
    await pause(300);
    assert.equal((await received(name, 0)).length, 0);
    assert.equal((await queue.get()).lag, 1);
    assert.equal((await client.messages.get(messageId)).queueName, name);
    await queue.resume();
    await received(name, 1);
    assert.equal((await queue.get()).paused, false);
    await queue.delete();
  },
});
