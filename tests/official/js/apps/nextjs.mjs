// The workflows as route handlers of Next.js. A handler needs nothing of Next.js itself: the
// framework gives it a web Request, and so do we.

import { createWorkflow, serve, serveMany } from "@upstash/workflow/nextjs";
import { family } from "../workflows/family.mjs";
import { workflows } from "../workflows/index.mjs";
import { host } from "./host.mjs";
import { listenerOf, routed } from "./web_requests.mjs";

export async function listen() {
  const handlers = Object.fromEntries(
    Object.entries(workflows).map(([name, [routeFunction, options]]) => [
      name,
      serve(routeFunction, options).POST,
    ]),
  );
  return host(listenerOf(routed(handlers, serveMany(family(createWorkflow)).POST)));
}
