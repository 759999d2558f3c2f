/** What happens, as it happens: one stream of the browser, shared between its tabs. */
import { useEffect, useReducer } from "preact/hooks";
import { base, session } from "./api";

export interface Entry {
  seq: number;
  at: number;
  kind: string;
  workflowRunId?: string;
  workflow?: string;
  messageId?: string;
  stepId?: string | number;
  stepName?: string;
  stepType?: string;
  data?: unknown;
}

export type Live = "live" | "reconnecting" | "paused";

const AGAIN_MS = 2_000;
const hearers = new Set<(entry: Entry | null) => void>();
const watchers = new Set<() => void>();
const channel = new BroadcastChannel(`workflow-agents ${base}`);
let connected = false;
let leading = false;
let paused = false;
let last = session.seq ?? 0;
let before = false;
let missed = false;

/** Nothing moves while somebody reads: a selected text, a hidden tab, a paused page. */
const held = () => paused || document.hidden || !(getSelection()?.isCollapsed ?? true);

function tell(entry: Entry | null): void {
  if (entry) last = Math.max(last, entry.seq);
  if (held()) missed = true;
  else hearers.forEach((hear) => hear(entry));
}

function release(): void {
  if (!missed || held()) return;
  missed = false;
  hearers.forEach((hear) => hear(null));
}

function turn(now: boolean): void {
  // Whoever comes back may have missed something.
  if (now && before && !connected) tell(null);
  connected = now;
  before ||= now;
  watchers.forEach((watch) => watch());
  if (leading) channel.postMessage({ connected });
}

channel.onmessage = ({ data }) => {
  if (data.entry) tell(data.entry);
  if ("connected" in data && !leading) turn(data.connected);
  if (data.asks && leading) channel.postMessage({ connected });
};
document.addEventListener("visibilitychange", release);
document.addEventListener("selectionchange", release);

function listen(): void {
  leading = true;
  const source = new EventSource(`${base}/api/stream?after=${last}`);
  source.onopen = () => turn(true);
  source.onerror = () => {
    turn(false);
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN_MS);
  };
  source.addEventListener("entry", ({ data }) => {
    const entry: Entry = JSON.parse(data);
    channel.postMessage({ entry });
    tell(entry);
  });
}

let begun = false;

/** Begin, once somebody may look; the tab that holds the lock reads for all of them. */
export function begin(): void {
  if (begun || !session.signedIn) return;
  begun = true;
  if (!navigator.locks) listen();
  else {
    channel.postMessage({ asks: true });
    navigator.locks.request(`workflow-agents ${base}`, () => new Promise<void>(listen));
  }
}

export function pause(): void {
  paused = !paused;
  watchers.forEach((watch) => watch());
  release();
}

export function useLive(): Live {
  const [, again] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    watchers.add(again as () => void);
    return () => void watchers.delete(again as () => void);
  }, []);
  return paused ? "paused" : connected ? "live" : "reconnecting";
}

/** Hear of what happens; null: something may have happened unheard. */
export function onNews(hear: (entry: Entry | null) => void): () => void {
  hearers.add(hear);
  return () => void hearers.delete(hear);
}
