/** What failed for good, by its error; it can be tried again, one or all of a kind. */
import { useState } from "preact/hooks";
import { base, get, post, runPath } from "./api";
import { Ago, Empty, Sure, Trouble, say } from "./parts";
import { ask, usePlace } from "./route";
import { useAsked, useTitle } from "./use";

interface Group {
  error: string | null;
  message: string | null;
  of: string;
  count: number;
  first: number;
  last: number;
}

interface Letter {
  id: string;
  kind: "run" | "message";
  runId: string | null;
  messageId: string | null;
  of: string;
  at: number;
  error: string | null;
  message: string | null;
  status: number | null;
  where: string | null;
  fix: string[] | null;
  failureFunction: string | null;
}

interface Page {
  letters: Letter[];
  before: number | null;
}

const concerns = ({ kind }: { kind: string }) => kind.startsWith("DEAD_LETTER") || kind === "RUN_FAILED" || kind === "MESSAGE_FAILED";
const DONE: Record<string, string> = { resume: "resumed", restart: "restarted", retry: "sent again", delete: "deleted" };

export function Letters() {
  const { query } = usePlace();
  const error = query.get("error");
  const message = query.get("message");
  const asked = new URLSearchParams();
  if (error) asked.set("error", error);
  if (message) asked.set("message", message);
  const groups = useAsked<{ groups: Group[] }>("letters/groups", concerns);
  const first = useAsked<Page>(`letters?${asked}`, concerns);
  const [more, setMore] = useState<{ of: string; pages: Page[] }>({ of: "", pages: [] });
  const [chosen, setChosen] = useState<Set<string>>(new Set());
  const [sure, setSure] = useState<{ action: string; word: string; what: string; body: object } | null>(null);
  useTitle("Dead letters · workflow-agents");

  const pages = more.of === asked.toString() ? more.pages : [];
  const last = pages.at(-1) ?? first.data;
  const letters = [first.data, ...pages].flatMap((page) => page?.letters ?? []);
  const next = async () => {
    const of = asked.toString();
    const page = await get<Page>(`letters?${of}&before=${last?.before}`);
    setMore({ of, pages: [...pages, page] });
  };
  const act = async (action: string, body: object) => {
    try {
      const { done, failed } = await post<{ done: [string, string | null][]; failed: [string, string][] }>("letters", { action, ...body });
      say(`${done.length} ${DONE[action]}${failed.length ? `, ${failed.length} not: ${failed[0]![1]}` : ""}`, failed.length > 0);
    } catch (failed) {
      say((failed as Error).message, true);
    }
    setChosen(new Set());
    setMore({ of: "", pages: [] });
    groups.again();
    first.again();
  };
  const group = groups.data?.groups.find((one) => one.error === error && one.message === message);
  const selected = letters.filter(({ id }) => chosen.has(id));
  const kinds = new Set((selected.length ? selected : letters).map(({ kind }) => kind));
  const count = selected.length || (group?.count ?? 0);
  const body = selected.length ? { ids: selected.map(({ id }) => id) } : { group: { error, message } };
  const bulk = (action: string, word: string) => setSure({ action, word, body, what: `${count.toLocaleString()} ${count === 1 ? "dead letter" : "dead letters"}` });
  const choose = (id: string) => setChosen((old) => {
    const now = new Set(old);
    if (!now.delete(id)) now.add(id);
    return now;
  });

  return (
    <>
      <h1>Dead letters</h1>
      {(groups.error ?? first.error) && <Trouble error={(groups.error ?? first.error)!} />}
      {groups.data && !groups.data.groups.length ? <Empty><p>Nothing has failed for good.</p></Empty> : (
        <>
          <ul class="groups" aria-label="Errors">
            {groups.data?.groups.map((one) => {
              const here = one === group;
              return (
                <li key={`${one.error} ${one.message}`}>
                  <button type="button" class={here ? "group chosen" : "group"} aria-pressed={here}
                    onClick={() => { setChosen(new Set()); ask(here ? { error: null, message: null } : { error: one.error, message: one.message }); }}>
                    <span class="count bad">{one.count.toLocaleString()}</span>
                    <span class="what"><b>{one.error}</b> {one.message}</span>
                    <span class="quiet">{one.of} · last <Ago at={one.last} /></span>
                  </button>
                </li>
              );
            })}
          </ul>
          {count > 0 && (
            <div class="actions bulk" role="group" aria-label="With all of them">
              <b>{count.toLocaleString()} {selected.length ? "selected" : "of this error"}</b>
              {kinds.has("run") && <button type="button" class="main" onClick={() => bulk("resume", "Resume")}>Resume {count}</button>}
              {kinds.has("run") && <button type="button" onClick={() => bulk("restart", "Restart")}>Restart {count}</button>}
              {kinds.has("message") && <button type="button" class="main" onClick={() => bulk("retry", "Send again")}>Send {count} again</button>}
              <button type="button" class="danger" onClick={() => bulk("delete", "Delete")}>Delete {count}</button>
            </div>
          )}
          <div class="scroll"><table class="list stack">
            <thead><tr><th><span class="unseen">Select</span></th><th>Error</th><th>Of</th><th>Failed</th><th><span class="unseen">Actions</span></th></tr></thead>
            <tbody>{letters.map((letter) => (
              <tr key={letter.id}>
                <td><input type="checkbox" aria-label={`Select ${letter.id}`} checked={chosen.has(letter.id)} onChange={() => choose(letter.id)} /></td>
                <td><b class="bad">{letter.error ?? `HTTP status ${letter.status}`}</b> {letter.message}
                  {letter.where && <><br /><code class="quiet">{letter.where}</code></>}</td>
                <td>{letter.of}<br />{letter.runId ? <a class="mono" href={runPath(letter.runId)}>{letter.runId}</a> : <code>{letter.messageId}</code>}</td>
                <td><Ago at={letter.at} /></td>
                <td class="nowrap">
                  {letter.kind === "run" ? (
                    <>
                      <button type="button" class="small" onClick={() => act("resume", { ids: [letter.id] })} title="Go on where it failed">Resume</button>{" "}
                      <button type="button" class="small" onClick={() => act("restart", { ids: [letter.id] })} title="From the top">Restart</button>
                    </>
                  ) : <button type="button" class="small" onClick={() => act("retry", { ids: [letter.id] })}>Send again</button>}{" "}
                  <button type="button" class="small quiet" onClick={() => setSure({ action: "delete", word: "Delete", what: "this dead letter", body: { ids: [letter.id] } })}>Delete</button>
                </td>
              </tr>
            ))}</tbody>
          </table></div>
          {last?.before != null && <button type="button" class="more" onClick={next}>Show earlier ones</button>}
        </>
      )}
      {sure && <Sure title={`${sure.word} ${sure.what}?`} word={sure.word} close={() => setSure(null)} act={() => act(sure.action, sure.body)}
        text={sure.action === "delete" ? "Their runs stay in the list of runs; they can no longer be resumed from here." : sure.action === "resume" ? "New runs go on where these failed; steps that were done are not done again." : "New runs begin from the top."} />}
      <p class="quiet"><a href={`${base}/?state=failed`}>Runs that have failed</a></p>
    </>
  );
}
