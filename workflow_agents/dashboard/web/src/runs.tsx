/** The list of runs: filters in the address, the newest first. */
import { useEffect, useState } from "preact/hooks";
import { STATES, base, get, type Overview, type RunLine, type State } from "./api";
import { At, Chip, Empty, Trouble } from "./parts";
import { ask, usePlace } from "./route";
import { useAsked, useNow } from "./use";
import { ago, span } from "./words";

interface Page {
  runs: RunLine[];
  before: number | null;
}

const LIVE_MS = 2_000;

export function Runs() {
  const { query } = usePlace();
  const asked = new URLSearchParams();
  for (const name of ["state", "workflow", "label", "find"]) {
    for (const value of query.getAll(name)) if (value) asked.append(name, value);
  }
  const overview = useAsked<Overview>("overview", LIVE_MS);
  const first = useAsked<Page>(`runs?${asked}`, LIVE_MS);
  const [more, setMore] = useState<{ of: string; pages: Page[] }>({ of: "", pages: [] });
  const pages = more.of === asked.toString() ? more.pages : [];
  const now = useNow(5_000);
  useEffect(() => void (document.title = "Runs · workflow-agents"), []);

  const last = pages.at(-1) ?? first.data;
  const next = async () => {
    const of = asked.toString();
    const page = await get<Page>(`runs?${of}&before=${last?.before}`);
    setMore((old) => ({ of, pages: [...(old.of === of ? old.pages : []), page] }));
  };
  const seen = new Set<number>();
  const lines = [first.data, ...pages].flatMap((page) => page?.runs ?? [])
    .filter(([id]) => !seen.has(id) && seen.add(id));
  const counts = overview.data?.counts;
  const filtered = asked.toString() !== "";

  return (
    <>
      <h1>Runs</h1>
      {(first.error ?? overview.error) && <Trouble error={(first.error ?? overview.error)!} />}
      <div class="filters">
        <nav aria-label="States" class="tabs">
          <Tab state={null} count={counts && Object.values(counts).reduce((a, b) => a + b, 0)} now={query.get("state")} />
          {STATES.map((state) => <Tab key={state} state={state} count={counts?.[state]} now={query.get("state")} />)}
        </nav>
        <label>Workflow{" "}
          <select value={query.get("workflow") ?? ""} onChange={(e) => ask({ workflow: e.currentTarget.value })}>
            <option value="">all</option>
            {overview.data?.workflows.map((workflow) => <option key={workflow}>{workflow}</option>)}
          </select>
        </label>
        <label>Run id{" "}
          <input type="search" value={query.get("find") ?? ""} placeholder="wfr_…" spellcheck={false}
            onInput={(e) => ask({ find: e.currentTarget.value.trim() }, true)} />
        </label>
        {query.get("label") && (
          <button type="button" class="small" onClick={() => ask({ label: null })}>
            label {query.get("label")} ✕
          </button>
        )}
      </div>
      {first.data && !lines.length ? (
        <Empty>
          {filtered ? (
            <p>No run is like that. <a href={`${base}/`}>Show all runs</a></p>
          ) : (
            <>
              <p>Here will be the runs of your workflows. Start one:</p>
              <pre>curl -X POST {location.origin}/… -H 'Content-Type: application/json' -d '{"{}"}'</pre>
            </>
          )}
        </Empty>
      ) : (
        <div class="scroll">
          <table class="list">
            <thead><tr><th>State</th><th>Workflow</th><th>Run</th><th>Labels</th><th>Started</th><th class="number">Took</th></tr></thead>
            <tbody>
              {lines.map(([id, runId, workflow, state, created, ended, labels]) => (
                <tr key={id}>
                  <td><Chip state={state} /></td>
                  <td class="workflow">{workflow}</td>
                  <td><a class="mono" href={`${base}/runs/${encodeURIComponent(runId)}`}>{runId}</a></td>
                  <td>{labels.map((label) => (
                    <a key={label} class="label" href={`${base}/?label=${encodeURIComponent(label)}`}>{label}</a>
                  ))}</td>
                  <td><At at={created} text={ago(created, now)} /></td>
                  <td class="number">{span((ended ?? now) - created)}{ended === null ? " …" : ""}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {last?.before != null && <button type="button" class="more" onClick={next}>Show earlier runs</button>}
    </>
  );
}

function Tab({ state, count, now }: { state: State | null; count: number | undefined; now: string | null }) {
  const selected = now === state || (!now && state === null);
  const query = new URLSearchParams(location.search);
  query.delete("state");
  if (state) query.set("state", state);
  return (
    <a class="tab" href={`${base}/${query.size ? `?${query}` : ""}`} aria-current={selected ? "page" : undefined}>
      {state ? <Chip state={state} /> : "all"} <span class="count">{count?.toLocaleString() ?? ""}</span>
    </a>
  );
}
