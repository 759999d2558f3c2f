// Options of serve: parsers, schemas, middlewares.

import { WorkflowMiddleware } from "@upstash/workflow";
import { z } from "zod";
import { note } from "../journal.mjs";

async function echoes(context) {
  return context.run("echo", () => context.requestPayload);
}

const listener = new WorkflowMiddleware({
  name: "listener",
  init: () => ({
    runStarted: ({ context }) => note(context.workflowRunId, "event", { event: "runStarted" }),
    beforeExecution: ({ context, stepName }) =>
      note(context.workflowRunId, "event", { event: "beforeExecution", stepName }),
    afterExecution: ({ context, stepName, result }) =>
      note(context.workflowRunId, "event", { event: "afterExecution", stepName, result }),
    runCompleted: ({ context, result }) =>
      note(context.workflowRunId, "event", { event: "runCompleted", result }),
    onError: ({ workflowRunId, error }) =>
      note(workflowRunId, "event", { event: "onError", message: error.message }),
  }),
});

async function listened(context) {
  const one = await context.run("one", () => 1);
  const [two, three] = await Promise.all([
    context.run("two", () => one + 1),
    context.run("three", () => one + 2),
  ]);
  return { one, two, three };
}

export const options = {
  schema: [echoes, { schema: z.object({ name: z.string(), age: z.number().int() }) }],
  parser: [echoes, { initialPayloadParser: (text) => ({ parsed: text.toUpperCase() }) }],
  "not-json": [echoes],
  listened: [listened, { middlewares: [listener] }],
};
