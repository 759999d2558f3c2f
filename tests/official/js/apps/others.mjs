// Some of the workflows with the adapters for other frameworks. Each takes a web Request in a
// wrapping of its own, so that none of the frameworks is needed: /svelte/tells, /astro/tells ...

import * as astro from "@upstash/workflow/astro";
import * as cloudflare from "@upstash/workflow/cloudflare";
import { servePagesRouter } from "@upstash/workflow/nextjs";
import * as reactRouter from "@upstash/workflow/react-router";
import * as solidjs from "@upstash/workflow/solidjs";
import * as svelte from "@upstash/workflow/svelte";
import * as tanstack from "@upstash/workflow/tanstack";
import { serve as serveWeb } from "@upstash/workflow";
import { workflows } from "../workflows/index.mjs";
import { host } from "./host.mjs";
import { listenerOf } from "./web_requests.mjs";

/** The pages router of Next.js gets a parsed body, and a response with `status` and `json`. */
function pagesRouter(...served) {
  const { handler } = servePagesRouter(...served);
  return async (request) => {
    const { pathname, host: authority } = new URL(request.url);
    const headers = { ...Object.fromEntries(request.headers), host: authority };
    headers["x-forwarded-proto"] = "http";
    const distinct = Object.entries(headers).map(([name, value]) => [name, [value]]);
    const text = await request.text();
    const headersOfAnswer = new Headers();
    let status = 200;
    let body;
    const response = {
      setHeader: (name, value) => headersOfAnswer.set(name, value),
      status: (given) => {
        status = given;
        return response;
      },
      json: (given) => {
        body = JSON.stringify(given);
      },
    };
    await handler(
      {
        method: request.method,
        url: pathname,
        headers,
        headersDistinct: Object.fromEntries(distinct),
        body: text ? JSON.parse(text) : "",
      },
      response,
    );
    return new Response(body, { status, headers: headersOfAnswer });
  };
}

const adapters = {
  web: (...served) => serveWeb(...served).handler,
  pages: pagesRouter,
  cloudflare: (...served) => {
    const { fetch } = cloudflare.serve(...served);
    return (request) => fetch(request, process.env);
  },
  svelte: (...served) => {
    const { POST } = svelte.serve(...served);
    return (request) => POST({ request });
  },
  astro: (...served) => {
    const { POST } = astro.serve(...served);
    return (request) => POST({ request });
  },
  solidjs: (...served) => {
    const { POST } = solidjs.serve(...served);
    return (request) => POST({ request });
  },
  tanstack: (...served) => {
    const { POST } = tanstack.serve(...served);
    return (request) => POST({ request });
  },
  "react-router": (...served) => {
    const action = reactRouter.serve(...served);
    return (request) => action({ request });
  },
};

export async function listen() {
  return host(
    listenerOf((request) => {
      const [, adapter, name] = new URL(request.url).pathname.split("/");
      return adapters[adapter](...workflows[name])(request);
    }),
  );
}
