/** What is asked of the server and kept fresh while it is looked at. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { Failed, get } from "./api";

export interface Asked<T> {
  data: T | null;
  error: Failed | null;
  again: () => void;
}

/** Ask, and ask again every so often while the page is visible; `every` 0: once. */
export function useAsked<T>(path: string | null, every: number): Asked<T> {
  const [state, setState] = useState<{ path: string | null; data: T | null; error: Failed | null }>({
    path: null, data: null, error: null,
  });
  const [turn, setTurn] = useState(0);
  const delay = useRef(every);
  delay.current = every;
  useEffect(() => {
    if (path === null) return;
    const ended = new AbortController();
    let timer = 0;
    const look = async () => {
      if (!document.hidden) {
        try {
          const data = await get<T>(path, ended.signal);
          if (ended.signal.aborted) return;
          setState({ path, data, error: null });
        } catch (error) {
          if (ended.signal.aborted) return;
          setState((old) => ({ path, data: old.path === path ? old.data : null, error: error as Failed }));
        }
      }
      if (delay.current) timer = setTimeout(look, delay.current);
    };
    look();
    return () => {
      ended.abort();
      clearTimeout(timer);
    };
  }, [path, turn]);
  const again = useCallback(() => setTurn((n) => n + 1), []);
  return { data: state.path === path ? state.data : null, error: state.error, again };
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

/** Single keys, unless something is being written or they are switched off. */
export function useKeys(keys: Record<string, () => void>): void {
  const current = useRef(keys);
  current.current = keys;
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.metaKey || event.ctrlKey || event.altKey) return;
      if (localStorage.getItem("keys") === "off" && event.key !== "Escape") return;
      const at = event.target as HTMLElement;
      if (at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName)) return;
      const act = current.current[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
}
