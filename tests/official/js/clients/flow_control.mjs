// flowControl: get, pin, unpin, pause, resume, resetRate, globalParallelism.

import { assert, checkAll, client, outside, pause, received, unique, until } from "./checks.mjs";

const publish = (key, options = {}) =>
  client.publishJSON({
    url: outside(`sink/${key}`),
    body: 1,
    flowControl: { key, parallelism: 2, rate: 10, period: 60, ...options },
  });

await checkAll({
  "get": async () => {
    const key = `get-${unique}`;
    await publish(key);
    await received(key);
    const told = await client.flowControl.get(key);
    assert.equal(told.flowControlKey, key);
    assert.deepEqual([told.parallelismMax, told.rateMax, told.ratePeriod], [2, 10, 60]);
    assert.deepEqual([told.isPaused, told.isPinnedParallelism, told.isPinnedRate], [false, false, false]);
    assert.equal(told.waitListSize, 0);
    assert.equal(told.rateCount, 1);
    assert.ok(Math.abs(told.ratePeriodStart - Date.now() / 1000) < 120);
  },
  "pause and resume": async () => {
    const key = `pause-${unique}`;
    await publish(key);
    await received(key);
    await client.flowControl.pause(key);
    assert.equal((await client.flowControl.get(key)).isPaused, true);
    await publish(key);
    await pause(300);
    assert.equal((await received(key)).length, 1);
    assert.equal((await client.flowControl.get(key)).waitListSize, 1);
    await client.flowControl.resume(key);
    await received(key, 2);
    assert.equal((await client.flowControl.get(key)).isPaused, false);
  },
  "pin and unpin": async () => {
    const key = `pin-${unique}`;
    await publish(key);
    await client.flowControl.pin(key, { parallelism: 7, rate: 70, period: 30 });
    const pinned = await client.flowControl.get(key);
    assert.deepEqual([pinned.parallelismMax, pinned.rateMax, pinned.ratePeriod], [7, 70, 30]);
    assert.deepEqual([pinned.isPinnedParallelism, pinned.isPinnedRate], [true, true]);
    await publish(key);
    await received(key, 2);
    assert.equal((await client.flowControl.get(key)).parallelismMax, 7);
    await client.flowControl.unpin(key, { parallelism: true });
    const half = await client.flowControl.get(key);
    assert.deepEqual([half.isPinnedParallelism, half.isPinnedRate], [false, true]);
    await client.flowControl.unpin(key, { rate: true });
    await publish(key);
    await received(key, 3);
    const free = await client.flowControl.get(key);
    assert.deepEqual([free.parallelismMax, free.rateMax, free.isPinnedRate], [2, 10, false]);
  },
  "rate, and resetRate": async () => {
    const key = `rate-${unique}`;
    const limits = { parallelism: undefined, rate: 1, period: "1h" };
    await publish(key, limits);
    await publish(key, limits);
    await received(key);
    await until(
      () => client.flowControl.get(key),
      (told) => told.waitListSize === 1,
    );
    await client.flowControl.resetRate(key);
    await received(key, 2);
  },
  "parallelism": async () => {
    const key = `parallel-${unique}`;
    const url = outside("slow/0.4");
    const callback = outside(`sink/${key}`);
    const flowControl = { key, parallelism: 1 };
    const begun = Date.now();
    for (const body of [1, 2, 3]) await client.publishJSON({ url, body, callback, flowControl });
    const busy = await client.flowControl.get(key);
    assert.ok(busy.parallelismCount <= 1);
    await received(key, 3);
    assert.ok(Date.now() - begun >= 1200, "one at a time");
  },
  "globalParallelism": async () => {
    const told = await client.flowControl.getGlobalParallelism();
    assert.equal(typeof told.parallelismMax, "number");
    assert.equal(typeof told.parallelismCount, "number");
  },
  "list": async () => {
    const key = `list-${unique}`;
    await publish(key);
    const keys = await client.http.request({ method: "GET", path: ["v2", "flowControl"] });
    assert.ok(keys.some((told) => told.flowControlKey === key));
  },
});
