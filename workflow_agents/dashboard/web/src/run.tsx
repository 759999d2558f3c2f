/** One run: what it is, why it is where it is, its steps, and what can be done with it. */
import { useMemo, useState } from "preact/hooks";
import { Again, Otherwise } from "./again";
import { base, part, post, runPath, type Bar, type Run } from "./api";
import { toCancel, toShow } from "./commands";
import { Conversation } from "./conversation";
import { Inspector } from "./inspector";
import { Value } from "./json";
import { Ago, Chip, Copies, Empty, Sure, Trouble, doing } from "./parts";
import { ask, go, usePlace } from "./route";
import { Timeline, type Inner } from "./timeline";
import { useKeys, useNow, useRun, useRuns, useTitle } from "./use";
import { WaitPanel } from "./waits";
import { count, span } from "./words";

const VIEWS = ["timeline", "steps", "conversation", "input and result"] as const;

export function RunPage({ id }: { id: string }) {
  const { query } = usePlace();
  const { data: run, error, again } = useRun(id);
  const live = run !== null && run.endedAt === null;
  // What only waits is drawn anew less often: that is most of what a page costs nobody touches.
  const now = useNow(!live ? 0 : run.state === "running" ? 1_000 : 5_000);
  const [dialog, setDialog] = useState<{ step: string | null } | null>(null);
  const [sure, setSure] = useState(false);
  useTitle(run ? `${run.state}: ${run.workflow}` : "Run");

  const filter = query.get("filter") ?? "";
  const failures = query.get("failures") === "true";
  const opened = query.get("inside") ?? "";
  const inside = useRuns(opened.split(" ").filter(Boolean));
  const lines = useMemo(() => linesOf(run, inside, filter.toLowerCase(), failures), [run?.steps, run?.children, inside, filter, failures]);
  const chosen = query.get("step");
  const bar = useMemo(() => (chosen === null ? undefined : run?.steps.find((one) => String(one[0]) === chosen)), [run?.steps, chosen]);
  const view = VIEWS.find((one) => one === query.get("view")) ?? "timeline";
  const mayFork = run !== null && !run.remote;
  const fork = (step: string | null) => mayFork && setDialog({ step });
  const cancel = () => doing(() => post(`runs/${part(id)}/cancel`), "It is cancelled", again);
  useKeys({
    Escape: () => ask({ step: null, tab: null, attempt: null }),
    1: () => ask({ view: null }), 2: () => ask({ view: "steps" }), 3: () => run?.agent && ask({ view: "conversation" }),
    4: () => ask({ view: "input and result" }),
    r: () => fork(null), f: () => bar && fork(String(bar[0])), c: () => live && setSure(true),
  });
  if (!run) return error ? <><h1>Run</h1><Trouble error={error} /><p><a href={`${base}/`}>All runs</a></p></> : null;
  const ended = run.endedAt ?? Math.max(now, run.now);
  const steps = view === "timeline" || view === "steps";
  const waits = run.state === "waiting" && <WaitPanel runId={run.runId} changed={run.seq} />;
  return (
    <>
      <header class="run">
        <p class="quiet"><a href={`${base}/`}>Runs</a> / {run.workflow}</p>
        <h1><Chip state={run.state} /> <span class="mono">{run.runId}</span></h1>
        <p class="facts">
          <span>started <Ago at={run.createdAt} /></span>
          <span>{live ? "for" : "took"} <b>{span(ended - run.createdAt)}</b></span>
          <span>{count(run.steps.length)} {run.steps.length === 1 ? "step" : "steps"}</span>
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
          <Copies of={{ link: location.href, id: run.runId, ...toShow(run.runId) }} />
        </div>
      </header>
      <p class={`explain ${run.state}`} role="status">{run.explain}</p>
      {error && <Trouble error={error} />}
      {waits && !steps && waits}
      <div class="filters">
        <nav class="tabs" aria-label="Views">
          {VIEWS.map((one, i) => (one !== "conversation" || run.agent) && (
            <button type="button" key={one} class="tab" title={String(i + 1)} aria-current={view === one ? "page" : undefined}
              onClick={() => ask({ view: i ? one : null })}>{one}</button>
          ))}
        </nav>
        {steps && (
          <>
            <input type="search" aria-label="Filter steps by name" placeholder="filter steps" value={filter} onInput={(e) => ask({ filter: e.currentTarget.value }, true)} />
            <label><input type="checkbox" checked={failures} onChange={(e) => ask({ failures: e.currentTarget.checked ? "true" : null })} /> failures only</label>
          </>
        )}
      </div>
      {view === "conversation" ? <Conversation run={run} fork={mayFork ? fork : null} /> : view === "input and result" ? (
        <div class="halves">
          <section><h2>Input</h2><Value value={run.payload} label="Input" /></section>
          <section><h2>{run.failure ? "Failure" : "Result"}</h2>
            {run.failure ? <Value value={run.failure} label="Failure" /> : live ? <p class="quiet">It has none yet.</p> : <Value value={run.result} label="Result" />}
          </section>
        </div>
      ) : (
        <div class={`split ${bar ? "open" : waits ? "open asked" : ""}`}>
          {run.steps.length ? (
            <Timeline {...lines} began={run.createdAt} ended={ended} live={live} chosen={chosen} line={view === "timeline"}
              choose={(one) => {
                const of = lines.inner.get(one)?.of;
                return of ? go(`/runs/${part(of)}?step=${part(one[0])}`) : ask({ step: String(one[0]) }, chosen !== null);
              }}
              fold={(one) => {
                const { child, open } = lines.inner.get(one)!;
                ask({ inside: open ? opened.split(" ").filter((id) => id !== child).join(" ") : `${opened} ${child}`.trim() }, true);
              }} />
          ) : <Empty><p>It has come to no step yet.</p></Empty>}
          {!bar && waits && <aside class="side" aria-label="What it waits for">{waits}</aside>}
          {bar && <Inspector key={chosen} runId={run.runId} bar={bar} seq={run.seq} tab={query.get("tab") ?? ""} attempt={query.get("attempt")}
            child={run.children.find(([step]) => String(step) === chosen)?.[1] ?? null} fork={mayFork ? () => fork(String(bar[0])) : null} />}
        </div>
      )}
      {dialog && <Again run={run} bar={run.steps.find((one) => String(one[0]) === dialog.step)} close={() => setDialog(null)} />}
      {sure && <Sure title="Cancel this run?" text={<>None of its steps starts any more. That is final.<Copies of={toCancel(id)} /></>} word="Cancel the run" act={cancel} close={() => setSure(false)} />}
    </>
  );
}

