/** One step in full, beside the timeline. */
import { useRef, useState } from "preact/hooks";
import { part, runPath, type Attempt, type Bar, type Step } from "./api";
import { stepLink, toRequest } from "./commands";
import { Tokens } from "./conversation";
import { Decided } from "./decided";
import { Value } from "./json";
import { At, Chip, Copies, Copy, Trouble } from "./parts";
import { ask } from "./route";
import { useAsked } from "./use";
import { bytes, span } from "./words";

interface Props {
  runId: string;
  bar: Bar;
  seq: number;
  tab: string;
  attempt: string | null;
  child: string | null;
  fork: (() => void) | null;
}

const TABS = ["input", "output", "error", "attempts", "logs", "code", "times"] as const;
/** What tabs were called in links that somebody has kept. */
const BEFORE: Record<string, string> = { request: "input", "waits for": "input" };

export function Inspector({ runId, bar, seq, tab, attempt, child, fork }: Props) {
  const [key, name, kind, state, , began, ended, segments, failures] = bar;
  const path = `runs/${part(runId)}/steps/${part(key)}`;
  const step = useAsked<Step>(`${path}?v=${ended ?? seq}`, () => false);
  const data = step.data;
  const last = data?.attempts.findLast((one) => one.state === "failed");
  const asked = BEFORE[tab] ?? tab;
  const shown = TABS.find((one) => one === asked)
    ?? (state === "failed" ? "error" : state === "backoff" ? "attempts" : ended === null && kind !== "run" ? "input" : "output");
  return (
    <div class="side">
    <Grip />
    <aside class="inspector" aria-label={`Step ${name}`} aria-busy={!data && !step.error}>
      <header>
        <h2>{name}</h2>
        <button type="button" class="quiet" onClick={() => ask({ step: null, tab: null, attempt: null })} title="Close (Escape)" aria-label="Close">✕</button>
      </header>
      <p class="facts">
        <Chip state={state} /> <span>{kind}</span> <code>{key}</code>
        <Copies of={{ link: stepLink(runId, key), ...(data?.code && { place: `${data.code.file}:${data.code.line}` }) }} />
        {fork && <button type="button" class="small" onClick={fork} title="Run it again from here (f)">Fork here</button>}
      </p>
      {data?.spent && <p class="facts"><span class="quiet">{data.spent.model}</span> <Tokens tokens={data.spent.tokens} cost={data.spent.cost} /></p>}
      <Decided who={data?.decided} />
      {child && <p>Invoked <a class="mono" href={runPath(child)}>{child}</a></p>}
      <nav class="tabs" aria-label="Parts of the step">
        {TABS.map((one) => (
          <button type="button" key={one} class="tab" aria-current={one === shown ? "page" : undefined} onClick={() => ask({ tab: one }, true)}>
            {one}{one === "attempts" && data && data.attempts.length > 1 && <span class="count"> {data.attempts.length}</span>}
          </button>
        ))}
      </nav>
      {step.error && <Trouble error={step.error} />}
      {data && shown === "input" && <Input step={data} />}
      {data && shown === "output" && (ended === null ? <p class="quiet">It has none yet.</p> : <Value value={data.out} label="Output" />)}
      {data && shown === "error" && (last ? <Failure of={last} failure={data.failure} /> : <p class="quiet">Nothing has failed.</p>)}
      {data && shown === "attempts" && (data.attempts.length
        ? data.attempts.map((one) => <Tried key={one.number} of={one} request={data.request} open={attempt === null ? one === data.attempts.at(-1) : attempt === String(one.number)} />)
        : <p class="quiet">What it waits for is not attempted.</p>)}
      {data && shown === "logs" && (data.logs.length ? (
        <ol class="logs">{data.logs.map(([at, when, what, told]) => (
          <li key={at}><At at={when} /> <b>{what.replace("STEP_", "").replaceAll("_", " ").toLowerCase()}</b>{told !== null && <details><summary>what was told</summary><Value value={told} label={`Entry ${at}`} /></details>}</li>
        ))}</ol>
      ) : <p class="quiet">Its endpoint keeps them.</p>)}
      {data && shown === "code" && (data.code ? (
        <>
          <p><span class="quiet">handler</span> <code>{data.code.handler}</code></p>
          <p><code>{data.code.file}:{data.code.line}</code> <Copy text={`${data.code.file}:${data.code.line}`} label="copy" /></p>
          <pre class="line" tabIndex={0} aria-label="Source line"><span class="quiet">{data.code.line}</span>  {data.code.text}</pre>
          {!data.code.exact && <p class="quiet">The name of this step is not written out in it: that is where its function begins.</p>}
        </>
      ) : <p class="quiet">Its code is not at hand: another process serves this workflow.</p>)}
      {shown === "times" && (
        <table class="list"><tbody>
          <tr><th scope="row">Began</th><td><At at={began} /></td></tr>
          {segments.map(([what, since, until], i) => (
            <tr key={i}><th scope="row">{what}</th><td>{until === null ? <>since <At at={since} /></> : span(until - since)}</td></tr>
          ))}
          {failures.map((at, i) => <tr key={at}><th scope="row">attempt {i + 1} failed</th><td><At at={at} /></td></tr>)}
          {ended !== null && <tr><th scope="row">Ended</th><td><At at={ended} /></td></tr>}
        </tbody></table>
      )}
    </aside>
    </div>
  );
}

