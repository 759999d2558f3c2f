// The workflows with Express.

import { createWorkflow, serve, serveMany } from "@upstash/workflow/express";
import express from "express";
import { family } from "../workflows/family.mjs";
import { workflows } from "../workflows/index.mjs";
import { host } from "./host.mjs";

export async function listen() {
  const app = express();
  app.use(express.json({ limit: "50mb" }));
  app.use(express.text({ limit: "50mb" }));
  for (const [name, [routeFunction, options]] of Object.entries(workflows)) {
    app.use(`/${name}`, serve(routeFunction, options));
  }
  app.use("/many", serveMany(family(createWorkflow)));
  return host(app);
}
