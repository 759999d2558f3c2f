/** A table of runs, and how its rows are kept still while somebody is at them. */
import { useEffect, useRef, useState } from "preact/hooks";
import { base, runPath, type RunLine } from "./api";
import { At, Chip } from "./parts";
import { useNow } from "./use";
import { ago, span } from "./words";

const SCROLLED = 120;
/** What is held back stays so for a while after the pointer has left: it may be on its way to the button. */
const LINGERS_MS = 5_000;

/**
 * Of these lines, those to show now; how many are held back; shows them; what is told of the pointer.
 *
 * New ones come by themselves while nobody is at the list: no pointer over it, no focus in it,
 * nothing selected, and not scrolled down.
 */
export function useHeld(lines: RunLine[], busy: boolean): [RunLine[], number, () => void, (on: boolean) => void] {
  const [over, setOver] = useState(false);
  const leaves = useRef(0);
  const top = useRef<number | null>(null);
  const before = useRef<RunLine[]>([]);
  const seen = new Set<number>();
  const all = lines.filter(([id]) => !seen.has(id) && seen.add(id));
  const held = busy || over || document.documentElement.scrollTop > SCROLLED;
  if (!held || top.current === null || !before.current.length) top.current = all[0]?.[0] ?? null;
  let shown = all.filter(([id]) => top.current === null || id <= top.current);
  if (held) {
    // What has left the first page because of those that came stays where it is.
    shown = [...shown, ...before.current.filter(([id]) => !seen.has(id))].sort(([a], [b]) => b - a);
  }
  before.current = shown;
  const fresh = all.length - shown.filter(([id]) => seen.has(id)).length;
  useEffect(() => () => clearTimeout(leaves.current), []);
  const pointer = (on: boolean) => {
    clearTimeout(leaves.current);
    if (on || !fresh) setOver(on);
    else leaves.current = setTimeout(() => setOver(false), LINGERS_MS);
  };
  const [, again] = useState(0);
  const show = () => {
    top.current = null;
    before.current = [];
    // The button goes away under the pointer, which is not told as its leaving.
    clearTimeout(leaves.current);
    setOver(false);
    again((n) => n + 1);
    scrollTo({ top: 0 });
  };
  return [shown, fresh, show, pointer];
}

export const COLUMNS: [string, string][] = [
  ["state", "State"], ["workflow", "Workflow"], ["run", "Run"], ["labels", "Labels"],
  ["started", "Started"], ["ended", "Ended"], ["took", "Took"],
];

export function RunTable(
  { lines, columns, chosen, choose, over }:
  { lines: RunLine[]; columns: string[]; chosen: Set<string> | null; choose: (to: Set<string>) => void; over: (on: boolean) => void },
) {
  const now = useNow(5_000);
  const shown = COLUMNS.filter(([name]) => columns.includes(name));
  const every = lines.length > 0 && lines.every(([, id]) => chosen?.has(id));
  const toggle = (id: string) => {
    const to = new Set(chosen);
    if (!to.delete(id)) to.add(id);
    choose(to);
  };
  return (
    <div class="scroll" onPointerEnter={(event) => event.pointerType === "mouse" && over(true)} onPointerLeave={() => over(false)}>
      <table class="list stack">
        <thead><tr>
          {chosen && <th class="select"><input type="checkbox" aria-label="Select all that are shown" checked={every} onChange={() => choose(every ? new Set() : new Set(lines.map(([, id]) => id)))} /></th>}
          {shown.map(([name, title]) => <th key={name} class={name === "took" ? "number" : undefined}>{title}</th>)}
        </tr></thead>
        <tbody>
          {lines.map((line) => (
            <tr key={line[0]} class={chosen?.has(line[1]) ? "chosen" : undefined}>
              {chosen && <td class="select"><input type="checkbox" aria-label={`Select ${line[1]}`} checked={chosen.has(line[1])} onChange={() => toggle(line[1])} /></td>}
              {shown.map(([name]) => <Cell key={name} of={name} line={line} now={now} />)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Cell({ of, line: [, runId, workflow, state, created, ended, labels], now }: { of: string; line: RunLine; now: number }) {
  switch (of) {
    case "state": return <td><Chip state={state} /></td>;
    case "workflow": return <td class="workflow">{workflow}</td>;
    case "run": return <td><a class="mono" href={runPath(runId)}>{runId}</a></td>;
    case "labels": return <td>{labels.map((label) => <a key={label} class="label" href={`${base}/?label=${encodeURIComponent(label)}`}>{label}</a>)}</td>;
    case "started": return <td><At at={created} text={ago(created, now)} /></td>;
    case "ended": return <td>{ended === null ? <span class="quiet">–</span> : <At at={ended} text={ago(ended, now)} />}</td>;
    default: return <td class="number">{span((ended ?? now) - created)}{ended === null ? " …" : ""}</td>;
  }
}
