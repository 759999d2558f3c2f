// schedules: create, get, list, pause, resume, delete.

import { assert, checkAll, client, outside, refused, unique } from "./checks.mjs";

await checkAll({
  "create with every option, get, list, delete": async () => {
    const scheduleId = `every-${unique}`;
    const destination = outside(`sink/schedule-${unique}?a=1`);
    const made = await client.schedules.create({
      destination,
      cron: "CRON_TZ=Europe/Berlin 0 9 * * 1-5",
      body: JSON.stringify({ a: "ä" }),
      headers: { "content-type": "application/json", "x-own": "kept" },
      method: "PUT",
      retries: 2,
      retryDelay: "1000",
      delay: "10s",
      timeout: 30,
      callback: outside("sink/c"),
      failureCallback: outside("sink/f"),
      scheduleId,
      flowControl: { key: `schedule-${unique}`, parallelism: 2, rate: 5, period: 60 },
      label: "a-label",
    });
    assert.deepEqual(made.scheduleId, scheduleId);
    const schedule = await client.schedules.get(scheduleId);
    assert.equal(schedule.scheduleId, scheduleId);
    assert.equal(schedule.cron, "CRON_TZ=Europe/Berlin 0 9 * * 1-5");
    assert.equal(schedule.destination, destination);
    assert.equal(schedule.method, "PUT");
    assert.equal(schedule.body, '{"a":"ä"}');
    assert.deepEqual(schedule.header["X-Own"], ["kept"]);
    assert.equal(schedule.retries, 2);
    assert.equal(schedule.retryDelayExpression, "1000");
    assert.equal(schedule.delay, 10);
    assert.equal(schedule.callback, outside("sink/c"));
    assert.equal(schedule.failureCallback, outside("sink/f"));
    assert.equal(schedule.isPaused, false);
    assert.equal(schedule.flowControlKey, `schedule-${unique}`);
    assert.deepEqual([schedule.parallelism, schedule.rate, schedule.period], [2, 5, 60]);
    assert.equal(schedule.label, "a-label");
    assert.ok(schedule.nextScheduleTime > Date.now());
    assert.ok(schedule.createdAt > 1.7e12);
    const listed = await client.schedules.list();
    assert.ok(listed.some((other) => other.scheduleId === scheduleId));
    await client.schedules.delete(scheduleId);
    await refused(client.schedules.get(scheduleId), 404);
  },
  "create without an id; again with the same one": async () => {
    const destination = outside(`sink/schedule-${unique}`);
    const { scheduleId } = await client.schedules.create({ destination, cron: "0 0 1 1 *" });
    assert.match(scheduleId, /^scd_/);
    await client.schedules.create({ destination, cron: "0 0 2 1 *", scheduleId, body: "new" });
    const schedule = await client.schedules.get(scheduleId);
    assert.deepEqual([schedule.cron, schedule.body], ["0 0 2 1 *", "new"]);
    await client.schedules.delete(scheduleId);
  },
  "pause and resume": async () => {
    const destination = outside(`sink/schedule-${unique}`);
    const { scheduleId } = await client.schedules.create({ destination, cron: "@daily" });
    await client.schedules.pause({ schedule: scheduleId });
    assert.equal((await client.schedules.get(scheduleId)).isPaused, true);
    await client.schedules.resume({ schedule: scheduleId });
    assert.equal((await client.schedules.get(scheduleId)).isPaused, false);
    await client.schedules.delete(scheduleId);
  },
  "to a queue and to a URL group": async () => {
    const name = `scheduled-${unique}`;
    await client.urlGroups.addEndpoints({ name, endpoints: [{ url: outside("sink/x") }] });
    const group = await client.schedules.create({ destination: name, cron: "0 0 1 1 *" });
    assert.equal((await client.schedules.get(group.scheduleId)).destination, name);
    const queued = await client.schedules.create({
      destination: outside("sink/x"),
      cron: "0 0 1 1 *",
      queueName: name,
    });
    assert.equal((await client.schedules.get(queued.scheduleId)).queueName, name);
    await client.schedules.delete(group.scheduleId);
    await client.schedules.delete(queued.scheduleId);
    await client.urlGroups.delete(name);
  },
  "what is wrong is refused": async () => {
    const destination = outside("sink/x");
    await refused(client.schedules.create({ destination, cron: "every day" }), 400);
    await refused(client.schedules.get("scd_unknown"), 404);
  },
});
