// A server on loopback around a framework's request listener. Notes every visit of a run.

import { createServer } from "node:http";
import { note } from "../journal.mjs";

/** Serve `listener` on a free port; gives the base URL. */
export async function host(listener) {
  const server = createServer((request, response) => {
    const headers = request.headers;
    const runId = headers["upstash-workflow-runid"];
    if (runId) {
      note(runId, "visit", {
        path: request.url,
        retried: headers["upstash-retried"],
        callback: headers["upstash-workflow-callback"] === "true",
        failure: headers["upstash-workflow-is-failure"] === "true",
        headers,
      });
    }
    listener(request, response);
  });
  server.keepAliveTimeout = 30_000; // as behind a load balancer; its default is 5 s
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${server.address().port}`;
}
