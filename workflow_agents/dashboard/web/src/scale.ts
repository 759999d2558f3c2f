/** From time to place on a line where nothing happens for long: such gaps are cut short. */
import type { Bar } from "./api";

export interface Gap {
  since: number;
  until: number;
  /** Share of the width, from the left. */
  left: number;
  width: number;
}

export interface Scale {
  at: (time: number) => number;
  gaps: Gap[];
}

const GAP = 0.04;
const LEAST_MS = 1;

/** Where something runs, merged, in order. */
function busy(bars: Bar[], began: number, ended: number): [number, number][] {
  const parts: [number, number][] = [[began, began + LEAST_MS], [ended - LEAST_MS, ended]];
  for (const bar of bars) {
    for (const [what, since, until] of bar[7]) {
      if (what === "running") parts.push([since, Math.max(until ?? ended, since + LEAST_MS)]);
      else parts.push([since, since + LEAST_MS]);
    }
    if (bar[6] !== null) parts.push([bar[6] - LEAST_MS, bar[6]]);
  }
  parts.sort((a, b) => a[0] - b[0]);
  const merged: [number, number][] = [];
  for (const [since, until] of parts) {
    const last = merged.at(-1);
    if (last && since <= last[1]) last[1] = Math.max(last[1], until);
    else merged.push([since, until]);
  }
  return merged;
}

export function scaleOf(bars: Bar[], began: number, ended: number): Scale {
  ended = Math.max(ended, began + LEAST_MS);
  const parts = busy(bars, began, ended);
  let work = 0;
  for (const [since, until] of parts) work += until - since;
  const long = Math.max(work * 0.25, 1_000);
  const pieces: { since: number; until: number; gap: boolean }[] = [];
  let from = began;
  for (const [since, until] of parts) {
    if (since - from > long) {
      pieces.push({ since: from, until: since, gap: true });
      from = since;
    }
    const last = pieces.at(-1);
    if (last && !last.gap) last.until = Math.max(last.until, until);
    else pieces.push({ since: from, until, gap: false });
    from = Math.max(from, until);
  }
  const gaps = pieces.filter((piece) => piece.gap).length;
  const shown = pieces.reduce((sum, p) => sum + (p.gap ? 0 : p.until - p.since), 0) || 1;
  const share = Math.min(GAP, 0.4 / Math.max(1, gaps));
  let left = 0;
  const placed = pieces.map((piece) => {
    const width = piece.gap ? share : ((piece.until - piece.since) / shown) * (1 - gaps * share);
    const found = { ...piece, left, width };
    left += width;
    return found;
  });
  const at = (time: number) => {
    if (time <= began) return 0;
    let low = 0;
    let high = placed.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (placed[middle]!.until < time) low = middle + 1;
      else high = middle;
    }
    const piece = placed[low]!;
    const part = Math.min(1, Math.max(0, (time - piece.since) / (piece.until - piece.since || 1)));
    return piece.left + part * piece.width;
  };
  return { at, gaps: placed.filter((piece) => piece.gap) };
}
