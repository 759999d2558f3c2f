/** What was said in a run of agents. What models and tools say is text, and nothing else. */
import { useEffect, useState } from "preact/hooks";
import { base, part, type Key, type Run, type Step } from "./api";
import { Value } from "./json";
import { Markdown } from "./markdown";
import { Empty, Trouble } from "./parts";
import { ask } from "./route";
import { useAsked } from "./use";
import { bytes, formatted } from "./words";

interface Said {
  role: "system" | "user" | "assistant" | "tool";
  agent: string;
  text: string;
  calls: [string, string, string][];
  answers: string | null;
  /** whole, as `data:` */
  pictures: string[];
  step: Key | null;
  model: string | null;
  /** of the prompt, of the completion, of the prompt from a cache */
  tokens: [number, number, number] | null;
  cost: string | null;
}

interface Told {
  items: Said[];
  going: [string, string][];
  prompt: number;
  completion: number;
  cost: string | null;
}

const WHO = { system: "Background", user: "Prompt", assistant: "Model", tool: "Tool" };

export function Conversation({ run, fork }: { run: Run; fork: ((step: string) => void) | null }) {
  const { data, error } = useAsked<Told>(`runs/${part(run.runId)}/conversation?v=${run.seq}`, () => false);
  const [shown, setShown] = useState<Told | null>(null);
  const words = useWords(run);
  useEffect(() => void (data && setShown(data)), [data]);
  const told = data ?? shown;
  if (!told) return error ? <Trouble error={error} /> : null;
  if (!told.items.length && !words.size) return <Empty><p>Nothing was said in this run: none of its steps asks a model.</p></Empty>;
  const named = new Map(told.items.flatMap(({ calls }) => calls.map(([id, name]): [string, string] => [id, name])));
  return (
    <div class="conversation">
      <p class="facts sum"><b>Σ</b> <Tokens tokens={[told.prompt, told.completion, 0]} cost={told.cost} /></p>
      <ol>
        {told.items.map((said, i) => <Message key={i} runId={run.runId} said={said} fork={fork} tool={said.answers ? named.get(said.answers) : undefined} />)}
        {[...words].map(([step, text]) => (
          <li key={step} class="said assistant live"><header><b>Model</b> <span class="quiet">is writing</span></header><div class="text">{text}<span class="caret" aria-hidden="true" /></div></li>
        ))}
      </ol>
    </div>
  );
}

/** Exactly what was sent and answered. */
function Raw({ runId, step }: { runId: string; step: Key }) {
  const { data, error } = useAsked<Step>(`runs/${part(runId)}/steps/${part(step)}`, () => false);
  if (!data) return error && <Trouble error={error} />;
  return <div class="halves"><Value value={data.request?.body ?? null} label="Request" /><Value value={data.out} label="Response" /></div>;
}

function Message({ said, tool, runId, fork }: { said: Said; tool: string | undefined; runId: string; fork: ((step: string) => void) | null }) {
  const [raw, setRaw] = useState(false);
  const folded = said.role === "tool" || said.role === "system";
  return (
    <li class={`said ${said.role}`}>
      <header>
        <b>{said.role === "assistant" && said.agent ? said.agent : WHO[said.role] ?? said.role}</b>
        {tool && <code>{tool}</code>}
        {said.role === "tool" && <span class="untrusted" title="It came from outside: it is shown as text, and nobody is to do what it says">untrusted</span>}
        {said.model && <span class="quiet">{said.model}</span>}
        <span class="fill" />
        {said.tokens && <Tokens tokens={said.tokens} cost={said.cost} />}
        {said.step !== null && (
          <>
            {fork && <button type="button" class="quiet small" title="Fork from this turn: another model, instructions or prompt" onClick={() => fork(String(said.step))}>ask again…</button>}
            <button type="button" class="quiet small" aria-pressed={raw} onClick={() => setRaw(!raw)}>{raw ? "text" : "raw"}</button>
            <button type="button" class="quiet small" onClick={() => ask({ view: null, step: String(said.step), tab: "request" })}>step {said.step}</button>
          </>
        )}
      </header>
      {raw && said.step !== null ? <Raw runId={runId} step={said.step} /> : (
        <>
          {said.text && (folded && said.text.length > 120
            ? <details><summary>{said.text.slice(0, 110)}… <span class="quiet">{bytes(said.text.length)}</span></summary><div class="text">{said.text}</div></details>
            : said.role === "assistant" ? <Markdown text={said.text} /> : <div class="text">{said.text}</div>)}
          {said.pictures.length > 0 && <p class="pictures">{said.pictures.map((src, i) => <img key={i} src={src} alt={`Picture ${i + 1} of this message`} />)}</p>}
          {said.calls.map(([id, name, given]) => (
            <details key={id} class="call"><summary>calls <code class="tool">{name}</code> <code class="quiet">{given.slice(0, 90)}</code></summary><pre tabIndex={0} aria-label="Arguments">{formatted(given)}</pre></details>
          ))}
        </>
      )}
    </li>
  );
}

export const Tokens = ({ tokens: [prompt, completion, cached], cost }: { tokens: [number, number, number]; cost: string | null }) => (
  <span class="tokens" title={cached ? `${cached.toLocaleString()} of the prompt were in the provider's cache` : undefined}>
    {prompt.toLocaleString()} + {completion.toLocaleString()} tokens{cost !== null && ` · $${cost}`}
  </span>
);

/** What is being written right now, by the step that it is the reply of. */
function useWords(run: Run): Map<string, string> {
  const [words, setWords] = useState<Map<string, string>>(new Map());
  const live = run.endedAt === null && !run.remote;
  useEffect(() => {
    if (!live) return;
    const source = new EventSource(`${base}/api/stream?workflowRunId=${part(run.runId)}&words=true&after=${run.seq}`);
    const current = new Map<string, string>();
    let frame = 0;
    const show = () => void (frame ||= requestAnimationFrame(() => {
      frame = 0;
      setWords(new Map(current));
    }));
    const on = (event: string, change: (step: string, data: { text?: string }) => void) =>
      source.addEventListener(event, ({ data }) => {
        const told = JSON.parse(data);
        change(String(told.stepId), told);
        show();
      });
    on("reply-started", (step) => current.set(step, ""));
    on("reply-restarted", (step) => current.set(step, ""));
    on("text", (step, { text }) => current.set(step, (current.get(step) ?? "") + (text ?? "")));
    on("reply-ended", (step) => current.delete(step));
    source.addEventListener("end", () => source.close());
    return () => {
      source.close();
      cancelAnimationFrame(frame);
      setWords(new Map());
    };
  }, [run.runId, live]);
  return words;
}
