/** One run: what it is, why it is where it is, its steps, and what can be done with it. */
import { useEffect, useMemo, useState } from "preact/hooks";
import { Failed, base, post, type Bar, type Run } from "./api";
import { Inspector } from "./inspector";
import { At, Chip, Copy, Dialog, Empty, Trouble, Value } from "./parts";
import { ask, go, usePlace } from "./route";
import { Timeline } from "./timeline";
import { useAsked, useKeys, useNow } from "./use";
import { ago, pretty, span } from "./words";

const VIEWS = ["timeline", "steps", "input and result"] as const;
const LIVE_MS = 1_000;

export function RunPage({ id }: { id: string }) {
  const { query } = usePlace();
  const [every, setEvery] = useState(LIVE_MS);
  const { data: run, error, again } = useAsked<Run>(`runs/${encodeURIComponent(id)}`, every);
  const live = run !== null && run.endedAt === null;
  const now = useNow(live ? 250 : 0);
  const [dialog, setDialog] = useState<{ step: string | null } | null>(null);
  const [done, setDone] = useState<string | null>(null);
  useEffect(() => setEvery(run && !live ? 0 : LIVE_MS), [run, live]);
  useEffect(() => void (document.title = run ? `${run.state}: ${run.workflow}` : "Run"), [run?.state, run?.workflow]);

  const filter = query.get("filter") ?? "";
  const failures = query.get("failures") === "true";
  const bars = useMemo(() => (run?.steps ?? []).filter((bar) =>
    (!filter || bar[1].toLowerCase().includes(filter.toLowerCase())) && (!failures || bar[8].length > 0)),
  [run?.steps, filter, failures]);
  const chosen = query.get("step");
  const bar = run?.steps.find((one) => String(one[0]) === chosen);
  const view = VIEWS.find((one) => one === query.get("view")) ?? "timeline";
  const fork = (step: string | null) => setDialog({ step });
  const cancel = async () => {
    if (!live || !confirm("Cancel this run? None of its steps starts any more.")) return;
    try {
      await post(`runs/${encodeURIComponent(id)}/cancel`);
      again();
    } catch (failed) {
      setDone((failed as Failed).message);
    }
  };
  useKeys({
    Escape: () => ask({ step: null, tab: null }),
    1: () => ask({ view: null }), 2: () => ask({ view: "steps" }), 3: () => ask({ view: "input and result" }),
    r: () => fork(null), f: () => bar && fork(String(bar[0])), c: cancel,
  });
  if (!run) return error ? <><h1>Run</h1><Trouble error={error} /><p><a href={`${base}/`}>All runs</a></p></> : null;
  const ended = run.endedAt ?? Math.max(now, run.now);
  return (
    <>
      <header class="run">
        <p class="quiet"><a href={`${base}/`}>Runs</a> / {run.workflow}</p>
        <h1><Chip state={run.state} /> <span class="mono">{run.runId}</span> <Copy text={run.runId} label="copy" /></h1>
        <p class="facts">
          <span>started <At at={run.createdAt} text={ago(run.createdAt, Date.now())} /></span>
          <span>{live ? "for" : "took"} <b>{span(ended - run.createdAt)}</b></span>
          <span>{run.steps.length.toLocaleString()} {run.steps.length === 1 ? "step" : "steps"}</span>
          {run.labels.map((label) => <a key={label} class="label" href={`${base}/?label=${encodeURIComponent(label)}`}>{label}</a>)}
          {run.parent && <span>invoked by <a class="mono" href={`${base}/runs/${encodeURIComponent(run.parent)}`}>{run.parent}</a></span>}
        </p>
        <div class="actions">
          <button type="button" class="main" onClick={() => fork(null)} title="r">Run again…</button>
          <button type="button" onClick={() => bar && fork(String(bar[0]))} disabled={!bar} title="f">Fork from the step…</button>
          {live && <button type="button" onClick={cancel} title="c">Cancel</button>}
          <Copy text={location.href} label="link" />
          <Copy text={`workflow-agents runs show ${run.runId}`} label="command" />
          <Copy text={`curl -H 'Authorization: Bearer $QSTASH_TOKEN' ${location.origin}/v2/workflows/logs?workflowRunId=${run.runId}`} label="curl" />
        </div>
      </header>
      <p class={`explain ${run.state}`} role="status">{run.explain}</p>
      {done && <div class="trouble" role="alert">{done}</div>}
      {error && <Trouble error={error} />}
      <div class="filters">
        <nav class="tabs" aria-label="Views">
          {VIEWS.map((one, i) => (
            <button type="button" key={one} class="tab" title={String(i + 1)} aria-current={view === one ? "page" : undefined}
              onClick={() => ask({ view: i ? one : null })}>{one}</button>
          ))}
        </nav>
        {view !== "input and result" && (
          <>
            <input type="search" aria-label="Filter steps by name" placeholder="filter steps" value={filter} onInput={(e) => ask({ filter: e.currentTarget.value }, true)} />
            <label><input type="checkbox" checked={failures} onChange={(e) => ask({ failures: e.currentTarget.checked ? "true" : null })} /> failures only</label>
          </>
        )}
      </div>
      {view === "input and result" ? (
        <div class="halves">
          <section><h2>Input</h2><Value value={run.payload} /></section>
          <section><h2>{run.failure ? "Failure" : "Result"}</h2>
            {run.failure ? <Value value={run.failure} /> : live ? <p class="quiet">It has none yet.</p> : <Value value={run.result} />}
          </section>
        </div>
      ) : (
        <div class={`split ${bar ? "open" : ""}`}>
          {run.steps.length ? (
            <Timeline bars={bars} began={run.createdAt} ended={ended} live={live} chosen={chosen}
              choose={(step) => ask({ step }, chosen !== null)} line={view === "timeline"} />
          ) : <Empty><p>It has come to no step yet.</p></Empty>}
          {bar && <Inspector key={chosen} runId={run.runId} bar={bar} tab={query.get("tab") ?? "output"}
            child={run.children.find(([step]) => String(step) === chosen)?.[1] ?? null} fork={() => fork(String(bar[0]))} />}
        </div>
      )}
      {dialog && <Again run={run} bar={run.steps.find((one) => String(one[0]) === dialog.step)} close={() => setDialog(null)} />}
    </>
  );
}

