/** One run: what it is, why it is where it is, its steps, and what can be done with it. */
import { useMemo, useState } from "preact/hooks";
import { Failed, base, part, post, runPath, session, type Bar, type Run } from "./api";
import { Diff } from "./approvals";
import { Conversation } from "./conversation";
import { Inspector } from "./inspector";
import { Ago, Chip, Copy, Dialog, Empty, Sure, Trouble, Value, Wrong, doing, parsed } from "./parts";
import { ask, go, usePlace } from "./route";
import { Timeline } from "./timeline";
import { useKeys, useNow, useRun, useTitle } from "./use";
import { WaitPanel } from "./waits";
import { pretty, span } from "./words";

const VIEWS = ["timeline", "steps", "conversation", "input and result"] as const;

export function RunPage({ id }: { id: string }) {
  const { query } = usePlace();
  const { data: run, error, again } = useRun(id);
  const live = run !== null && run.endedAt === null;
  const now = useNow(live ? 1_000 : 0);
  const [dialog, setDialog] = useState<{ step: string | null } | null>(null);
  const [sure, setSure] = useState(false);
  useTitle(run ? `${run.state}: ${run.workflow}` : "Run");

  const filter = query.get("filter") ?? "";
  const failures = query.get("failures") === "true";
  const bars = useMemo(() => (run?.steps ?? []).filter((bar) =>
    (!filter || bar[1].toLowerCase().includes(filter.toLowerCase())) && (!failures || bar[8].length > 0)),
  [run?.steps, filter, failures]);
  const chosen = query.get("step");
  const bar = run?.steps.find((one) => String(one[0]) === chosen);
  const view = VIEWS.find((one) => one === query.get("view")) ?? "timeline";
  const mayFork = run !== null && !run.remote;
  const fork = (step: string | null) => mayFork && setDialog({ step });
  const cancel = () => doing(() => post(`runs/${part(id)}/cancel`), "It is cancelled", again);
  useKeys({
    Escape: () => ask({ step: null, tab: null }),
    1: () => ask({ view: null }), 2: () => ask({ view: "steps" }), 3: () => run?.agent && ask({ view: "conversation" }),
    4: () => ask({ view: "input and result" }),
    r: () => fork(null), f: () => bar && fork(String(bar[0])), c: () => live && setSure(true),
  });
  if (!run) return error ? <><h1>Run</h1><Trouble error={error} /><p><a href={`${base}/`}>All runs</a></p></> : null;
  const ended = run.endedAt ?? Math.max(now, run.now);
  return (
    <>
      <header class="run">
        <p class="quiet"><a href={`${base}/`}>Runs</a> / {run.workflow}</p>
        <h1><Chip state={run.state} /> <span class="mono">{run.runId}</span> <Copy text={run.runId} label="copy" /></h1>
        <p class="facts">
          <span>started <Ago at={run.createdAt} /></span>
          <span>{live ? "for" : "took"} <b>{span(ended - run.createdAt)}</b></span>
          <span>{run.steps.length.toLocaleString()} {run.steps.length === 1 ? "step" : "steps"}</span>
          {run.attempt > 0 && <span>attempt {run.attempt + 1}</span>}
          {run.labels.map((label) => <a key={label} class="label" href={`${base}/?label=${encodeURIComponent(label)}`}>{label}</a>)}
        </p>
        <Lineage run={run} />
        <div class="actions">
          {mayFork && <button type="button" class="main" onClick={() => fork(null)} title="r">Run again…</button>}
          {mayFork && <button type="button" onClick={() => bar && fork(String(bar[0]))} disabled={!bar} title="f">Fork from the step…</button>}
          {live && <button type="button" onClick={() => setSure(true)} title="c">Cancel…</button>}
          {run.lineage.forkedFrom ? <a class="button" href={`${base}/compare?a=${part(run.lineage.forkedFrom)}&b=${part(run.runId)}`}>Compare with its origin</a>
            : <a class="button" href={`${base}/compare?a=${part(run.runId)}`}>Compare…</a>}
          <span class="fill" />
          <span class="quiet small">copy</span>
          <Copy text={location.href} label="link" />
          <Copy text={`workflow-agents runs show ${run.runId}`} label="command" />
          {session.server && <Copy text={`curl -H "Authorization: Bearer $QSTASH_TOKEN" '${location.origin}/v2/workflows/logs?workflowRunId=${part(run.runId)}'`} label="curl" />}
          <Copy text={`log = await client.log(${JSON.stringify(run.runId)})`} label="Python" />
        </div>
      </header>
      <p class={`explain ${run.state}`} role="status">{run.explain}</p>
      {error && <Trouble error={error} />}
      {run.state === "waiting" && <WaitPanel runId={run.runId} changed={run.seq} />}
      <div class="filters">
        <nav class="tabs" aria-label="Views">
          {VIEWS.map((one, i) => (one !== "conversation" || run.agent) && (
            <button type="button" key={one} class="tab" title={String(i + 1)} aria-current={view === one ? "page" : undefined}
              onClick={() => ask({ view: i ? one : null })}>{one}</button>
          ))}
        </nav>
        {(view === "timeline" || view === "steps") && (
          <>
            <input type="search" aria-label="Filter steps by name" placeholder="filter steps" value={filter} onInput={(e) => ask({ filter: e.currentTarget.value }, true)} />
            <label><input type="checkbox" checked={failures} onChange={(e) => ask({ failures: e.currentTarget.checked ? "true" : null })} /> failures only</label>
          </>
        )}
      </div>
      {view === "conversation" ? <Conversation run={run} /> : view === "input and result" ? (
        <div class="halves">
          <section><h2>Input</h2><Value value={run.payload} label="Input" /></section>
          <section><h2>{run.failure ? "Failure" : "Result"}</h2>
            {run.failure ? <Value value={run.failure} label="Failure" /> : live ? <p class="quiet">It has none yet.</p> : <Value value={run.result} label="Result" />}
          </section>
        </div>
      ) : (
        <div class={`split ${bar ? "open" : ""}`}>
          {run.steps.length ? (
            <Timeline bars={bars} began={run.createdAt} ended={ended} live={live} chosen={chosen}
              choose={(step) => ask({ step }, chosen !== null)} line={view === "timeline"} />
          ) : <Empty><p>It has come to no step yet.</p></Empty>}
          {bar && <Inspector key={chosen} runId={run.runId} bar={bar} seq={run.seq} tab={query.get("tab") ?? ""}
            child={run.children.find(([step]) => String(step) === chosen)?.[1] ?? null} fork={mayFork ? () => fork(String(bar[0])) : null} />}
        </div>
      )}
      {dialog && <Again run={run} bar={run.steps.find((one) => String(one[0]) === dialog.step)} close={() => setDialog(null)} />}
      {sure && <Sure title="Cancel this run?" text="None of its steps starts any more. That is final." word="Cancel the run" act={cancel} close={() => setSure(false)} />}
    </>
  );
}

