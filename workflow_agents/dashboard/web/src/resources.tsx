/** What runs share: schedules, flow control, queues, the feed, signing keys. */
import { useState } from "preact/hooks";
import { bearer, get, part, post, runPath } from "./api";
import { whoOf } from "./decided";
import type { Entry } from "./live";
import { Ago, At, Chip, Command, Dialog, Empty, Sure, Trouble, doing } from "./parts";
import { useAsked, useTitle } from "./use";
import { span } from "./words";

interface Schedule {
  id: string;
  cron: string;
  destination: string;
  paused: boolean;
  next: number[];
  zone: string;
  /** the first of them before which clocks change, and by how many minutes */
  shift: [number, number] | null;
  last: number | null;
  lastStates: string[];
  error: string | null;
}

const MISSED: Record<string, string> = {
  once: "Ticks missed while the server is down are made up for by one.",
  skip: "Ticks missed while the server is down are left out.",
  all: "Ticks missed while the server is down are all made up for.",
};

export function Schedules() {
  const { data, error, again } = useAsked<{ schedules: Schedule[]; missed: string }>("schedules", ({ kind }) => kind.startsWith("MESSAGE"));
  const [sure, setSure] = useState<Schedule | null>(null);
  useTitle("Schedules · workflow-agents");
  const act = (id: string, action: string, done: string) => doing(() => post(`schedules/${part(id)}`, { action }), done, again);
  return (
    <>
      <h1>Schedules</h1>
      {error && <Trouble error={error} />}
      {data && !data.schedules.length && <Empty><p>There is no schedule. Make one:</p>
        <Command text={`curl -X POST '${location.origin}/v2/schedules/https://example.com/tick' -H "Authorization: Bearer ${bearer()}" -H 'Upstash-Cron: 0 9 * * *'`} /></Empty>}
      <div class="cards">
        {data?.schedules.map((one) => (
          <article key={one.id} class="card" aria-label={`Schedule ${one.id}`}>
            <h2>{one.id} {one.paused && <Chip state="held" word="paused" />}</h2>
            <p class="facts"><code>{one.cron}</code> <span>→ <code class="cut">{one.destination}</code></span></p>
            {one.error && <div class="trouble">{one.error}</div>}
            <p class="facts">{one.last ? <span>last <Ago at={one.last} />{one.lastStates.length > 0 && `: ${one.lastStates.join(", ").toLowerCase()}`}</span> : <span>has not fired yet</span>}</p>
            <div class="scroll"><table class="list small"><caption>{one.paused ? "Would fire next" : "Fires next"}</caption>
              <thead><tr><th>local</th><th>UTC</th></tr></thead>
              <tbody>{one.next.map((at) => <tr key={at}><td><At at={at} text={new Date(at).toLocaleString()} /></td><td class="mono utc">{new Date(at).toISOString().replace("T", " ").slice(0, 19)}</td></tr>)}</tbody>
            </table></div>
            {one.shift && <p class="quiet">Clocks in {one.zone} go {one.shift[1] > 0 ? "forward" : "back"} by {Math.abs(one.shift[1])} minutes before <At at={one.shift[0]} text={new Date(one.shift[0]).toLocaleDateString()} />: its time there stays, in UTC it moves.</p>}
            <p class="actions">
              <button type="button" class="main" onClick={() => act(one.id, "run", `${one.id} was run`)}>Run now</button>
              <button type="button" onClick={() => act(one.id, one.paused ? "resume" : "pause", one.paused ? `${one.id} goes on` : `${one.id} is paused`)}>{one.paused ? "Go on" : "Pause"}</button>
              <button type="button" class="quiet" onClick={() => setSure(one)}>Delete…</button>
            </p>
          </article>
        ))}
      </div>
      {data && data.schedules.length > 0 && <p class="quiet">{MISSED[data.missed] ?? data.missed} Days on which clocks change are counted in the zone of the cron line.</p>}
      {sure && <Sure title={`Delete the schedule ${sure.id}?`} text="Its messages stay." word="Delete" close={() => setSure(null)} act={() => act(sure.id, "delete", `${sure.id} is deleted`)} />}
    </>
  );
}

interface Key {
  key: string;
  parallelism: number | null;
  rate: number | null;
  periodMs: number | null;
  inFlight: number;
  starts: number;
  waiting: number;
  oldest: number | null;
  paused: boolean;
  pinned: string[];
}

