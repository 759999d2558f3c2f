// Does client scripts one after the other, in one process: each line of its input is a name. What a
// script prints is followed by {"end": NAME}, with what it threw, if it did.

import { createInterface } from "node:readline";
import { renew } from "./checks.mjs";

for await (const name of createInterface({ input: process.stdin })) {
  renew();
  const end = { end: name };
  try {
    await import(`./${name}.mjs`);
  } catch (thrown) {
    end.error = thrown.stack ?? String(thrown);
  }
  console.log(JSON.stringify(end));
}
