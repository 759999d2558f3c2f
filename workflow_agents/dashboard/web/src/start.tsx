/** Starting a run, and what is said where there is none yet. */
import { useState } from "preact/hooks";
import { bearer, part, post, session } from "./api";
import { Command, Dialog, Wrong, doing, parsed } from "./parts";
import { go } from "./route";

export function NoRuns({ start }: { start: () => void }) {
  const sample = () => doing(async () => {
    const { runId } = await post<{ runId: string }>("sample");
    go(`/runs/${part(runId)}`);
    return "The sample has started";
  }, "");
  return (
    <>
      <p>Here will be the runs of your workflows.</p>
      {session.sample && session.mayChange && (
        <p><button type="button" class="main" onClick={sample}>Run the sample</button> <span class="quiet">a small workflow that this server brings along: a step, a sleep, a retry</span></p>
      )}
      {session.serves?.length && session.mayChange ? <p><button type="button" class="main" onClick={start}>Start the first run…</button></p> : (
        <>
          {session.server && <><p>Tell your application where this server is:</p>
            <Command text={`export QSTASH_URL='${location.origin}' QSTASH_TOKEN="${bearer()}"`} /></>}
          <p>Send your workflow a request; its address is that of your application:</p>
          <Command text={`curl -X POST http://localhost:8000/your-workflow -H 'Content-Type: application/json' -d '{}'`} />
        </>
      )}
    </>
  );
}

export function Start({ close }: { close: () => void }) {
  const [wrong, setWrong] = useState("");
  const submit = async (event: Event) => {
    event.preventDefault();
    const form = new FormData(event.target as HTMLFormElement);
    const found = parsed(String(form.get("payload")));
    if ("wrong" in found) return setWrong(found.wrong);
    try {
      const { runId } = await post<{ runId: string }>("runs", { workflow: form.get("workflow"), payload: found.value });
      close();
      go(`/runs/${part(runId)}`);
    } catch (failed) {
      setWrong((failed as Error).message);
    }
  };
  return (
    <Dialog title="Start a run" close={close}>
      <form onSubmit={submit}>
        <label class="stack">Workflow <select name="workflow">{session.serves!.map((path) => <option key={path}>{path}</option>)}</select></label>
        <label class="stack">Input, as JSON <textarea name="payload" rows={6} spellcheck={false}>{"{}"}</textarea></label>
        {wrong && <Wrong text={wrong} />}
        <p class="actions"><button type="submit" class="main">Start</button></p>
      </form>
    </Dialog>
  );
}
