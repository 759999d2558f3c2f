/** A value as JSON: searched, with the path of what is found; what is large is shown in part. */
import { useMemo, useState } from "preact/hooks";
import { Copy } from "./parts";
import { bytes, pretty } from "./words";

const SHOWN = 64_000;
const FOUND = 100;
/** A value that is shorter than this is read as fast as it is searched. */
const SEARCHED = 400;

type Found = [path: string, value: unknown];

const PLAIN = /^[A-Za-z_$][\w$]*$/;
const below = (path: string, key: string | number) =>
  typeof key === "number" ? `${path}[${key}]` : PLAIN.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;

/** Members whose name or value has the text, with their paths. */
export function search(value: unknown, text: string): Found[] {
  const found: Found[] = [];
  const wanted = text.toLowerCase();
  const look = (value: unknown, path: string, name: string) => {
    if (found.length >= FOUND) return;
    if (value !== null && typeof value === "object") {
      if (name.toLowerCase().includes(wanted)) found.push([path, value]);
      if (Array.isArray(value)) value.forEach((one, i) => look(one, below(path, i), ""));
      else for (const [key, one] of Object.entries(value)) look(one, below(path, key), key);
    } else if (name.toLowerCase().includes(wanted) || String(value).toLowerCase().includes(wanted)) found.push([path, value]);
  };
  look(value, "$", "");
  return found;
}

/** The path of what stands in a line of `pretty(value)`. */
export function pathOf(text: string, line: number): string {
  const stack: { path: string; next: number | null }[] = [];
  const lines = text.split("\n");
  let path = "$";
  for (let at = 0; at <= line && at < lines.length; at++) {
    const trimmed = lines[at]!.trim();
    if (/^[\]}],?$/.test(trimmed)) {
      path = stack.pop()?.path ?? "$";
      continue;
    }
    const top = stack.at(-1);
    const key = /^("(?:[^"\\]|\\.)*"): /.exec(trimmed)?.[1];
    path = !top ? "$" : top.next === null ? below(top.path, JSON.parse(key ?? '""')) : below(top.path, top.next++);
    if (/[[{]$/.test(trimmed)) stack.push({ path, next: trimmed.endsWith("[") ? 0 : null });
  }
  return path;
}

function save(text: string, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function Value({ value, label = "Value" }: { value: unknown; label?: string }) {
  const [whole, setWhole] = useState(false);
  const [find, setFind] = useState("");
  const [path, setPath] = useState<string | null>(null);
  const text = useMemo(() => pretty(value), [value]);
  const found = useMemo(() => (find ? search(value, find) : null), [value, find]);
  const large = text.length > SHOWN;
  const nested = value !== null && typeof value === "object";
  const point = (event: MouseEvent) => {
    if (!nested || !getSelection()?.isCollapsed) return;
    const at = document.caretPositionFromPoint?.(event.clientX, event.clientY);
    if (at) setPath(pathOf(text, text.slice(0, at.offset).split("\n").length - 1));
  };
  return (
    <div class="value">
      <div class="tools">
        {text.length > SEARCHED && <input type="search" aria-label={`Find in ${label.toLowerCase()}`} placeholder="find" value={find} onInput={(e) => setFind(e.currentTarget.value)} />}
        {path && !found && <><code class="cut">{path}</code><Copy text={path} label="copy path" /></>}
        <span class="fill" />
        <Copy text={text} label="copy" />
      </div>
      {large && !found && (
        <p class="large"><b>{bytes(text.length)}</b> — <button type="button" class="link" onClick={() => save(text, `${label}.json`)}>download</button> or{" "}
          <button type="button" class="link" onClick={() => setWhole(!whole)}>{whole ? "show the first 64 kB" : "show all of it"}</button></p>
      )}
      {found ? (
        <ul class="found" aria-label={`Found in ${label.toLowerCase()}`}>
          {!found.length && <li class="quiet">nothing has it</li>}
          {found.map(([where, one]) => (
            <li key={where}><code>{where}</code> <span class="quiet">{pretty(one).slice(0, 200)}</span> <Copy text={where} label="copy path" /></li>
          ))}
          {found.length === FOUND && <li class="quiet">and perhaps more: the first {FOUND} are shown</li>}
        </ul>
      ) : <pre tabIndex={0} aria-label={label} onClick={point}>{large && !whole ? text.slice(0, SHOWN) : text}</pre>}
    </div>
  );
}
