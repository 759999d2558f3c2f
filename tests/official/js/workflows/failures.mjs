// Runs that fail, are tried again, or are ended.

import { WorkflowNonRetryableError, WorkflowRetryAfterError } from "@upstash/workflow";
import { note, noted, raised } from "../journal.mjs";

/** Says all that a failure function is told. */
function failureFunction({ context, failStatus, failResponse, failHeaders, failStack }) {
  return JSON.stringify({
    runId: context.workflowRunId,
    payload: context.requestPayload,
    tenant: context.headers.get("x-tenant"),
    url: context.url,
    failStatus,
    failResponse,
    hasHeaders: typeof failHeaders === "object" && Object.keys(failHeaders).length > 0,
    hasStack: failStack.includes("Error"),
  });
}

async function fails(context) {
  await context.run("good", () => "kept");
  await context.run("bad", () => {
    note(context.workflowRunId, "attempt", { at: Date.now(), retried: context.retried });
    throw new Error("it always fails");
  });
}

async function failsForGood(context) {
  await context.run("bad", () => {
    note(context.workflowRunId, "attempt");
    throw new WorkflowNonRetryableError("never try again");
  });
}

/** Succeeds with the attempt whose number the payload says. */
async function flaky(context) {
  const { attempts } = context.requestPayload;
  await context.run("good", () => "kept");
  return context.run("flaky", () => {
    note(context.workflowRunId, "attempt", { at: Date.now(), retried: context.retried });
    const made = noted(context.workflowRunId, "attempt").length;
    if (made < attempts) throw new Error(`attempt ${made} fails`);
    return made;
  });
}

async function retryAfter(context) {
  return context.run("limited", () => {
    note(context.workflowRunId, "attempt", { at: Date.now() });
    const made = noted(context.workflowRunId, "attempt").length;
    if (made === 1) throw new WorkflowRetryAfterError("not so fast", 1);
    if (made === 2) throw new WorkflowRetryAfterError("still not", "1s");
    return made;
  });
}

/** Ends before its first step: who asked has no right to. */
async function refuses(context) {
  if (context.headers.get("authorization") !== "Bearer right") return;
  await context.run("allowed", () => "allowed");
}

async function cancels(context) {
  await context.run("before", () => "before");
  await context.cancel();
  await context.run("after", () => note(context.workflowRunId, "after"));
}

/** Fails in its second step until the flag of the payload is raised. */
async function broken(context) {
  const { flag } = context.requestPayload;
  const kept = await context.run("kept", () => {
    note(context.workflowRunId, "kept");
    return "kept";
  });
  return context.run("mended", () => {
    if (!raised(flag)) throw new Error("not mended yet");
    return `${kept}, mended`;
  });
}

/** The same, but what fails until then is also the failure function. */
function brokenFailureFunction({ context }) {
  if (!raised(context.requestPayload.flag)) throw new Error("nor the failure function");
  return "told in the end";
}

/** Changes its steps between visits, which the SDK refuses. */
async function changing(context) {
  const visits = noted(context.workflowRunId, "visit").length;
  await context.run(visits > 1 ? "another" : "one", () => 1);
  await context.run("next", () => 2);
}

export const failures = {
  fails: [fails, { failureFunction }],
  "fails-untold": [fails],
  "fails-for-good": [failsForGood, { failureFunction }],
  flaky: [flaky, { failureFunction }],
  "retry-after": [retryAfter],
  refuses: [refuses, { failureFunction }],
  cancels: [cancels, { failureFunction }],
  broken: [broken, { failureFunction }],
  "broken-twice": [broken, { failureFunction: brokenFailureFunction }],
  changing: [changing, { failureFunction }],
};