export function Flow() {
  const { data, error, again } = useAsked<{ keys: Key[]; underWay: [number, number] }>("flow");
  const [pin, setPin] = useState<Key | null>(null);
  useTitle("Flow control · workflow-agents");
  const act = (key: string, action: string, done: string, more = {}) => doing(() => post("flow", { key, action, ...more }), done, again);
  return (
    <>
      <h1>Flow control</h1>
      {error && <Trouble error={error} />}
      {data && !data.keys.length && <Empty><p>No key is in use. A run gets one with <code>flow_control=FlowControl("key", parallelism=10)</code>.</p></Empty>}
      {data && data.keys.length > 0 && (
        <div class="scroll"><table class="list stack">
          <thead><tr><th>Key</th><th>In use</th><th>Started in its period</th><th class="number">Waiting</th><th>Limits set by</th><th><span class="unseen">Actions</span></th></tr></thead>
          <tbody>{data.keys.map((one) => (
            <tr key={one.key}>
              <td><b>{one.key}</b> {one.paused && <Chip state="held" word="paused" />}</td>
              <td data-of="In use"><Meter value={one.inFlight} of={one.parallelism} name={`In use of ${one.key}`} /></td>
              <td data-of="Started in its period">{one.rate === null ? <span class="quiet">no rate</span> : <><Meter value={one.starts} of={one.rate} name={`Started of ${one.key}`} /> <span class="quiet">in {span(one.periodMs ?? 1000)}</span></>}</td>
              <td class="number" data-of="Waiting">{one.waiting}{one.oldest !== null && <><br /><span class="quiet">oldest <Ago at={one.oldest} /></span></>}</td>
              <td data-of="Limits set by">{one.pinned.length ? <>pinned: {one.pinned.join(", ")}</> : "messages"}</td>
              <td class="nowrap">
                <button type="button" class="small" onClick={() => act(one.key, one.paused ? "resume" : "pause", one.paused ? `${one.key} goes on` : `${one.key} is paused`)}>{one.paused ? "Go on" : "Pause"}</button>{" "}
                <button type="button" class="small" onClick={() => setPin(one)}>Pin…</button>{" "}
                {one.pinned.length > 0 && <button type="button" class="small" onClick={() => act(one.key, "unpin", `${one.key} is unpinned`)}>Unpin</button>}
              </td>
            </tr>
          ))}</tbody>
        </table></div>
      )}
      {data && <p class="quiet">Requests under way in all: {data.underWay[0]} of {data.underWay[1]}.</p>}
      {pin && <Pin of={pin} close={() => setPin(null)} pin={(limits) => act(pin.key, "pin", `The limits of ${pin.key} are pinned`, limits)} />}
    </>
  );
}

function Meter({ value, of, name }: { value: number; of: number | null; name: string }) {
  if (of === null) return <>{value} <span class="quiet">of any number</span></>;
  return <span class="meter"><meter aria-label={name} min={0} max={of} value={value} /> {value} of {of}</span>;
}

function Pin({ of, close, pin }: { of: Key; close: () => void; pin: (limits: object) => void }) {
  const submit = (event: Event) => {
    event.preventDefault();
    const form = new FormData(event.target as HTMLFormElement);
    const number = (name: string) => Number(form.get(name)) || null;
    const seconds = number("period");
    pin({ parallelism: number("parallelism"), rate: number("rate"), periodMs: seconds && seconds * 1000 });
    close();
  };
  return (
    <Dialog title={`Pin limits of ${of.key}`} close={close}>
      <form onSubmit={submit}>
        <p class="quiet">Pinned limits stay, whatever messages ask for. An empty one is left to them.</p>
        <label class="stack">At once <input name="parallelism" type="number" min="1" value={of.parallelism ?? ""} /></label>
        <label class="stack">Starts in a period <input name="rate" type="number" min="1" value={of.rate ?? ""} /></label>
        <label class="stack">Period, in seconds <input name="period" type="number" min="1" value={of.periodMs ? of.periodMs / 1000 : ""} /></label>
        <p class="actions"><button type="submit" class="main">Pin</button></p>
      </form>
    </Dialog>
  );
}

