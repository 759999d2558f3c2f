// A request listener of Node around functions that take a web Request and give a web Response:
// what Next.js, SvelteKit, Astro and others call a route handler.

/** A listener for `route(request)`. */
export function listenerOf(route) {
  return async (incoming, outgoing) => {
    const chunks = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const bodyless = incoming.method === "GET" || incoming.method === "HEAD";
    const request = new Request(`http://${incoming.headers.host}${incoming.url}`, {
      method: incoming.method,
      headers: Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]),
      body: bodyless ? undefined : Buffer.concat(chunks),
    });
    const response = await route(request);
    outgoing.writeHead(response.status, Object.fromEntries(response.headers));
    outgoing.end(Buffer.from(await response.arrayBuffer()));
  };
}

/** A route that picks a handler by the path: "/name", and "/many/..." for a family. */
export function routed(handlers, many) {
  return (request) => {
    const [, first] = new URL(request.url).pathname.split("/");
    const handler = first === "many" ? many : handlers[first];
    return handler ? handler(request) : new Response("not found", { status: 404 });
  };
}
