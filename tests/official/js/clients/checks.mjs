// What every client script uses: the official client, checks that print one line of JSON each, and
// the world outside, which keeps what is sent to it.

import assert from "node:assert/strict";
import { Client } from "@upstash/qstash";

export { assert };

/** The client, by the standard variables QSTASH_URL and QSTASH_TOKEN. */
export const client = new Client({ retry: false });

/** A word that no other run of a script has. */
export let unique;

/** Make another such word; for a script that begins. */
export function renew() {
  unique = Math.random().toString(36).slice(2, 10);
}
renew();

/** Where the outside is: `outside("sink/name")`. */
export const outside = (path) => `${process.env.OUTSIDE_URL}/${path}`;

/** Run one check and print what came of it. */
export async function check(name, play) {
  let error;
  try {
    await play();
  } catch (thrown) {
    error = thrown.stack ?? String(thrown);
  }
  console.log(JSON.stringify({ check: name, ok: error === undefined, ...(error && { error }) }));
}

/** Run checks side by side: they wait more than they work. */
export async function checkAll(checks) {
  await Promise.all(Object.entries(checks).map(([name, play]) => check(name, play)));
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** What `give` gives, as soon as it satisfies `holds`. */
export async function until(give, holds, patienceMs = 20_000) {
  const end = Date.now() + patienceMs;
  for (let ms = 50; ; ms = Math.min(1.3 * ms, 300)) {
    const given = await give();
    if (holds(given)) return given;
    if (Date.now() > end) throw new Error(`waited in vain; now: ${JSON.stringify(given)}`);
    await pause(ms);
  }
}

/** What a sink of the outside got, as soon as there are so many. */
export async function received(name, count = 1) {
  const give = async () => (await fetch(outside(`received/${name}`))).json();
  return until(give, (found) => found.length >= count);
}

/** The answer that a callback tells of. */
export const told = (request) => {
  const callback = JSON.parse(request.text);
  return { ...callback, text: Buffer.from(callback.body ?? "", "base64").toString() };
};

/** The error of a request that has to be refused. */
export async function refused(promise, status) {
  const error = await promise.then(
    () => assert.fail("it was not refused"),
    (thrown) => thrown,
  );
  if (status !== undefined) assert.equal(error.status, status, error.message);
  return error;
}