function Input({ step: { request, waitsFor, type } }: { step: Step }) {
  if (request) return (
    <>
      <p><code>{request.method} {request.url}</code></p>
      <Copies of={{ address: request.url, ...toRequest(request) }} />
      <Headers of={request.headers} />
      {request.bytes > 0 && (request.body === null
        ? <p class="quiet">A body of {bytes(request.bytes)}, for which the log has no room.</p>
        : <Value value={request.body} label="Body" />)}
    </>
  );
  return waitsFor === null
    ? <p class="quiet">{type === "Run" ? "The body of a run step takes what its code gives it; that is not recorded." : "It takes none."}</p>
    : <Value value={waitsFor} label="What it waits for" />;
}

const Headers = ({ of }: { of: Record<string, string> }) => (
  <dl class="headers">{Object.entries(of).map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
);

function Failure({ of, failure }: { of: Attempt; failure: unknown }) {
  return (
    <>
      <p class="bad"><b>{of.error ?? ""}</b> {of.message ?? ""}</p>
      {of.where && <p><span class="quiet">at</span> <code>{of.where}</code> <Copy text={of.where} label="copy" /></p>}
      {of.body && <><p class="quiet">What was answered</p><Value value={of.body} label="Answer" /></>}
      {failure !== null && <details><summary>All that is told</summary><Value value={failure} label="Failure" /></details>}
    </>
  );
}

const PHASES: Record<string, string> = { queued: "held", connect: "connect", "first byte": "first", body: "body", run: "running", "no answer": "backoff" };

/** One attempt: what came of it, and how long its parts took. */
function Tried({ of, request, open }: { of: Attempt; request: Step["request"]; open: boolean }) {
  const whole = of.phases.reduce((sum, [, ms]) => sum + ms, 0);
  const { status, number, at } = of;
  return (
    <details class={`attempt ${of.state}`} open={open} onToggle={(e) => e.currentTarget.open !== open && ask({ attempt: e.currentTarget.open ? String(number) : null }, true)}>
      <summary><Chip state={of.state} word="" /> <b>Attempt {number}</b> {status !== undefined && <span>status {status}</span>} {at !== undefined && <span class="quiet"><At at={at} />{whole > 0 && `, ${span(whole)}`}</span>}</summary>
      {(of.error || of.message) && <p class="bad"><b>{of.error ?? ""}</b> {of.message ?? ""}</p>}
      {of.where && <p><span class="quiet">at</span> <code>{of.where}</code> <Copy text={of.where} label="copy" /></p>}
      {whole > 0 && (
        <div class="phases" aria-hidden="true">{of.phases.map(([what, ms]) => ms > 0 && <div key={what} class={PHASES[what] ?? ""} style={{ flexGrow: ms }} />)}</div>
      )}
      {of.phases.length > 0 && (
        <dl class="times">{of.phases.map(([what, ms]) => <div key={what}><dt><i class={PHASES[what] ?? ""} />{what}</dt><dd>{span(ms)}</dd></div>)}
          {of.kept && <div><dt><i />connect</dt><dd class="quiet">a connection was kept</dd></div>}</dl>
      )}
      {of.until !== undefined && <p class="quiet">tried again <At at={of.until} /></p>}
      {request && at !== undefined && (
        <>
          <details><summary>Request: {request.method} {request.url.slice(0, 80)}</summary><Headers of={request.headers} /></details>
          {of.header && Object.keys(of.header).length > 0 && <details><summary>Response{status !== undefined && `: status ${status}`}</summary><Headers of={of.header} /></details>}
        </>
      )}
      {of.body && <details><summary>What was answered</summary><Value value={of.body} label={`Answer ${number}`} /></details>}
      {of.more && Object.keys(of.more).length > 0 && <details><summary>All that is told</summary><Value value={of.more} label={`Attempt ${number}`} /></details>}
    </details>
  );
}

const NARROW = 280;
const WIDTH = "inspector width";

const widen = (px: number) => document.documentElement.style.setProperty("--inspector", `${px}px`);
if (localStorage.getItem(WIDTH)) widen(Number(localStorage.getItem(WIDTH)));

/** Makes the panel wider or narrower: it is drawn, or moved with the arrow keys. */
function Grip() {
  const bar = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const resize = (to: number) => {
    const px = Math.round(Math.min(innerWidth * 0.75, Math.max(NARROW, to)));
    widen(px);
    setWidth(px);
    localStorage.setItem(WIDTH, String(px));
  };
  const now = () => bar.current!.parentElement!.offsetWidth;
  return (
    <div ref={bar} class="grip" role="separator" aria-orientation="vertical" aria-label="Width of the panel" tabIndex={0}
      aria-valuemin={NARROW} aria-valuemax={1200} aria-valuenow={width || 420}
      onKeyDown={(e) => {
        const by = { ArrowLeft: 24, ArrowRight: -24 }[e.key];
        if (!by) return;
        e.preventDefault();
        resize(now() + by);
      }}
      onPointerDown={(e) => {
        e.preventDefault();
        const from = e.clientX + now();
        e.currentTarget.setPointerCapture(e.pointerId);
        e.currentTarget.onpointermove = (moved) => resize(from - moved.clientX);
      }}
      onPointerUp={(e) => (e.currentTarget.onpointermove = null)} />
  );
}