/** Run it again: from the start or from a step, with another input or another result of that step. */
function Again({ run, bar, close }: { run: Run; bar: Bar | undefined; close: () => void }) {
  const [payload, setPayload] = useState(pretty(run.payload));
  const [result, setResult] = useState("");
  const [error, setError] = useState<string | null>(null);
  const original = pretty(run.payload);
  const submit = async (event: Event) => {
    event.preventDefault();
    const asked: Record<string, unknown> = {};
    try {
      if (bar) asked.step = bar[0];
      if (payload !== original) asked.payload = JSON.parse(payload);
      if (result.trim()) asked.result = JSON.parse(result);
    } catch (wrong) {
      setError(`This is no JSON: ${(wrong as Error).message}`);
      return;
    }
    try {
      const made = await post<{ runId: string }>(`runs/${encodeURIComponent(run.runId)}/fork`, asked);
      close();
      go(`/runs/${encodeURIComponent(made.runId)}`);
    } catch (failed) {
      setError((failed as Failed).message);
    }
  };
  return (
    <Dialog title={bar ? `Fork from “${bar[1]}”` : "Run again"} close={close}>
      <form onSubmit={submit}>
        <p class="quiet">{bar
          ? "A new run keeps what was recorded before this step, and goes on from it. What it waits for is waited for again."
          : "A new run begins from the start."}</p>
        <label class="stack">Input{payload !== original && <b> (changed)</b>}
          <textarea rows={8} spellcheck={false} value={payload} onInput={(e) => setPayload(e.currentTarget.value)} />
        </label>
        {bar && (
          <label class="stack">Result of this step, as JSON; empty: it runs again
            <textarea rows={4} spellcheck={false} value={result} onInput={(e) => setResult(e.currentTarget.value)} />
          </label>
        )}
        {error && <div class="trouble" role="alert">{error}</div>}
        <p class="actions"><button type="submit" class="main">Start the new run</button></p>
      </form>
    </Dialog>
  );
}
