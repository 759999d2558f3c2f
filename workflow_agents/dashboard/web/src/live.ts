/**
 * What happens, as it happens: one stream of the browser, shared between its tabs.
 *
 * The tab that holds a lock of the browser reads it and tells the others. One that is hidden gives
 * the lock back, so that nothing is read where nobody looks.
 */
import { useEffect, useReducer } from "preact/hooks";
import { base, get, session, type Session } from "./api";

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
const LOCK = `workflow-agents ${base}`;
const hearers = new Set<(entry: Entry | null) => void>();
const watchers = new Set<() => void>();
const channel = new BroadcastChannel(LOCK);
let begun = false;
let connected = false;
let source: EventSource | null = null;
let giveBack: (() => void) | null = null;
let waits: AbortController | null = null;
let paused = false;
let last = session.seq ?? 0;
let before = false;
let missed = false;
/** when it was last live: pages show what was so then */
let lostAt = 0;

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
  if (now && before && !connected) {
    tell(null);
    look();
  }
  if (connected && !now) lostAt = Date.now();
  connected = now;
  before ||= now;
  watchers.forEach((watch) => watch());
  if (source) channel.postMessage({ connected });
}

channel.onmessage = ({ data }) => {
  if (data.entry) tell(data.entry);
  if ("connected" in data && !source) turn(data.connected);
  if (data.asks && source) channel.postMessage({ connected });
};
document.addEventListener("selectionchange", release);
document.addEventListener("visibilitychange", () => {
  if (!begun) return;
  if (document.hidden) leave();
  else {
    lead();
    release();
  }
});

function listen(): void {
  const mine = (source = new EventSource(`${base}/api/stream?after=${last}`));
  mine.onopen = () => turn(true);
  mine.onerror = () => {
    if (mine !== source) return;
    turn(false);
    if (mine.readyState !== EventSource.CLOSED) return;
    // An answer that is none: perhaps the session is over.
    look();
    setTimeout(() => mine === source && listen(), AGAIN_MS);
  };
  mine.addEventListener("entry", ({ data }) => {
    const entry: Entry = JSON.parse(data);
    channel.postMessage({ entry });
    tell(entry);
  });
}

/** Ask who one is to the server by now, and whether it is the one that these pages are of. */
function look(): void {
  get<Session>("session").then(
    (told) => dispatchEvent(new CustomEvent("session", { detail: told })),
    () => {}, // it is asked again with the next connection
  );
}

function lead(): void {
  if (source || waits) return;
  if (!navigator.locks) return listen();
  channel.postMessage({ asks: true });
  waits = new AbortController();
  const held = () => new Promise<void>((done) => {
    waits = null;
    giveBack = done;
    listen();
  });
  navigator.locks.request(LOCK, { signal: waits.signal }, held).catch(() => {}); // it was taken back
}

function leave(): void {
  waits?.abort();
  source?.close();
  giveBack?.();
  waits = source = giveBack = null;
  // Whoever looks again asks whether there is a stream.
  connected = false;
  watchers.forEach((watch) => watch());
}

/** Begin, once somebody may look. */
export function begin(): void {
  if (begun || !session.signedIn) return;
  begun = true;
  if (!document.hidden) lead();
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

/** Since when nothing is heard, Unix milliseconds; 0: it never was. */
export const lostSince = () => (connected ? 0 : lostAt);

/** Hear of what happens; null: something may have happened unheard. */
export function onNews(hear: (entry: Entry | null) => void): () => void {
  hearers.add(hear);
  return () => void hearers.delete(hear);
}
