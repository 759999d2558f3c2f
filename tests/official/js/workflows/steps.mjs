// Steps that the endpoint makes itself: run, sleep, sleepUntil; and what a context tells.

/** Every value comes back from a step as it went in. */
async function runValues(context) {
  const { values } = context.requestPayload;
  const results = [];
  for (const [index, value] of values.entries()) {
    const make = index % 2 ? async () => value : () => value;
    results.push(await context.run(`value ${index}`, make));
  }
  return results;
}

/** A step without a result gives undefined, and so does a run. */
async function runNothing(context) {
  const first = await context.run("nothing", () => {});
  const second = await context.run("seen", () => typeof first);
  if (second !== "undefined") throw new Error(`a step without a result gave ${second}`);
}

async function sleeps(context) {
  const { seconds } = context.requestPayload;
  const begun = await context.run("begun", () => Date.now());
  await context.sleep("by number", seconds);
  await context.sleep("by text", `${seconds}s`);
  const ended = await context.run("ended", () => Date.now());
  return ended - begun;
}

async function sleepsUntil(context) {
  const { ms } = context.requestPayload;
  const begun = await context.run("begun", () => Date.now());
  const until = begun + ms;
  await context.sleepUntil("by date", new Date(until));
  await context.sleepUntil("by text, past", new Date(until).toISOString());
  await context.sleepUntil("by seconds, past", until / 1000);
  const ended = await context.run("ended", () => Date.now());
  return ended - begun;
}

async function manySteps(context) {
  let sum = 0;
  for (let number = 1; number <= context.requestPayload.steps; number += 1) {
    sum += await context.run(`add ${number}`, () => number);
  }
  return sum;
}

async function bigResult(context) {
  const { size } = context.requestPayload;
  const big = await context.run("big", () => "ä".repeat(size));
  return context.run("length", () => big.length);
}

/** What a context tells, before and after a step. */
async function tells(context) {
  const here = () => ({
    runId: context.workflowRunId,
    createdAt: context.workflowRunCreatedAt,
    url: context.url,
    payload: context.requestPayload ?? null,
    label: context.label ?? null,
    labels: context.labels,
    tenant: context.headers.get("x-tenant"),
    contentType: context.headers.get("content-type"),
    names: [...context.headers.keys()].sort(),
    retried: context.retried,
  });
  const first = await context.run("first", here);
  const second = await context.run("second", here);
  return { first, second };
}

export const steps = {
  "run-values": [runValues],
  "run-nothing": [runNothing],
  sleeps: [sleeps],
  "sleeps-until": [sleepsUntil],
  "many-steps": [manySteps],
  "big-result": [bigResult],
  tells: [tells],
  "tells-unverified": [tells, { receiver: undefined }],
};