/** The rows of a timeline: the steps of a run, and within them those of runs that they have invoked. */
function linesOf(run: Run | null, inside: Map<string, Run>, filter: string, failures: boolean): { bars: Bar[]; inner: Map<Bar, Inner> } {
  const inner = new Map<Bar, Inner>();
  if (!run) return { bars: [], inner };
  const found = !filter && !failures ? run.steps : run.steps.filter((bar) =>
    (!filter || bar[1].toLowerCase().includes(filter)) && (!failures || bar[8].length > 0));
  if (!run.children.length) return { bars: found, inner };
  const bars: Bar[] = [];
  const add = (steps: Bar[], of: Run, depth: number) => {
    const children = new Map(of.children.map(([step, child]) => [step, child]));
    for (const step of steps) {
      const bar: Bar = depth ? [...step] : step;
      if (depth) bar[4] += depth;
      bars.push(bar);
      const child = children.get(step[0]);
      const shown = child === undefined ? undefined : inside.get(child);
      if (depth || child) inner.set(bar, { ...(child && { child, open: shown !== undefined }), ...(depth && { of: of.runId }) });
      if (shown) add(shown.steps, shown, bar[4] + 1);
    }
  };
  add(found, run, 0);
  return { bars, inner };
}

/** What it was made of, and what it has made. */
function Lineage({ run }: { run: Run }) {
  const { forkedFrom, resumedFrom, restartedFrom, step, asks } = run.lineage;
  const to = (id: string) => <a class="mono" href={runPath(id)}>{id}</a>;
  if (!run.parent && !forkedFrom && !resumedFrom && !restartedFrom && !run.children.length) return null;
  return (
    <p class="facts lineage">
      {run.parent && <span>invoked by {to(run.parent)}</span>}
      {forkedFrom && <span>forked from {to(forkedFrom)}{step != null && <> at step <code>{step}</code></>}</span>}
      {resumedFrom && <span>goes on with {to(resumedFrom)}</span>}
      {asks && <Otherwise asks={asks} />}
      {restartedFrom && <span>begins {to(restartedFrom)} again</span>}
      {run.children.slice(0, 8).map(([key, child, state]) => <span key={child}><Chip state={state} word="" /> invoked {to(child)} at step <code>{key}</code></span>)}
      {run.children.length > 8 && <span>and {run.children.length - 8} more</span>}
    </p>
  );
}
