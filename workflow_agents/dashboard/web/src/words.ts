/** Times, sizes and values as people read them. */

const UNITS: [number, string][] = [[86_400_000, "d"], [3_600_000, "h"], [60_000, "m"], [1_000, "s"]];

/** A length of time in its two largest units. */
export function span(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 10_000) return `${(ms / 1_000).toFixed(2)} s`;
  const parts: string[] = [];
  for (const [unit, name] of UNITS) {
    if (ms >= unit && parts.length < 2) {
      parts.push(`${Math.floor(ms / unit)} ${name}`);
      ms %= unit;
    } else if (parts.length) break;
  }
  return parts.join(" ");
}

/** A whole number for reading; what browsers have for it takes 20 ms to begin. */
export const count = (n: number): string => String(n).replace(/\B(?=(\d{3})+$)/g, ",");

/** How long ago. */
export function ago(at: number, now: number): string {
  const ms = now - at;
  if (ms < 2_000) return "just now";
  return ms < 60_000 ? `${Math.floor(ms / 1_000)} s ago` : `${span(ms).split(" ").slice(0, 2).join(" ")} ago`;
}

/** The local time, for reading. */
export function clock(at: number): string {
  const date = new Date(at);
  const day = date.toDateString() === new Date().toDateString() ? "" : `${date.toLocaleDateString()} `;
  return day + date.toLocaleTimeString();
}

/** Local time with its zone, and UTC, for a tooltip. */
export function times(at: number): string {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return `${new Date(at).toLocaleString()} (${zone})\n${new Date(at).toISOString()}`;
}

export function bytes(n: number): string {
  if (n < 1_000) return `${n} B`;
  return n < 1_000_000 ? `${(n / 1_000).toFixed(1)} kB` : `${(n / 1_000_000).toFixed(1)} MB`;
}

export const pretty = (value: unknown): string =>
  typeof value === "string" ? value : JSON.stringify(value, null, 2) ?? "";

/** JSON as it is read best; what is none stays as it is. */
export function formatted(text: string): string {
  try {
    return pretty(JSON.parse(text));
  } catch {
    return text;
  }
}

/** What came of something that was done to several, in a sentence. */
export function together({ done, failed }: { done: unknown[]; failed: [string, string][] }, word: string): string {
  const some = failed.length ? `, ${failed.length} not: ${failed[0]![1]}` : "";
  return `${done.length} ${word}${some}`;
}

/** An amount of money: to the cent, and of less than a cent its first two digits. */
export function dollars(usd: number): string {
  if (usd > 0 && usd < 0.1) return `$${usd.toPrecision(2)}`;
  return `$${usd.toLocaleString(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
}
