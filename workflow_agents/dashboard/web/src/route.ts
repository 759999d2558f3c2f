/** Where the reader is: the address says all of it, so that a link shows the same. */
import { useEffect, useState } from "preact/hooks";
import { base } from "./api";

export interface Place {
  path: string[];
  query: URLSearchParams;
}

function here(): Place {
  const path = location.pathname.slice(base.length).split("/").filter(Boolean).map(decodeURIComponent);
  return { path, query: new URLSearchParams(location.search) };
}

const listeners = new Set<() => void>();
const tell = () => listeners.forEach((listener) => listener());
addEventListener("popstate", tell);

export function go(to: string, replace = false): void {
  history[replace ? "replaceState" : "pushState"](null, "", base + to);
  tell();
}

/** Change some of the query; null takes a parameter out. */
export function ask(changes: Record<string, string | null>, replace = false): void {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  go(location.pathname.slice(base.length) + (text ? `?${text}` : ""), replace);
}

export function usePlace(): Place {
  const [place, setPlace] = useState(here);
  useEffect(() => {
    const listener = () => setPlace(here());
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, []);
  return place;
}

/** Links inside the dashboard change the page without loading it anew. */
addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const link = (event.target as Element).closest?.("a[href]");
  const href = link?.getAttribute("href");
  if (!href || link?.hasAttribute("download") || !href.startsWith(`${base}/`) || href.includes("#")) return;
  event.preventDefault();
  go(href.slice(base.length));
});
