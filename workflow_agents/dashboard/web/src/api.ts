/** What the server tells, and how it is asked. */

export const base = document.documentElement.dataset.base ?? "";

export type State = "running" | "waiting" | "success" | "failed" | "canceled";
export const STATES: State[] = ["running", "waiting", "success", "failed", "canceled"];

/** id, run id, workflow, state, created at, ended at, labels */
export type RunLine = [number, string, string, State, number, number | null, string[]];

/** what, since, until */
export type Segment = [string, number, number | null];

/** key, name, kind, state, depth, began, ended, segments, failed attempts */
export type Bar = [
  string | number, string, string, string, number, number, number | null, Segment[], number[],
];

export interface Run {
  runId: string;
  workflow: string;
  state: State;
  createdAt: number;
  endedAt: number | null;
  labels: string[];
  attempt: number;
  explain: string;
  payload: unknown;
  result: unknown;
  failure: Record<string, unknown> | null;
  parent: string | null;
  children: [string | number, string, State][];
  steps: Bar[];
  now: number;
}

export interface Step {
  step: string | number;
  name: string;
  type: string;
  state: string;
  out: unknown;
  waitsFor: unknown;
  retries: number;
  request: {
    method: string;
    url: string;
    headers: Record<string, string>;
    body: unknown;
    bytes: number;
  } | null;
}

export interface Overview {
  counts: Record<State, number>;
  workflows: string[];
}

export class Failed extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

async function ask<T>(path: string, init?: RequestInit): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(`${base}/api/${path}`, { credentials: "same-origin", ...init });
  } catch {
    throw new Failed(0, "the server cannot be reached");
  }
  const data = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Failed(answer.status, data.error ?? `the server answered ${answer.status}`);
  return data as T;
}

export const get = <T,>(path: string, signal?: AbortSignal) => ask<T>(path, signal ? { signal } : {});

export const post = <T,>(path: string, body: unknown = {}) =>
  ask<T>(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
