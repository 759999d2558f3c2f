/** Two runs side by side, step by step. */
import { useState } from "preact/hooks";
import { part, runPath, type Key, type State, type Step } from "./api";
import { Diff } from "./approvals";
import { Value } from "./json";
import { At, Chip, Empty, Trouble } from "./parts";
import { ask, usePlace } from "./route";
import { nothing, useAsked, useTitle } from "./use";
import { pretty, span } from "./words";

type Side = [string, string, string, number, number | null] | null;

interface Compared {
  runs: { runId: string; workflow: string; state: State; createdAt: number; endedAt: number | null; payload: unknown }[];
  rows: [Key, Side, Side, boolean][];
  now: number;
}

export function Compare() {
  const { query } = usePlace();
  const a = query.get("a");
  const b = query.get("b");
  const { data, error } = useAsked<Compared>(a && b ? `compare?a=${part(a)}&b=${part(b)}` : null, nothing);
  const [same, setSame] = useState(true);
  const chosen = query.get("step");
  useTitle("Compare · workflow-agents");
  const took = (side: Side) => side && span((side[4] ?? data!.now) - side[3]);
  const rows = data?.rows.filter(([, one, other, equal]) => same || !equal || !one || !other) ?? [];
  const differ = data?.rows.filter(([, , , equal]) => !equal).length;
  return (
    <>
      <h1>Compare</h1>
      <Choose a={a} b={b} />
      {error && <Trouble error={error} />}
      {data && (
        <>
          <p class="facts"><b>{differ === 0 ? "All steps have the same results." : `${differ} of ${data.rows.length} steps differ.`}</b>
            <label><input type="checkbox" checked={!same} onChange={(e) => setSame(!e.currentTarget.checked)} /> differences only</label></p>
          <div class="scroll"><table class="list compare">
            <thead>
              <tr><th>Step</th>{data.runs.map((run) => <th key={run.runId}><a class="mono" href={runPath(run.runId)}>{run.runId}</a></th>)}<th>Result</th></tr>
              <tr><th>{data.runs[0]!.workflow}</th>{data.runs.map((run) => <td key={run.runId}><Chip state={run.state} /> <At at={run.createdAt} /> {span((run.endedAt ?? data.now) - run.createdAt)}</td>)}
                <td>{pretty(data.runs[0]!.payload) === pretty(data.runs[1]!.payload) ? "same input" : <b class="differs">other input</b>}</td></tr>
            </thead>
            <tbody>{rows.map(([key, one, other, equal]) => (
              <tr key={key} class={chosen === String(key) ? "chosen" : ""}>
                <td><button type="button" class="link" onClick={() => ask({ step: String(key) }, true)}>{(one ?? other)![0]}</button> <span class="quiet">{(one ?? other)![1]}</span></td>
                {[one, other].map((side, i) => <td key={i}>{side ? <><Chip state={side[2]} /> {took(side)}</> : <span class="quiet">not there</span>}</td>)}
                <td>{equal ? <span class="quiet">same</span> : <b class="differs">differs</b>}</td>
              </tr>
            ))}</tbody>
          </table></div>
          {chosen && <Both step={chosen} runs={data.runs.map(({ runId }) => runId)} />}
        </>
      )}
      {!a || !b ? <Empty><p>Give the ids of two runs. On the page of a run, “Compare” gives the first.</p></Empty> : null}
    </>
  );
}

function Choose({ a, b }: { a: string | null; b: string | null }) {
  const submit = (event: Event) => {
    event.preventDefault();
    const form = new FormData(event.target as HTMLFormElement);
    ask({ a: String(form.get("a")).trim(), b: String(form.get("b")).trim(), step: null });
  };
  return (
    <form class="filters" onSubmit={submit}>
      <label>Run <input class="mono" name="a" required defaultValue={a ?? ""} placeholder="wfr_…" spellcheck={false} /></label>
      <label>with <input class="mono" name="b" required defaultValue={b ?? ""} placeholder="wfr_…" spellcheck={false} /></label>
      <button type="submit">Compare</button>
    </form>
  );
}

function Both({ step, runs }: { step: string; runs: string[] }) {
  const one = useAsked<Step>(`runs/${part(runs[0]!)}/steps/${part(step)}`, nothing);
  const other = useAsked<Step>(`runs/${part(runs[1]!)}/steps/${part(step)}`, nothing);
  const texts = [one, other].map(({ data }) => data && pretty(data.out));
  return (
    <section>
      <h2>Results of the step</h2>
      {texts[0] != null && texts[1] != null && texts[0] !== texts[1] && <Diff before={texts[0]} after={texts[1]} />}
      <div class="halves">{[one, other].map(({ data, error }, i) => data ? <Value key={i} value={data.out} label={`Result in ${runs[i]}`} /> : <p key={i} class="quiet">{error ? "It has no such step." : ""}</p>)}</div>
    </section>
  );
}
