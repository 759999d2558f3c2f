/** What is asked of the server and kept fresh while it is looked at. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { Failed, get, part, type Bar, type Run } from "./api";
import { onNews, type Entry } from "./live";

export interface Asked<T> {
  data: T | null;
  error: Failed | null;
  again: () => void;
}

/** However much happens, it is asked no more often. */
const GATHER_MS = 400;
const AGAIN_MS = 2_000;

export type Concerns = (entry: Entry) => boolean;
export const everything: Concerns = () => true;
export const nothing: Concerns = () => false;

/** Call `look` at once, and again when there is news that concerns it; errors are tried again. */
function useLook(look: (signal: AbortSignal) => Promise<void>, concerns: Concerns, on: unknown[]): () => void {
  const now = useRef({ look, concerns });
  now.current = { look, concerns };
  const again = useRef(() => {});
  useEffect(() => {
    const ended = new AbortController();
    let timer = 0;
    let busy = false;
    let due = false;
    const run = async () => {
      timer = 0;
      if (busy) return void (due = true);
      busy = true;
      let wait = 0;
      try {
        await now.current.look(ended.signal);
      } catch (error) {
        if ((error as Failed).status === 0 || (error as Failed).status === 503) wait = AGAIN_MS;
      }
      busy = false;
      if (ended.signal.aborted) return;
      if (due || wait) soon(wait);
      due = false;
    };
    const soon = (wait = 0) => void (timer ||= setTimeout(run, Math.max(wait, GATHER_MS)));
    again.current = run;
    run();
    const stop = onNews((entry) => (entry === null || now.current.concerns(entry)) && soon());
    return () => {
      stop();
      ended.abort();
      clearTimeout(timer);
    };
  }, on);
  return useCallback(() => again.current(), []);
}

export function useAsked<T>(path: string | null, concerns: Concerns = everything): Asked<T> {
  const [state, setState] = useState<{ path: string | null; data: T | null; error: Failed | null }>({
    path: null, data: null, error: null,
  });
  const look = async (signal: AbortSignal) => {
    if (path === null) return;
    try {
      const data = await get<T>(path, signal);
      if (!signal.aborted) setState({ path, data, error: null });
    } catch (error) {
      if (signal.aborted) return;
      setState((old) => ({ path, data: old.path === path ? old.data : null, error: error as Failed }));
      throw error;
    }
  };
  const again = useLook(look, concerns, [path]);
  const mine = state.path === path;
  return { data: mine ? state.data : null, error: mine ? state.error : null, again };
}

/** A run; of its steps only those are asked again that have changed. */
export function useRun(id: string): Asked<Run> {
  const [state, setState] = useState<{ data: Run | null; error: Failed | null }>({ data: null, error: null });
  const known = useRef<{ run: Run; at: Map<string, number> | null } | null>(null);
  const look = async (signal: AbortSignal) => {
    const old = known.current;
    try {
      const run = await get<Run>(`runs/${part(id)}${old?.run.seq ? `?after=${old.run.seq}` : ""}`, signal);
      if (signal.aborted) return;
      let at = null;
      if (run.partial && old) {
        at = old.at ?? new Map(old.run.steps.map((bar, i) => [String(bar[0]), i]));
        const steps = run.steps.length ? [...old.run.steps] : old.run.steps;
        for (const bar of run.steps) put(steps, at, bar);
        run.steps = steps;
      }
      known.current = { run, at };
      setState({ data: run, error: null });
    } catch (error) {
      if (signal.aborted) return;
      setState((before) => ({ ...before, error: error as Failed }));
      throw error;
    }
  };
  const children = new Set(state.data?.children.map(([, child]) => child));
  const again = useLook(
    look, ({ workflowRunId }) => workflowRunId === id || children.has(workflowRunId ?? ""), [id],
  );
  return { ...state, again };
}

/** Runs that were invoked, while their steps are shown inside those that invoked them. */
export function useRuns(ids: string[]): Map<string, Run> {
  const [runs, setRuns] = useState<Map<string, Run>>(new Map());
  const look = async (signal: AbortSignal) => {
    const found = await Promise.all(ids.map((id) => get<Run>(`runs/${part(id)}`, signal).catch(() => null)));
    if (!signal.aborted) setRuns(new Map(found.flatMap((run) => (run ? [[run.runId, run]] : []))));
  };
  useLook(look, ({ workflowRunId }) => ids.includes(workflowRunId ?? ""), [ids.join()]);
  return runs;
}

function put(steps: Bar[], at: Map<string, number>, bar: Bar): void {
  const place = at.get(String(bar[0]));
  if (place !== undefined) steps[place] = bar;
  else at.set(String(bar[0]), steps.push(bar) - 1);
}

/** The time, told anew every so often. */
export function useNow(every: number): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!every) return;
    const timer = setInterval(() => document.hidden || setNow(Date.now()), every);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}

export const useTitle = (title: string) => useEffect(() => void (document.title = title), [title]);

/** Single keys, unless something is being written or they are switched off. */
export function useKeys(keys: Record<string, () => void>): void {
  const current = useRef(keys);
  current.current = keys;
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.metaKey || event.ctrlKey || event.altKey || event.defaultPrevented) return;
      if (localStorage.getItem("keys") === "off" && event.key !== "Escape") return;
      const at = event.target as HTMLElement;
      if (at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName) || at.closest("dialog")) return;
      const act = current.current[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
}
