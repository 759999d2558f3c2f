// The workflows with Hono.

import { getRequestListener } from "@hono/node-server";
import { createWorkflow, serve, serveMany } from "@upstash/workflow/hono";
import { Hono } from "hono";
import { family } from "../workflows/family.mjs";
import { workflows } from "../workflows/index.mjs";
import { host } from "./host.mjs";

export async function listen() {
  const app = new Hono();
  for (const [name, [routeFunction, options]] of Object.entries(workflows)) {
    app.post(`/${name}`, serve(routeFunction, options));
  }
  app.post("/many/:name", serveMany(family(createWorkflow)));
  // The other frameworks of this process are to have Node's own Request and Response.
  return host(getRequestListener(app.fetch, { overrideGlobalObjects: false }));
}
