/** What a search in inputs, results and steps has found, and how far it has looked. */
import { useState } from "preact/hooks";
import { get, runPath, type State } from "./api";
import { At, Chip, Empty, Trouble } from "./parts";
import { nothing, useAsked, useNow } from "./use";
import { ago } from "./words";

/** run id, workflow, state, created at, where, step, text */
type Match = [string, string, State, number, string, string | null, string];

interface Page {
  matches: Match[];
  looked_at: number;
  looked_until: number | null;
  stopped_by: "end" | "enough" | "runs" | "time";
  left_out: number;
  cursor: string | null;
}

const WHY = { end: "that is all of them", enough: "these were enough for a page", runs: "it looks into so many at once", time: "it looks for two seconds at once" };

export function Found({ text, asked }: { text: string; asked: URLSearchParams }) {
  const query = new URLSearchParams([...asked, ["search", text]]);
  const first = useAsked<Page>(`search?${query}`, nothing);
  const [more, setMore] = useState<Page[]>([]);
  const [busy, setBusy] = useState(false);
  const now = useNow(5_000);
  const pages = [first.data, ...more].filter((page) => page !== null);
  const last = pages.at(-1);
  const matches = pages.flatMap((page) => page.matches);
  const sum = (of: (page: Page) => number) => pages.reduce((n, page) => n + of(page), 0);
  const next = async () => {
    setBusy(true);
    const page = await get<Page>(`search?${query}&before=${last?.cursor}`);
    setMore((old) => [...old, page]);
    setBusy(false);
  };
  if (first.error) return <Trouble error={first.error} />;
  if (!last) return <p class="quiet" role="status">Looking…</p>;
  const until = pages.findLast((page) => page.looked_until !== null)?.looked_until;
  return (
    <>
      <p class="quiet" role="status">
        Looked into {sum((page) => page.looked_at).toLocaleString()} runs, the newest first{until != null && <>, back to <At at={until} text={ago(until, now)} /></>}: {WHY[last.stopped_by]}.
        {sum((page) => page.left_out) > 0 && ` ${sum((page) => page.left_out).toLocaleString()} values above 4 MiB were left out.`}
      </p>
      {matches.length ? (
        <div class="scroll"><table class="list stack">
          <thead><tr><th>State</th><th>Workflow</th><th>Run</th><th>In</th><th>Text</th><th>Started</th></tr></thead>
          <tbody>{matches.map(([id, workflow, state, at, where, step, around]) => (
            <tr key={id}>
              <td><Chip state={state} /></td><td class="workflow">{workflow}</td>
              <td><a class="mono" href={`${runPath(id)}${step === null ? "?view=input and result" : ""}`}>{id}</a></td>
              <td>{step ?? where}</td><td class="around"><code><Marked text={around} of={text} /></code></td>
              <td><At at={at} text={ago(at, now)} /></td>
            </tr>
          ))}</tbody>
        </table></div>
      ) : <Empty><p>{last.cursor ? "It stands in none of these." : "It stands in no run."}</p></Empty>}
      {last.cursor && <button type="button" class="more" disabled={busy} onClick={next}>Look further</button>}
    </>
  );
}

function Marked({ text, of }: { text: string; of: string }) {
  const at = text.toLowerCase().indexOf(of.toLowerCase());
  if (at < 0) return <>{text}</>;
  return <>{text.slice(0, at)}<mark>{text.slice(at, at + of.length)}</mark>{text.slice(at + of.length)}</>;
}
