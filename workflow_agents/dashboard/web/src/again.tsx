/** Run it again: from the start or from a step on, with another input, result, model or prompt. */
import { useEffect, useState } from "preact/hooks";
import { Failed, part, post, type Bar, type Run, type Step } from "./api";
import { Diff } from "./approvals";
import { toFork } from "./commands";
import { Copies, Dialog, Wrong, parsed } from "./parts";
import { go } from "./route";
import { nothing, useAsked } from "./use";
import { pretty } from "./words";

interface Described {
  schema: Record<string, unknown> | null;
  template: unknown;
}

type Wrongs = { field: string; message: string }[];

const CHECK_MS = 250;

export function Again({ run, bar, close }: { run: Run; bar: Bar | undefined; close: () => void }) {
  const original = pretty(run.payload);
  const [payload, setPayload] = useState(original);
  const [result, setResult] = useState("");
  const [error, setError] = useState<string | null>(null);
  const { data: described } = useAsked<Described>(`payload?workflow=${encodeURIComponent(run.workflow)}`, nothing);
  const asksModel = run.agent && bar?.[2] === "call";
  const { data: step } = useAsked<Step>(asksModel ? `runs/${part(run.runId)}/steps/${part(bar![0])}` : null, nothing);
  const asked = step?.request && askedOf(step.request.body);
  const [other, setOther] = useState<Record<string, string>>({});
  const wrong = useWrong(run.workflow, payload, described?.schema != null && payload !== original);
  const empty = run.payload === null || payload.trim() === "";

  const read = (): Record<string, unknown> | string => {
    const given: Record<string, unknown> = bar ? { step: bar[0] } : {};
    for (const [name, text] of [["payload", payload], ["result", result]] as const) {
      if (name === "payload" ? text === original : !text.trim()) continue;
      // What was a text is one still, whatever is written.
      const found = name === "payload" && typeof run.payload === "string" ? { value: text } : parsed(text);
      if ("wrong" in found) return found.wrong;
      given[name] = found.value;
    }
    for (const [name, text] of Object.entries(other)) {
      if (asked && text.trim() && text !== asked[name as keyof typeof asked]) given[name] = text;
    }
    return given;
  };
  const given = read();
  const submit = async (event: Event) => {
    event.preventDefault();
    if (typeof given === "string") return setError(given);
    try {
      if ("payload" in given) {
        const { wrong } = await post<{ wrong: Wrongs }>("payload", { workflow: run.workflow, payload: given.payload });
        if (wrong.length) return setError(`It would be refused: ${wrong.map(({ field, message }) => `${field}: ${message}`).join("; ")}`);
      }
      const made = await post<{ runId: string }>(`runs/${part(run.runId)}/fork`, given);
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
        {asked && (
          <fieldset>
            <legend>Ask the model otherwise, from here on</legend>
            <label class="stack">Model{changed(other.model, asked.model)}
              <input class="mono" spellcheck={false} value={other.model ?? asked.model} onInput={(e) => setOther({ ...other, model: e.currentTarget.value })} /></label>
            <label class="stack">Instructions{changed(other.system, asked.system)}
              <textarea rows={3} value={other.system ?? asked.system} onInput={(e) => setOther({ ...other, system: e.currentTarget.value })} /></label>
            <label class="stack">Prompt{changed(other.prompt, asked.prompt)}
              <textarea rows={3} value={other.prompt ?? asked.prompt} onInput={(e) => setOther({ ...other, prompt: e.currentTarget.value })} /></label>
            {(["system", "prompt"] as const).map((name) => other[name] !== undefined && other[name] !== asked[name] && <Diff key={name} before={asked[name]} after={other[name]!} />)}
          </fieldset>
        )}
        <label class="stack">Input{payload !== original && <b> (changed)</b>}
          <textarea rows={asked ? 4 : 8} spellcheck={false} value={payload} aria-invalid={wrong.length > 0} aria-describedby="wrong" onInput={(e) => setPayload(e.currentTarget.value)} />
        </label>
        <div id="wrong" aria-live="polite">
          {wrong.length > 0 && <ul class="wrong">{wrong.map(({ field, message }) => <li key={field + message}><code>{field}</code> {message}</li>)}</ul>}
        </div>
        {described?.schema != null && (
          <div class="small">
            {empty && <><button type="button" class="small" onClick={() => setPayload(pretty(described.template))}>begin with a template</button> </>}
            <details><summary>What it takes</summary><pre class="arguments" tabIndex={0} aria-label="Schema">{pretty(described.schema)}</pre></details>
          </div>
        )}
        {bar && (
          <label class="stack">Result of this step, as JSON; empty: it runs again
            <textarea rows={asked ? 2 : 4} spellcheck={false} value={result} onInput={(e) => setResult(e.currentTarget.value)} />
          </label>
        )}
        {payload !== original && <Diff before={original} after={payload} />}
        {error && <Wrong text={error} />}
        <p class="actions"><button type="submit" class="main" disabled={wrong.length > 0}>Start the new run</button>
          <span class="fill" />{typeof given !== "string" && <Copies of={toFork(run.runId, given)} />}</p>
      </form>
    </Dialog>
  );
}

const changed = (now: string | undefined, before: string) => now !== undefined && now !== before && <b> (changed)</b>;

/** What is wrong with a payload while it is written; what is no JSON yet is not asked about. */
function useWrong(workflow: string, text: string, on: boolean): Wrongs {
  const [wrong, setWrong] = useState<Wrongs>([]);
  useEffect(() => {
    setWrong([]);
    if (!on) return;
    let gone = false;
    const timer = setTimeout(async () => {
      const found = parsed(text);
      if ("wrong" in found) return setWrong([{ field: "JSON", message: found.wrong }]);
      const told = await post<{ wrong: Wrongs }>("payload", { workflow, payload: found.value }).catch(() => ({ wrong: [] }));
      if (!gone) setWrong(told.wrong);
    }, CHECK_MS);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [workflow, text, on]);
  return wrong;
}

interface AskedOf {
  model: string;
  system: string;
  prompt: string;
}

type Message = { role?: string; content?: unknown };

const textOf = (content: unknown): string =>
  typeof content === "string" ? content
    : Array.isArray(content) ? content.map((one: { text?: unknown }) => (typeof one?.text === "string" ? one.text : "")).join("\n") : "";

/** What a request asks a model; null: it asks none. */
function askedOf(body: unknown): AskedOf | null {
  const { model, system, instructions, messages, input } = (body ?? {}) as Record<string, unknown>;
  if (typeof model !== "string") return null;
  const said = (Array.isArray(messages) ? messages : Array.isArray(input) ? input : [{ role: "user", content: input }]) as Message[];
  const head = said[0]?.role === "system" || said[0]?.role === "developer" ? said[0].content : "";
  const last = said.findLast((one) => one.role === "user" && textOf(one.content));
  return { model, system: textOf(system ?? instructions ?? head), prompt: textOf(last?.content) };
}

/** How it was asked otherwise, for the line that says what a run was made of. */
export const Otherwise = ({ asks }: { asks: Record<string, Record<string, unknown>> }) => (
  <>{Object.entries(asks).map(([agent, { model, system, prompt }]) => (
    <span key={agent}>{agent || "models"} asked otherwise: {[model && `model ${model}`, system && "instructions", prompt && "prompt"].filter(Boolean).join(", ")}</span>
  ))}</>
);
