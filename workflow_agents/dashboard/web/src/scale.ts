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
  /** The reverse; null: nothing runs at that place. */
  when: (place: number) => number | null;
  gaps: Gap[];
}

type Part = [since: number, until: number];

/** Where something runs: what is over, merged, in order; and since when the rest has run. */
export interface Busy {
  over: Part[];
  going: number[];
}

const GAP = 0.04;
const LEAST_MS = 1;

/** Steps mostly follow each other: then a part is a longer one, and nothing is sorted. */
class Parts {
  readonly all: Part[] = [];
  private ordered = true;

  add(since: number, until: number): void {
    const last = this.all.at(-1);
    if (last && since >= last[0] && since <= last[1]) {
      if (until > last[1]) last[1] = until;
      return;
    }
    if (last && since < last[0]) this.ordered = false;
    this.all.push([since, until]);
  }

  merged(): Part[] {
    if (this.ordered) return this.all;
    const merged = new Parts();
    for (const [since, until] of this.all.sort((a, b) => a[0] - b[0])) merged.add(since, until);
    return merged.all;
  }
}

export function busyOf(bars: Bar[]): Busy {
  const over = new Parts();
  const going: number[] = [];
  for (const bar of bars) {
    let what = "";
    for (const segment of bar[7]) {
      const [, since, until] = segment;
      what = segment[0];
      if (what !== "running") over.add(since, since + LEAST_MS);
      else if (until === null) going.push(since);
      else over.add(since, Math.max(until, since + LEAST_MS));
    }
    if (what !== "running" && bar[6] !== null) over.add(bar[6] - LEAST_MS, bar[6]);
  }
  return { over: over.merged(), going };
}

function busy({ over, going }: Busy, began: number, ended: number): Part[] {
  const parts = new Parts();
  parts.add(began, began + LEAST_MS);
  for (const [since, until] of over) parts.add(since, until);
  for (const since of going) parts.add(since, Math.max(ended, since + LEAST_MS));
  parts.add(ended - LEAST_MS, ended);
  return parts.merged();
}

export function scaleOf(known: Busy, began: number, ended: number): Scale {
  ended = Math.max(ended, began + LEAST_MS);
  const parts = busy(known, began, ended);
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
  const when = (place: number) => {
    const piece = placed.find(({ left, width }) => place <= left + width) ?? placed.at(-1)!;
    return piece.gap ? null : piece.since + ((place - piece.left) / (piece.width || 1)) * (piece.until - piece.since);
  };
  return { at, when, gaps: placed.filter((piece) => piece.gap) };
}
