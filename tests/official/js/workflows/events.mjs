// Steps that wait for others: events, notifications, webhooks.

async function waits(context) {
  const { eventId, timeout } = context.requestPayload;
  return context.waitForEvent("wait", eventId, timeout === undefined ? undefined : { timeout });
}

/** Comes to its wait only after a while: a notification for the run is there before. */
async function waitsLate(context) {
  const { eventId } = context.requestPayload;
  await context.sleep("first", 1);
  const first = await context.waitForEvent("wait 1", eventId, { timeout: "30s" });
  const second = await context.waitForEvent("wait 2", eventId, { timeout: "30s" });
  return [first, second];
}

async function notifies(context) {
  const { eventId, eventData, runId } = context.requestPayload;
  return context.notify("notify", eventId, eventData, runId);
}

/** One webhook, waited for twice; then once more in vain. */
async function webhookTwice(context) {
  const webhook = await context.createWebhook("webhook");
  const received = [];
  for (const number of [1, 2]) {
    const { timeout, request } = await context.waitForWebhook(`wait ${number}`, webhook, "60s");
    received.push({
      timeout,
      sameUrl: request.url.split("?")[0] === webhook.webhookUrl,
      query: new URL(request.url).search,
      method: request.method,
      mark: request.headers.get("x-mark"),
      body: request.method === "GET" ? null : await request.text(),
    });
  }
  const last = await context.waitForWebhook("wait 3", webhook, "1s");
  return { received, last: { timeout: last.timeout, request: last.request ?? null } };
}

export const events = {
  waits: [waits],
  "waits-late": [waitsLate],
  notifies: [notifies],
  "webhook-twice": [webhookTwice],
};
