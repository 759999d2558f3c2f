// Development mode of the official packages: they find our server by its port and its well-known
// keys, and start no server of their own.

import { assert, check, outside, received, unique } from "./checks.mjs";

process.env.QSTASH_DEV = "true";
process.env.QSTASH_DEV_PORT = new URL(process.env.QSTASH_URL).port;
for (const name of ["URL", "TOKEN", "CURRENT_SIGNING_KEY", "NEXT_SIGNING_KEY"]) {
  delete process.env[`QSTASH_${name}`];
}
const { Client, Receiver } = await import("@upstash/qstash");

await check("a client and a receiver without any settings", async () => {
  const url = outside(`sink/dev-${unique}`);
  const { messageId } = await new Client({ retry: false }).publish({ url, body: "Grüße" });
  const [request] = await received(`dev-${unique}`);
  assert.equal(request.headers["upstash-message-id"], messageId);
  const signature = request.headers["upstash-signature"];
  assert.equal(await new Receiver().verify({ signature, body: request.text, url }), true);
});
