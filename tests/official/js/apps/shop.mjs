// The shop of `examples/shop`, on the official SDK: the same steps, in the same order. It prints
// one line of JSON: its base URL. Ends when its standard input is closed.

import { createWorkflow, serveMany } from "@upstash/workflow/hono";
import { Hono } from "hono";
import { host } from "./host.mjs";
import { listenerOf } from "./web_requests.mjs";

const shopOf = (context) => context.url.split("/workflows/")[0];

const shipping = createWorkflow(async (context) => {
  const order = context.requestPayload;
  const packed = await context.run("pack", () => `pack ${order.id}`);
  const arrival = await context.createWebhook("arrival");
  const parcel = { tell: arrival.webhookUrl, packed };
  await context.call("carrier", {
    url: `${shopOf(context)}/carrier`,
    method: "POST",
    body: parcel,
  });
  const arrived = await context.waitForWebhook("arrived", arrival, "7d");
  return { arrived: await arrived.request.text(), timeout: arrived.timeout };
});

const order = createWorkflow(async (context) => {
  const order = context.requestPayload;
  const [reserved, rate] = await Promise.all([
    context.run("reserve", () => `reserve ${order.id}`),
    context.call("rate", { url: `${shopOf(context)}/rate`, method: "GET" }),
  ]);
  await context.sleep("cooling-off", "1s");
  const payment = await context.waitForEvent("payment", `paid-${order.id}`, { timeout: "1d" });
  if (payment.timeout) {
    return { cancelled: await context.run("release", () => `release ${order.id}`) };
  }
  const booked = await context.run("book", () => `book ${order.id}`);
  const parcel = await context.invoke("ship", { workflow: shipping, body: order });
  const told = await context.notify("thank", `thanks-${order.id}`, { item: order.item });
  return {
    reserved,
    dollars: order.euros * rate.body.dollars,
    paid: payment.eventData.euros,
    booked,
    parcel: parcel.body,
    told: told.notifyResponse.length,
  };
});

const app = new Hono();
app.post("/workflows/:name", serveMany({ order, shipping }));
app.get("/rate", (c) => c.json({ dollars: 2 }));
app.post("/carrier", async (c) => {
  const parcel = await c.req.json();
  setTimeout(() => fetch(parcel.tell, { method: "POST", body: "at the door" }), 0);
  return c.json({ accepted: parcel.packed });
});
console.log(JSON.stringify({ shop: await host(listenerOf((request) => app.fetch(request))) }));
process.stdin.resume().on("end", () => process.exit(0));