export function Queues() {
  const { data, error, again } = useAsked<{ queues: [string, number, number, boolean][] }>("queues", ({ kind }) => kind.startsWith("MESSAGE"));
  useTitle("Queues · workflow-agents");
  const act = (name: string, action: string, done: string) => doing(() => post("queues", { name, action }), done, again);
  return (
    <>
      <h1>Queues</h1>
      {error && <Trouble error={error} />}
      {data && !data.queues.length && <Empty><p>There is no queue. A message that is enqueued makes one:</p>
        <Command text={`curl -X POST '${location.origin}/v2/enqueue/mails/https://example.com/send' -H "Authorization: Bearer ${bearer()}" -d '{}'`} /></Empty>}
      {data && data.queues.length > 0 && (
        <div class="scroll"><table class="list">
          <thead><tr><th>Queue</th><th class="number">At once</th><th class="number">Not done</th><th>State</th><th><span class="unseen">Actions</span></th></tr></thead>
          <tbody>{data.queues.map(([name, parallelism, lag, paused]) => (
            <tr key={name}><td><b>{name}</b></td><td class="number">{parallelism}</td><td class="number">{lag}</td>
              <td>{paused ? <Chip state="held" word="paused" /> : <Chip state="success" word="open" />}</td>
              <td><button type="button" class="small" onClick={() => act(name, paused ? "resume" : "pause", paused ? `${name} goes on` : `${name} is paused`)}>{paused ? "Go on" : "Pause"}</button></td></tr>
          ))}</tbody>
        </table></div>
      )}
    </>
  );
}

interface FeedPage {
  entries: Entry[];
  before: number | null;
}

const tone = (kind: string) =>
  /FAILED|DEAD_LETTER_ADDED/.test(kind) ? "failed" : /SUCCESS|DELIVERED/.test(kind) ? "success" : /RETRY/.test(kind) ? "backoff" : /WAITING/.test(kind) ? "waiting" : /CANCEL|WITHDRAWN/.test(kind) ? "canceled" : "running";

export function Feed() {
  const first = useAsked<FeedPage>("feed");
  const [more, setMore] = useState<FeedPage[]>([]);
  const [find, setFind] = useState("");
  useTitle("Feed · workflow-agents");
  const last = more.at(-1) ?? first.data;
  const next = async () => {
    const page = await get<FeedPage>(`feed?before=${last?.before}`);
    setMore((old) => [...old, page]);
  };
  const seen = new Set<number>();
  const entries = [first.data, ...more].flatMap((page) => page?.entries ?? [])
    .filter(({ seq }) => !seen.has(seq) && seen.add(seq))
    .filter((one) => !find || `${one.kind} ${one.workflow} ${one.stepName} ${one.workflowRunId}`.toLowerCase().includes(find.toLowerCase()));
  return (
    <>
      <h1>Feed</h1>
      <p class="quiet">Everything that happens, the newest first. It is what is true: all other pages are made of it.</p>
      {first.error && <Trouble error={first.error} />}
      <div class="filters"><input type="search" aria-label="Show entries with" placeholder="filter what is shown" value={find} onInput={(e) => setFind(e.currentTarget.value)} /></div>
      {first.data && !entries.length ? <Empty><p>Nothing has happened{find && " like that"}.</p></Empty> : (
        <div class="scroll"><table class="list">
          <thead><tr><th class="number">No.</th><th>When</th><th>What</th><th>Step</th><th>Of</th></tr></thead>
          <tbody>{entries.map((one) => (
            <tr key={one.seq}>
              <td class="number quiet">{one.seq}</td><td class="nowrap"><At at={one.at} /></td>
              <td><Chip state={tone(one.kind)} word={one.kind.toLowerCase().replaceAll("_", " ")} />{whoOf(one) && <><br /><span class="quiet">{whoOf(one)}</span></>}</td>
              <td>{one.stepName}{one.stepType && <span class="quiet"> {one.stepType}</span>}</td>
              <td>{one.workflow} {one.workflowRunId && <a class="mono" href={`${runPath(one.workflowRunId)}${one.stepId != null ? `?step=${part(one.stepId)}` : ""}`}>{one.workflowRunId}</a>}{one.messageId && <code>{one.messageId}</code>}</td>
            </tr>
          ))}</tbody>
        </table></div>
      )}
      {last?.before != null && <button type="button" class="more" onClick={next}>Show what was earlier</button>}
    </>
  );
}

export function Keys() {
  const { data, error } = useAsked<{ keys: { current: string; next: string } | null }>("keys", () => false);
  useTitle("Keys · workflow-agents");
  return (
    <>
      <h1>Signing keys</h1>
      <p class="quiet">Endpoints verify with them that a request is of this server. They are shown by the command line only.</p>
      {error && <Trouble error={error} />}
      {data?.keys && (
        <div class="scroll"><table class="list narrow"><tbody>
          <tr><th scope="row">QSTASH_CURRENT_SIGNING_KEY</th><td><code>{data.keys.current}</code></td></tr>
          <tr><th scope="row">QSTASH_NEXT_SIGNING_KEY</th><td><code>{data.keys.next}</code></td></tr>
        </tbody></table></div>
      )}
      {data && !data.keys && <Empty><p>An embedded engine signs nothing: it calls its workflows itself.</p></Empty>}
    </>
  );
}
