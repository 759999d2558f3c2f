// urlGroups: endpoints, list, get, delete; and publishing to a group.

import { assert, checkAll, client, outside, received, refused, unique } from "./checks.mjs";

await checkAll({
  "addEndpoints, get, list, removeEndpoints, delete": async () => {
    const name = `group-${unique}`;
    const [one, two, three] = [1, 2, 3].map((number) => outside(`sink/${name}-${number}`));
    await client.urlGroups.addEndpoints({ name, endpoints: [{ url: one }, { url: two, name: "two" }] });
    await client.urlGroups.addEndpoints({ name, endpoints: [{ url: three, name: "three" }] });
    const group = await client.urlGroups.get(name);
    assert.equal(group.name, name);
    assert.deepEqual(group.endpoints.map((endpoint) => endpoint.url).sort(), [one, two, three].sort());
    assert.equal(group.endpoints.find((endpoint) => endpoint.url === two).name, "two");
    assert.ok(group.createdAt > 1.7e12);
    assert.ok(group.updatedAt >= group.createdAt);
    assert.ok((await client.urlGroups.list()).some((listed) => listed.name === name));
    await client.urlGroups.removeEndpoints({ name, endpoints: [{ name: "two" }, { url: three }] });
    assert.deepEqual(
      (await client.urlGroups.get(name)).endpoints.map((endpoint) => endpoint.url),
      [one],
    );
    await client.urlGroups.delete(name);
    await refused(client.urlGroups.get(name), 404);
    await refused(client.publishJSON({ urlGroup: name, body: 1 }), 404);
  },
  "publish to a group": async () => {
    const name = `fan-${unique}`;
    const urls = [1, 2].map((number) => outside(`sink/${name}-${number}`));
    const endpoints = [{ url: urls[0], name: "first" }, { url: urls[1] }];
    await client.urlGroups.addEndpoints({ name, endpoints });
    const answers = await client.publishJSON({ urlGroup: name, body: { to: "all" } });
    assert.deepEqual(answers.map((answer) => answer.url).sort(), urls);
    assert.equal(new Set(answers.map((answer) => answer.messageId)).size, 2);
    for (const number of [1, 2]) {
      const [request] = await received(`${name}-${number}`);
      assert.equal(request.text, '{"to":"all"}');
      assert.equal(request.headers["upstash-topic-name"], name);
    }
    const later = await client.publishJSON({ topic: name, body: 1, delay: "1h" });
    const kept = await client.messages.get(later[0].messageId);
    assert.equal(kept.urlGroup ?? kept.topicName, name);
    assert.equal((await client.messages.cancel({ filter: { urlGroup: name } })).cancelled, 2);
    await client.urlGroups.delete(name);
  },
  "batch and queue to a group": async () => {
    const name = `mixed-${unique}`;
    const urls = [1, 2].map((number) => outside(`sink/${name}-${number}`));
    await client.urlGroups.addEndpoints({ name, endpoints: urls.map((url) => ({ url })) });
    const [group, single] = await client.batch([
      { urlGroup: name, body: "batch" },
      { url: outside(`sink/${name}-alone`), body: "alone" },
    ]);
    assert.equal(group.length, 2);
    assert.ok(single.messageId);
    const queue = client.queue({ queueName: `queue-${name}` });
    const queued = await queue.enqueue({ urlGroup: name, body: "queued" });
    assert.deepEqual(queued.map((answer) => answer.url).sort(), urls);
    for (const number of [1, 2]) {
      const texts = (await received(`${name}-${number}`, 2)).map((request) => request.text);
      assert.deepEqual(texts.sort(), ["batch", "queued"]);
    }
    await queue.delete();
    await client.urlGroups.delete(name);
  },
});