/** What it was made of, and what it has made. */
function Lineage({ run }: { run: Run }) {
  const { forkedFrom, resumedFrom, restartedFrom, step } = run.lineage;
  const to = (id: string) => <a class="mono" href={runPath(id)}>{id}</a>;
  if (!run.parent && !forkedFrom && !resumedFrom && !restartedFrom && !run.children.length) return null;
  return (
    <p class="facts lineage">
      {run.parent && <span>invoked by {to(run.parent)}</span>}
      {forkedFrom && <span>forked from {to(forkedFrom)}{step != null && <> at step <code>{step}</code></>}</span>}
      {resumedFrom && <span>goes on with {to(resumedFrom)}</span>}
      {restartedFrom && <span>begins {to(restartedFrom)} again</span>}
      {run.children.slice(0, 8).map(([key, child, state]) => <span key={child}><Chip state={state} word="" /> invoked {to(child)} at step <code>{key}</code></span>)}
      {run.children.length > 8 && <span>and {run.children.length - 8} more</span>}
    </p>
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
    const asked: Record<string, unknown> = bar ? { step: bar[0] } : {};
    for (const [name, text] of [["payload", payload], ["result", result]] as const) {
      if (name === "payload" ? text === original : !text.trim()) continue;
      // What was a text is one still, whatever is written.
      const found = name === "payload" && typeof run.payload === "string" ? { value: text } : parsed(text);
      if ("wrong" in found) return setError(found.wrong);
      asked[name] = found.value;
    }
    try {
      const made = await post<{ runId: string }>(`runs/${part(run.runId)}/fork`, asked);
      close();
      go(`/runs/${part(made.runId)}`);
    } catch (failed) {
      setError([(failed as Failed).message, ...((failed as Failed).found ?? [])].join(": "));
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
        {payload !== original && <Diff before={original} after={payload} />}
        {error && <Wrong text={error} />}
        <p class="actions"><button type="submit" class="main">Start the new run</button></p>
      </form>
    </Dialog>
  );
}
