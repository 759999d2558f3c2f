/** One step in full, beside the timeline. */
import { part, runPath, type Bar, type Step } from "./api";
import { Decided } from "./decided";
import { At, Chip, Copy, Trouble, Value } from "./parts";
import { ask } from "./route";
import { useAsked } from "./use";
import { bytes, span } from "./words";

interface Props {
  runId: string;
  bar: Bar;
  seq: number;
  tab: string;
  child: string | null;
  fork: (() => void) | null;
}

export function Inspector({ runId, bar, seq, tab, child, fork }: Props) {
  const [key, name, kind, state, , began, ended, segments, attempts] = bar;
  const path = `runs/${part(runId)}/steps/${part(key)}`;
  const step = useAsked<Step>(`${path}?v=${ended ?? seq}`, () => false);
  const data = step.data;
  const tabs = [
    "output",
    ...(data?.attempts.length ? ["attempts"] : []),
    ...(data?.request ? ["request"] : []),
    ...(data?.waitsFor ? ["waits for"] : []),
    "times",
  ];
  const shown = tabs.includes(tab) ? tab : state === "backoff" && data?.attempts.length ? "attempts" : "output";
  return (
    <aside class="inspector" aria-label={`Step ${name}`}>
      <header>
        <h2>{name}</h2>
        <button type="button" class="quiet" onClick={() => ask({ step: null, tab: null })} title="Close (Escape)" aria-label="Close">✕</button>
      </header>
      <p class="facts">
        <Chip state={state} /> <span>{kind}</span> <code>{key}</code>
        {fork && <button type="button" class="small" onClick={fork} title="Run it again from here (f)">Fork here</button>}
      </p>
      <Decided who={data?.decided} />
      {child && <p>Invoked <a class="mono" href={runPath(child)}>{child}</a></p>}
      <nav class="tabs" aria-label="Parts of the step">
        {tabs.map((one) => (
          <button type="button" key={one} class="tab" aria-current={one === shown ? "page" : undefined} onClick={() => ask({ tab: one }, true)}>{one}</button>
        ))}
      </nav>
      {step.error && <Trouble error={step.error} />}
      {data && shown === "output" && (ended === null ? <p class="quiet">It has none yet.</p> : <Value value={data.out} label="Output" />)}
      {data && shown === "attempts" && data.attempts.map(([at, told], i) => <Attempt key={i} number={i + 1} at={at} told={told} />)}
      {data?.request && shown === "request" && (
        <>
          <p><code>{data.request.method} {data.request.url}</code> <Copy text={data.request.url} label="copy address" /></p>
          <dl class="headers">
            {Object.entries(data.request.headers).map(([header, value]) => <div key={header}><dt>{header}</dt><dd>{value}</dd></div>)}
          </dl>
          {data.request.bytes > 0 && (data.request.body === null
            ? <p class="quiet">A body of {bytes(data.request.bytes)}, for which the log has no room.</p>
            : <Value value={data.request.body} label="Body" />)}
        </>
      )}
      {data && shown === "waits for" && <Value value={data.waitsFor} label="What it waits for" />}
      {shown === "times" && (
        <table class="list"><tbody>
          <tr><th scope="row">Began</th><td><At at={began} /></td></tr>
          {segments.map(([what, since, until], i) => (
            <tr key={i}><th scope="row">{what}</th><td>{until === null ? <>since <At at={since} /></> : span(until - since)}</td></tr>
          ))}
          {attempts.map((at, i) => <tr key={at}><th scope="row">attempt {i + 1} failed</th><td><At at={at} /></td></tr>)}
          {ended !== null && <tr><th scope="row">Ended</th><td><At at={ended} /></td></tr>}
        </tbody></table>
      )}
    </aside>
  );
}

function Attempt({ number, at, told }: { number: number; at: number; told: Record<string, unknown> | null }) {
  const { error, message, where, until, status, ...rest } = told ?? {};
  const code = typeof where === "string" ? where : null;
  return (
    <section class="attempt">
      <p class="facts"><b>Attempt {number}</b> <span>failed <At at={at} /></span> {typeof status === "number" && status > 0 && <span>status {status}</span>}</p>
      <p class="bad"><b>{String(error ?? "")}</b> {String(message ?? "")}</p>
      {code && <p><span class="quiet">at</span> <code>{code}</code> <Copy text={code} label="copy" /></p>}
      {typeof until === "number" && <p class="quiet">tried again <At at={until} /></p>}
      {Object.keys(rest).length > 0 && <details><summary>All that is told</summary><Value value={rest} label={`Attempt ${number}`} /></details>}
    </section>
  );
}
