/** The same as the page shows or does, from a shell or from Python. Tokens stay in the environment. */
import { base, part, session, type Key, type Step } from "./api";

/** What to copy, by what it is called. */
export type Texts = Record<string, string>;

/** A text as an argument of a shell. */
export const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

const JSON_HEAD = "-H 'Content-Type: application/json'";
const TOKEN = '-H "Authorization: Bearer $QSTASH_TOKEN"';

/** A text, or data, as Python writes it. */
function python(value: unknown): string {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value === "object") return `{${Object.entries(value).map(([key, one]) => `${python(key)}: ${python(one)}`).join(", ")}}`;
  return JSON.stringify(value);
}

const client = (call: string) => session.server
  ? `from workflow_agents import Client\n\nclient = Client(base_url=${python(location.origin)})  # with QSTASH_TOKEN\nprint(${call})`
  : `print(${call.replace("client.", "engine.sync_client.")})`;

const command = (text: string) => ({ command: `workflow-agents ${text} --server ${quoted(location.origin)}` });

/** A request to this server; an embedded dashboard that asks for no token takes it itself. */
function curl(method: string, server: string, own: string, body?: unknown): Texts {
  const data = body === undefined ? "" : ` ${JSON_HEAD} -d ${quoted(JSON.stringify(body))}`;
  const verb = method === "GET" ? "" : ` -X ${method}`;
  if (session.server) return { curl: `curl -s${verb} ${TOKEN}${data} ${quoted(location.origin + server)}` };
  return session.asked ? {} : { curl: `curl -s${verb}${data || (method === "GET" ? "" : ` ${JSON_HEAD} -d '{}'`)} ${quoted(`${location.origin}${base}/api/${own}`)}` };
}

export const toShow = (id: string): Texts => ({
  ...curl("GET", `/v2/workflows/logs?workflowRunId=${part(id)}`, `runs/${part(id)}`),
  ...(session.server && command(`runs show ${quoted(id)}`)),
  Python: client(`client.log(${python(id)})`),
});

export const toCancel = (id: string): Texts => ({
  ...curl("DELETE", `/v2/workflows/runs/${part(id)}?cancel=true`, `runs/${part(id)}/cancel`),
  ...(session.server && command(`runs cancel ${quoted(id)}`)),
  Python: client(`client.handle(${python(id)}).cancel()`),
});

const OPTIONS: Record<string, string> = { payload: "body" };

export function toFork(id: string, asked: Record<string, unknown>): Texts {
  const given = Object.entries(asked).map(([name, value]): [string, unknown] => [OPTIONS[name] ?? name, value]);
  const options = given.map(([name, value]) =>
    ` --${name} ${quoted(name === "body" || name === "result" ? JSON.stringify(value) : String(value))}`).join("");
  return {
    ...curl("POST", `/v2/workflows/runs/${part(id)}/fork`, `runs/${part(id)}/fork`, asked),
    ...(session.server && command(`runs fork ${quoted(id)}${options}`)),
    Python: client(`client.handle(${python(id)}).fork(${given.map(([name, value]) => `${name}=${python(value)}`).join(", ")}).run_id`),
  };
}

/** What is longer a shell does not take as an argument. */
const ARGUMENT = 50_000;

/** The name of the variable that a hidden header is read from. */
const variable = (name: string) => name.toUpperCase().replaceAll("-", "_");
const hidden = (value: string) => value === "[hidden]" || value.startsWith("[secret ");

/** The request of a step, for whoever wants to make it by hand. */
export function toRequest({ method, url, headers, body }: NonNullable<Step["request"]>): Texts {
  const text = body === null ? null : typeof body === "string" ? body : JSON.stringify(body);
  const heads = Object.entries(headers);
  const given = heads.map(([name, value]) => ` -H ${hidden(value) ? `"${name}: $${variable(name)}"` : quoted(`${name}: ${value}`)}`);
  const told = heads.map(([name, value]) => `${python(name)}: ${hidden(value) ? `os.environ[${python(variable(name))}]` : python(value)}`);
  const asked = `curl -s -X ${method}${given.join("")} ${quoted(url)}`;
  return {
    curl: text === null ? asked : text.length < ARGUMENT ? `${asked} -d ${quoted(text)}` : `${asked} --data-binary @- <<'BODY'\n${text}\nBODY`,
    Python: `import os\nimport urllib.request\n\nrequest = urllib.request.Request(${python(url)}, method=${python(method)}, headers={${told.join(", ")}}${text === null ? "" : `, data=${python(text)}.encode()`})\nprint(urllib.request.urlopen(request).read().decode())`,
  };
}

export const stepLink = (id: string, step: Key) => `${location.origin}${base}/runs/${part(id)}?step=${part(step)}`;
