/** Events and webhooks that runs wait for; they are answered from here. */
import { useState } from "preact/hooks";
import { base, part, post, runPath, session, type Key } from "./api";
import { Card, concernsWaits, type Approval } from "./approvals";
import { Ago, Command, Dialog, Empty, Left, Trouble, Wrong, doing, parsed } from "./parts";
import { useAsked, useTitle } from "./use";
import { pretty } from "./words";

export interface Wait {
  runId: string;
  workflow: string;
  step: Key;
  name: string;
  event: string;
  kind: "event" | "webhook" | "approval";
  asked: number;
  deadline: number | null;
  details: unknown;
  url: string | null;
}

/** What the run tells whoever is to answer, and the answers that it offers. */
interface Details {
  ask?: unknown;
  answers?: unknown;
  [more: string]: unknown;
}

function detailsOf({ details }: Wait): [string, Record<string, unknown>, [string, unknown][]] {
  if (!details || typeof details !== "object" || Array.isArray(details)) return ["", details == null ? {} : { details }, []];
  const { ask, answers, ...more } = details as Details;
  const offered = answers && typeof answers === "object" && !Array.isArray(answers) ? Object.entries(answers) : [];
  return [typeof ask === "string" ? ask : "", typeof ask === "string" || ask === undefined ? more : { ask, ...more }, offered];
}

export function Waits() {
  const { data, error, again } = useAsked<{ waits: Wait[]; more: boolean }>("waits", concernsWaits);
  useTitle("Waits · workflow-agents");
  return (
    <>
      <h1>Waits</h1>
      <p class="quiet">Events and webhooks that runs wait for. What ends first comes first.</p>
      {error && <Trouble error={error} />}
      {data && !data.waits.length && <Empty><p>No run waits for an event or a webhook.</p></Empty>}
      {data && data.waits.length > 0 && (
        <div class="scroll"><table class="list stack">
          <thead><tr><th>Step</th><th>Waits for</th><th>Run</th><th>Since</th><th>Until</th><th><span class="unseen">Answer</span></th></tr></thead>
          <tbody>{data.waits.map((wait) => (
            <tr key={`${wait.runId} ${wait.step}`}>
              <td><b>{wait.name}</b><br /><span class="quiet">{wait.workflow}</span></td>
              <td><span class="quiet">{wait.kind}</span><br /><code class="cut">{wait.event}</code></td>
              <td><a class="mono" href={`${runPath(wait.runId)}?step=${part(wait.step)}`}>{wait.runId}</a></td>
              <td><Ago at={wait.asked} /></td>
              <td>{wait.deadline ? <Left until={wait.deadline} /> : "no deadline"}</td>
              <td>{wait.kind === "approval" ? <a href={`${base}/approvals`}>decide</a> : <AnswerButton wait={wait} done={again} />}</td>
            </tr>
          ))}</tbody>
        </table></div>
      )}
      {data?.more && <p class="quiet">There are more; the first hundred are shown.</p>}
    </>
  );
}

function AnswerButton({ wait, done }: { wait: Wait; done: () => void }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" onClick={() => setOpen(true)}>Answer…</button>
      {open && <Dialog title={`Answer “${wait.name}”`} close={() => setOpen(false)}><Answer wait={wait} done={() => { setOpen(false); done(); }} /></Dialog>}
    </>
  );
}

const command = (wait: Wait) =>
  wait.url ? `curl -X POST '${wait.url.replaceAll("'", "%27")}' -H 'Content-Type: application/json' -d '{}'`
  : session.server ? `curl -X POST '${location.origin}/v2/notify/${part(wait.event)}' -H "Authorization: Bearer $QSTASH_TOKEN" -d '{}'`
  : `await client.notify(${JSON.stringify(wait.event)}, {})`;

export function Answer({ wait, done }: { wait: Wait; done: () => void }) {
  const [text, setText] = useState("{}");
  const [wrong, setWrong] = useState("");
  const [asks, more, offered] = detailsOf(wait);
  const answer = (data: unknown, word: string) => doing(async () => {
    const told = await post<{ done: boolean }>("waits", { event: wait.event, runId: wait.runId, kind: wait.kind, data });
    if (!told.done) throw new Error("It no longer waits");
  }, `${word}: ${wait.name}`, done);
  const submit = (event: Event) => {
    event.preventDefault();
    const found = parsed(text);
    if ("wrong" in found) return setWrong(found.wrong);
    setWrong("");
    answer(found.value, "Answered");
  };
  return (
    <form onSubmit={submit}>
      {asks && <p class="asks">{asks}</p>}
      {Object.keys(more).length > 0 && <pre tabIndex={0} class="arguments" aria-label="What the run tells">{pretty(more)}</pre>}
      {offered.length > 0 && <p class="actions">{offered.map(([word, data], i) => <button type="button" key={word} class={i ? "" : "main"} title={`Sends ${JSON.stringify(data)}`} onClick={() => answer(data, word)}>{word}</button>)}</p>}
      <label class="stack">{wait.kind === "webhook" ? "Body of the request, as JSON" : "Data of the event, as JSON"}
        <textarea rows={4} spellcheck={false} value={text} onInput={(e) => setText(e.currentTarget.value)} />
      </label>
      {wrong && <Wrong text={wrong} />}
      <p class="actions"><button type="submit" class={offered.length ? "" : "main"}>Send the answer</button></p>
      <details><summary>From elsewhere</summary><Command text={command(wait)} /></details>
    </form>
  );
}

/** What one run waits for, with the form to answer right there. */
export function WaitPanel({ runId, changed }: { runId: string; changed: unknown }) {
  const asked = `run=${part(runId)}&v=${changed}`;
  const waits = useAsked<{ waits: Wait[] }>(`waits?${asked}`, ({ workflowRunId }) => workflowRunId === runId);
  const decided = waits.data?.waits.some((wait) => wait.kind === "approval");
  const approvals = useAsked<{ approvals: Approval[] }>(decided ? `approvals?${asked}` : null, ({ workflowRunId }) => workflowRunId === runId);
  const open = waits.data?.waits.filter((wait) => wait.kind !== "approval") ?? [];
  return (
    <div class="cards">
      {approvals.data?.approvals.map((one, i) => <Card key={one.id} approval={one} first={i === 0} done={waits.again} />)}
      {open.map((wait) => (
        <article key={wait.event} class="card" aria-label={`Wait ${wait.name}`}>
          <p class="facts"><span>waits since <Ago at={wait.asked} /></span>{wait.deadline && <Left until={wait.deadline} />}</p>
          <h2>{wait.name}: the {wait.kind} <code>{wait.event}</code></h2>
          <Answer wait={wait} done={waits.again} />
        </article>
      ))}
    </div>
  );
}
