// Workflows of one `serveMany`, which invoke each other. Each framework has its own
// `createWorkflow`, so they are made for it.

import { WorkflowNonRetryableError } from "@upstash/workflow";
import { asked } from "./calls.mjs";

/** The workflows of a family, by their names. */
export function family(createWorkflow) {
  const grandchild = createWorkflow(async (context) => {
    const doubled = await context.run("double", () => context.requestPayload.number * 2);
    return { doubled };
  });
  const child = createWorkflow(async (context) => {
    const { number } = context.requestPayload;
    const { body } = await context.invoke("grandchild", {
      workflow: grandchild,
      body: { number: number + 1 },
      retries: 1,
    });
    const told = await context.run("tell", () => ({
      tenant: context.headers.get("x-tenant"),
      child: context.headers.get("x-child"),
      label: context.label ?? null,
    }));
    return { ...body, ...told };
  });
  const failingChild = createWorkflow(
    async (context) => {
      await context.run("fail", () => {
        throw new WorkflowNonRetryableError("the child fails");
      });
    },
    { failureFunction: ({ failResponse }) => `child: ${failResponse}` },
  );
  const cancelledChild = createWorkflow(async (context) => {
    await context.run("before", () => "before");
    await context.cancel();
  });
  const silentChild = createWorkflow(async (context) => {
    await context.run("say nothing", () => {});
  });
  const parent = createWorkflow(async (context) => {
    const { number } = context.requestPayload;
    const one = await context.invoke("child", {
      workflow: child,
      body: { number },
      headers: { "x-child": "yes" },
      label: "a-child",
      flowControl: { key: "children", parallelism: 10 },
    });
    const silent = await context.invoke("silent", { workflow: silentChild });
    return { one, silent };
  });
  const unluckyParent = createWorkflow(async (context) => {
    const [failed, cancelled] = await Promise.all([
      context.invoke("failing", { workflow: failingChild, retries: 0 }),
      context.invoke("cancelled", { workflow: cancelledChild }),
    ]);
    return { failed, cancelled };
  });
  const strangerParent = createWorkflow(async (context) => {
    const stranger = createWorkflow(async () => {});
    stranger.workflowId = "not-there";
    return context.invoke("stranger", { workflow: stranger, retries: 0 });
  });
  const caller = createWorkflow(async (context) => {
    const payload = await asked(context);
    const { status, body } = await context.call("call the grandchild", {
      workflow: grandchild,
      body: payload,
    });
    return { status, startsWith: body.workflowRunId.slice(0, 4) };
  });
  const workflows = {
    parent,
    child,
    grandchild,
    "failing-child": failingChild,
    "cancelled-child": cancelledChild,
    "silent-child": silentChild,
    "unlucky-parent": unluckyParent,
    "stranger-parent": strangerParent,
    caller,
  };
  return workflows;
}
