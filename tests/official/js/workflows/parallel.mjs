// Groups of steps that are made side by side.

import { WorkflowNonRetryableError } from "@upstash/workflow";
import { note } from "../journal.mjs";
import { asked } from "./calls.mjs";

async function parallelRuns(context) {
  const before = await context.run("before", () => 1);
  const members = await Promise.all(
    [1, 2, 3].map((number) =>
      context.run(`member ${number}`, () => {
        note(context.workflowRunId, "member", { number });
        return before + number;
      }),
    ),
  );
  const after = await context.run("after", () => {
    note(context.workflowRunId, "after");
    return members.reduce((sum, member) => sum + member, 0);
  });
  return { members, after };
}

/** One group with a member of every kind. */
async function parallelKinds(context) {
  const { outside, wanted, missing, soon } = await asked(context);
  const [run, slept, until, call, told, timedOut, notified, webhook] = await Promise.all([
    context.run("run", () => ({ made: true })),
    context.sleep("sleep", 1),
    context.sleepUntil("until", soon),
    context.call("call", { url: outside, method: "POST", body: JSON.stringify({ from: "group" }) }),
    context.waitForEvent("wait", wanted, { timeout: "60s" }),
    context.waitForEvent("time out", missing, { timeout: 1 }),
    context.notify("notify", `nobody-${context.workflowRunId}`, { some: "data" }),
    context.createWebhook("webhook"),
  ]);
  return {
    run,
    slept: slept === undefined,
    until: until === undefined,
    call: { status: call.status, body: call.body },
    told,
    timedOut,
    notified: notified.notifyResponse.length,
    webhook: webhook.webhookUrl.includes(context.workflowRunId),
  };
}

/** Two branches of two steps each: the second steps form a group of their own. */
async function parallelBranches(context) {
  const branch = async (name) => {
    const first = await context.run(`${name}1`, () => `${name}1`);
    const second = await context.run(`${name}2`, () => `${first} ${name}2`);
    return second;
  };
  const both = await Promise.all([branch("a"), branch("b")]);
  return context.run("join", () => both.join(", "));
}

async function parallelFailing(context) {
  await Promise.all([
    context.run("good", () => "good"),
    context.run("bad", () => {
      throw new WorkflowNonRetryableError("the bad member");
    }),
  ]);
}

export const groups = {
  "parallel-runs": [parallelRuns],
  "parallel-kinds": [parallelKinds],
  "parallel-branches": [parallelBranches],
  "parallel-failing": [parallelFailing, { failureFunction: ({ failResponse }) => failResponse }],
};
