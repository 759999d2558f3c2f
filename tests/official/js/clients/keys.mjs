// Signing keys, their rotation, and the receiver. For a server of its own: rotation is for all.

import { Receiver } from "@upstash/qstash";
import { assert, check, client, outside, received, refused, unique } from "./checks.mjs";

const keys = (verb) =>
  client.http.request({
    method: verb ? "POST" : "GET",
    path: verb ? ["v2", "keys", verb] : ["v2", "keys"],
  });

/** Publish something and give what the receiver is to verify. */
async function delivered(name) {
  const url = outside(`sink/${name}-${unique}`);
  await client.publish({ url, body: "Grüße" });
  const [request] = await received(`${name}-${unique}`);
  return { signature: request.headers["upstash-signature"], body: request.text, url };
}

const receiverOf = ({ current, next }) =>
  new Receiver({ currentSigningKey: current, nextSigningKey: next, devMode: false });

await check("get", async () => {
  const { current, next } = await keys();
  assert.equal(current, process.env.QSTASH_CURRENT_SIGNING_KEY);
  assert.equal(next, process.env.QSTASH_NEXT_SIGNING_KEY);
});

await check("receiver", async () => {
  const receiver = receiverOf(await keys());
  const signed = await delivered("signed");
  assert.equal(await receiver.verify(signed), true);
  await refused(receiver.verify({ ...signed, body: "another" }));
  await refused(receiver.verify({ ...signed, url: outside("sink/another") }));
});

await check("rotate", async () => {
  const before = await keys();
  const after = await keys("rotate");
  assert.equal(after.current, before.next);
  assert.notEqual(after.next, before.current);
  assert.deepEqual(await keys(), after);
  const signed = await delivered("rotated");
  assert.equal(await receiverOf(before).verify(signed), true, "an endpoint with the old pair");
  assert.equal(await receiverOf(after).verify(signed), true, "an endpoint with the new pair");
});

await check("wrong token", async () => {
  const { Client } = await import("@upstash/qstash");
  const stranger = new Client({ token: "wrong", retry: false });
  await refused(stranger.messages.get("msg_x"), 401);
});
