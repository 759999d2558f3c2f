/** One step in full, beside the timeline. */
import { base, type Bar, type Step } from "./api";
import { At, Chip, Copy, Trouble, Value } from "./parts";
import { ask } from "./route";
import { useAsked } from "./use";
import { bytes, span } from "./words";

interface Props {
  runId: string;
  bar: Bar;
  tab: string;
  child: string | null;
  fork: () => void;
}

export function Inspector({ runId, bar, tab, child, fork }: Props) {
  const [key, name, kind, state, , began, ended, segments, attempts] = bar;
  const path = `runs/${encodeURIComponent(runId)}/steps/${encodeURIComponent(String(key))}`;
  const step = useAsked<Step>(path, ended === null ? 2_000 : 0);
  const data = step.data;
  const tabs = ["output", ...(data?.request ? ["request"] : []), ...(data?.waitsFor ? ["waits for"] : []), "times"];
  const shown = tabs.includes(tab) ? tab : "output";
  return (
    <aside class="inspector" aria-label={`Step ${name}`}>
      <header>
        <h2>{name}</h2>
        <button type="button" class="quiet" onClick={() => ask({ step: null, tab: null })} title="Close (Escape)">✕</button>
      </header>
      <p class="facts">
        <Chip state={state} /> <span>{kind}</span> <code>{key}</code>
        <button type="button" class="small" onClick={fork} title="Run it again from here (f)">Fork here</button>
      </p>
      {child && <p>Invoked <a class="mono" href={`${base}/runs/${encodeURIComponent(child)}`}>{child}</a></p>}
      <nav class="tabs" aria-label="Parts of the step">
        {tabs.map((one) => (
          <button type="button" key={one} class="tab" aria-current={one === shown ? "page" : undefined} onClick={() => ask({ tab: one }, true)}>{one}</button>
        ))}
      </nav>
      {step.error && <Trouble error={step.error} />}
      {data && shown === "output" && (ended === null ? <p class="quiet">It has none yet.</p> : <Value value={data.out} />)}
      {data?.request && shown === "request" && (
        <>
          <p><code>{data.request.method} {data.request.url}</code> <Copy text={data.request.url} label="copy address" /></p>
          <dl class="headers">
            {Object.entries(data.request.headers).map(([header, value]) => <div key={header}><dt>{header}</dt><dd>{value}</dd></div>)}
          </dl>
          {data.request.bytes > 0 && (data.request.body === null
            ? <p class="quiet">A body of {bytes(data.request.bytes)}, for which the log has no room.</p>
            : <Value value={data.request.body} />)}
        </>
      )}
      {data && shown === "waits for" && <Value value={data.waitsFor} />}
      {shown === "times" && (
        <table class="list"><tbody>
          <tr><th>Began</th><td><At at={began} /></td></tr>
          {segments.map(([what, since, until], i) => (
            <tr key={i}><th>{what}</th><td>{until === null ? <>since <At at={since} /></> : span(until - since)}</td></tr>
          ))}
          {attempts.map((at, i) => <tr key={at}><th>attempt {i + 1} failed</th><td><At at={at} /></td></tr>)}
          {ended !== null && <tr><th>Ended</th><td><At at={ended} /></td></tr>}
        </tbody></table>
      )}
    </aside>
  );
}
