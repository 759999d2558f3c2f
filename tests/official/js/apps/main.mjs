// All endpoint apps in one process, and a control server for the scenarios. Prints one line of
// JSON: the base URLs. Ends when its standard input is closed.

import { createServer } from "node:http";
import { Client } from "@upstash/workflow";
import { note, noted, raise } from "../journal.mjs";
import * as express from "./express.mjs";
import * as h3 from "./h3.mjs";
import * as hono from "./hono.mjs";
import * as nextjs from "./nextjs.mjs";
import * as others from "./others.mjs";
import { listenerOf } from "./web_requests.mjs";

const client = new Client({
  baseUrl: process.env.QSTASH_URL,
  token: process.env.QSTASH_TOKEN,
  retry: false,
});

/** The official client's method of this name: "trigger", "dlq.resume". */
async function asked(name, parameters) {
  const path = name.split(".");
  const owner = path.slice(0, -1).reduce((object, part) => object[part], client);
  return owner[path.at(-1)](...parameters);
}

/** GET /noted/RUN, POST /raise/FLAG, POST /client/METHOD with an array of arguments. */
async function control(request) {
  const { pathname } = new URL(request.url);
  const [, verb, name] = pathname.split("/").map(decodeURIComponent);
  if (verb === "noted") return Response.json(noted(name));
  if (verb === "raise") return Response.json(raise(name) ?? {});
  try {
    return Response.json((await asked(name, await request.json())) ?? null);
  } catch (error) {
    note("client", "error", { message: error.message });
    return Response.json({ error: error.message, status: error.status ?? null }, { status: 502 });
  }
}

const controlServer = createServer(listenerOf(control));
controlServer.keepAliveTimeout = 60_000; // longer than any client keeps an idle connection
await new Promise((resolve) => controlServer.listen(0, "127.0.0.1", resolve));
const apps = { express, hono, h3, nextjs, others };
const urls = { control: `http://127.0.0.1:${controlServer.address().port}` };
for (const [name, app] of Object.entries(apps)) urls[name] = await app.listen();
console.log(JSON.stringify(urls));
process.stdin.resume().on("end", () => process.exit(0));
