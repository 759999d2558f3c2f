// The workflows with h3, as under Nitro and Nuxt.

import { createWorkflow, serve, serveMany } from "@upstash/workflow/h3";
import { createApp, createRouter, eventHandler, toNodeListener } from "h3";
import { family } from "../workflows/family.mjs";
import { workflows } from "../workflows/index.mjs";
import { host } from "./host.mjs";

export async function listen() {
  const router = createRouter();
  for (const [name, [routeFunction, options]] of Object.entries(workflows)) {
    router.post(`/${name}`, serve(routeFunction, options).handler);
  }
  router.post("/many/:name", eventHandler(serveMany(family(createWorkflow)).handler));
  const listener = toNodeListener(createApp().use(router));
  return host((request, response) => {
    // The adapter takes the scheme from the proxy in front of it, and knows no other.
    request.headers["x-forwarded-proto"] = "http";
    listener(request, response);
  });
}
