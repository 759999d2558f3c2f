/** What the server tells, and how it is asked. */
import type { Who } from "./decided";

export const base = document.documentElement.dataset.base ?? "";

export interface Session {
  signedIn: boolean;
  user?: string;
  mayChange?: boolean;
  /** somebody was signed in, and is no longer */
  ended?: boolean;
  /** somebody had to sign in */
  asked?: boolean;
  /** workflows of this very process */
  serves?: string[];
  /** for commands that are shown; null: whoever pastes them has it */
  token?: string | null;
  /** a workflow comes with it, for whoever has none */
  sample?: boolean;
  /** it is a server, with the API of one */
  server?: boolean;
  /** of what pages are made of: another than that which was loaded means that they are old */
  version?: string;
  /** the place of the newest entry of the feed: what follows is news */
  seq?: number;
}

export let session: Session = JSON.parse(document.documentElement.dataset.session ?? "{}");

export const setSession = (to: Session) => void (session = to);

/** The token of a command: as it is, or the variable that has it. */
export const bearer = () => session.token ?? "$QSTASH_TOKEN";

export type State = "running" | "waiting" | "success" | "failed" | "canceled";
export const STATES: State[] = ["running", "waiting", "success", "failed", "canceled"];

/** id, run id, workflow, state, created at, ended at, labels */
export type RunLine = [number, string, string, State, number, number | null, string[]];

/** what, since, until */
export type Segment = [string, number, number | null];

export type Key = string | number;

/** key, name, kind, state, depth, began, ended, segments, failed attempts */
export type Bar = [
  Key, string, string, string, number, number, number | null, Segment[], number[],
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
  children: [Key, string, State][];
  lineage: { forkedFrom?: string; resumedFrom?: string; restartedFrom?: string; step?: Key | null; asks?: Record<string, Record<string, unknown>> };
  agent: boolean;
  remote: boolean;
  steps: Bar[];
  partial: boolean;
  seq: number;
  now: number;
}

export interface Attempt {
  number: number;
  state: "success" | "failed" | "running";
  began?: number;
  at?: number;
  /** what of it took how long, in ms */
  phases: [string, number][];
  /** its connection had been kept */
  kept?: boolean;
  status?: number;
  header?: Record<string, string>;
  error?: string;
  message?: string;
  where?: string;
  until?: number;
  body?: string;
  more?: Record<string, unknown>;
}

export interface Step {
  step: Key;
  name: string;
  type: string;
  state: string;
  out: unknown;
  failure: unknown;
  waitsFor: unknown;
  decided: Who | null;
  retries: number;
  /** of a call of a model: prompt, completion and cached tokens */
  spent: { model: string | null; tokens: [number, number, number]; cost: string | null } | null;
  attempts: Attempt[];
  /** place in the feed, when, what, what was told */
  logs: [number, number, string, unknown][];
  code: { handler: string; file: string; line: number; text: string; exact: boolean } | null;
  request: {
    method: string;
    url: string;
    headers: Record<string, string>;
    body: unknown;
    bytes: number;
  } | null;
}

/** how many, and whether there are more */
export type Count = [number, boolean];

export interface Overview {
  counts: Record<State, Count>;
  workflows: string[];
}

export class Failed extends Error {
  constructor(readonly status: number, message: string, readonly found: string[] = []) {
    super(message);
  }
}

async function ask<T>(path: string, init?: RequestInit): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(`${base}/api/${path}`, { credentials: "same-origin", ...init });
  } catch (error) {
    if ((error as Error).name === "AbortError") throw error;
    throw new Failed(0, "The server cannot be reached");
  }
  const data = await answer.json().catch(() => ({}));
  if (answer.status === 401 && session.signedIn) dispatchEvent(new Event("signed-out"));
  if (!answer.ok) {
    throw new Failed(answer.status, data.error ?? `The server answered ${answer.status}`, data.found);
  }
  return data as T;
}

export const get = <T,>(path: string, signal?: AbortSignal) => ask<T>(path, signal ? { signal } : {});

export const post = <T,>(path: string, body: unknown = {}) =>
  ask<T>(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });

/** A part of a path; also a quote is, so that it may stand in a shell's. */
export const part = (text: Key) => encodeURIComponent(String(text)).replaceAll("'", "%27");

export const runPath = (id: string) => `${base}/runs/${part(id)}`;
