/** The list of runs: filters in the address, the newest first. */
import { useState } from "preact/hooks";
import { STATES, base, get, part, post, runPath, session, type Overview, type RunLine, type State } from "./api";
import { At, Chip, Command, Dialog, Empty, Trouble, Wrong, parsed } from "./parts";
import { ask, go, usePlace } from "./route";
import { useAsked, useNow, useTitle } from "./use";
import { ago, span } from "./words";

interface Page {
  runs: RunLine[];
  before: number | null;
}

const ofRuns = ({ kind }: { kind: string }) => kind.startsWith("RUN_") || kind === "STEP_WAITING" || kind === "NOTIFIED";

export function Runs() {
  const { query } = usePlace();
  const asked = new URLSearchParams();
  for (const name of ["state", "workflow", "label", "find"]) {
    for (const value of query.getAll(name)) if (value) asked.append(name, value);
  }
  const overview = useAsked<Overview>("overview", ofRuns);
  const first = useAsked<Page>(`runs?${asked}`, ofRuns);
  const [more, setMore] = useState<{ of: string; pages: Page[] }>({ of: "", pages: [] });
  const pages = more.of === asked.toString() ? more.pages : [];
  const now = useNow(5_000);
  const [start, setStart] = useState(false);
  useTitle("Runs · workflow-agents");

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
      <div class="head"><h1>Runs</h1><span class="fill" />
        <SavedViews query={asked.toString()} />
        {session.mayChange && !!session.serves?.length && <button type="button" class="main" onClick={() => setStart(true)}>Start a run…</button>}
      </div>
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
              <p>Here will be the runs of your workflows.</p>
              {session.serves?.length ? <p><button type="button" class="main" onClick={() => setStart(true)}>Start the first run…</button></p> : (
                <>
                  <p>Send your workflow a request; its address is that of your application:</p>
                  <Command text={`curl -X POST http://localhost:8000/your-workflow -H 'Content-Type: application/json' -d '{}'`} />
                </>
              )}
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
                  <td><a class="mono" href={runPath(runId)}>{runId}</a></td>
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
      {start && <Start close={() => setStart(false)} />}
    </>
  );
}

function Start({ close }: { close: () => void }) {
  const [wrong, setWrong] = useState("");
  const submit = async (event: Event) => {
    event.preventDefault();
    const form = new FormData(event.target as HTMLFormElement);
    const found = parsed(String(form.get("payload")));
    if ("wrong" in found) return setWrong(found.wrong);
    try {
      const { runId } = await post<{ runId: string }>("runs", { workflow: form.get("workflow"), payload: found.value });
      close();
      go(`/runs/${part(runId)}`);
    } catch (failed) {
      setWrong((failed as Error).message);
    }
  };
  return (
    <Dialog title="Start a run" close={close}>
      <form onSubmit={submit}>
        <label class="stack">Workflow <select name="workflow">{session.serves!.map((path) => <option key={path}>{path}</option>)}</select></label>
        <label class="stack">Input, as JSON <textarea name="payload" rows={6} spellcheck={false}>{"{}"}</textarea></label>
        {wrong && <Wrong text={wrong} />}
        <p class="actions"><button type="submit" class="main">Start</button></p>
      </form>
    </Dialog>
  );
}

/** Filters with a name, kept in this browser; a link shares one. */
function SavedViews({ query }: { query: string }) {
  const [views, setViews] = useState<Record<string, string>>(() => {
    try {
      return JSON.parse(localStorage.getItem("views") ?? "{}");
    } catch {
      return {};
    }
  });
  const [naming, setNaming] = useState(false);
  const keep = (now: Record<string, string>) => {
    localStorage.setItem("views", JSON.stringify(now));
    setViews(now);
  };
  const save = (event: Event) => {
    event.preventDefault();
    const name = String(new FormData(event.target as HTMLFormElement).get("name")).trim();
    if (name) keep({ ...views, [name]: query });
    setNaming(false);
  };
  return (
    <span class="views">
      {Object.entries(views).map(([name, of]) => (
        <span key={name} class="view"><a href={`${base}/?${of}`}>{name}</a>
          <button type="button" class="quiet small" aria-label={`Forget the view ${name}`} onClick={() => keep(Object.fromEntries(Object.entries(views).filter(([one]) => one !== name)))}>✕</button></span>
      ))}
      {naming ? <form onSubmit={save}><input name="name" aria-label="Name of the view" autofocus placeholder="name" /></form>
        : query && <button type="button" class="quiet small" onClick={() => setNaming(true)}>save view</button>}
    </span>
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
