/** What agents want to do, and a person may let them. */
import { useState } from "preact/hooks";
import { base, post, runPath } from "./api";
import { Ago, Empty, Left, Trouble, Wrong, doing, parsed } from "./parts";
import { usePlace } from "./route";
import { useAsked, useKeys, useTitle } from "./use";
import { formatted, pretty } from "./words";

export interface Approval {
  id: string;
  kind: "approval" | "unknown_outcome" | "limit";
  runId: string;
  workflow: string;
  agent: string;
  tool: string;
  description: string;
  arguments: Record<string, unknown>;
  hash: string;
  schema: Record<string, unknown>;
  asked: number;
  deadline: number;
  /** how many have to approve, and who has */
  approvers: number;
  approvedBy: string[];
}

const WHY = {
  approval: "wants to call",
  unknown_outcome: "may have called, and nobody knows whether it did:",
  limit: "has used up a limit, and wants as much again:",
};

const WAITS = new Set(["STEP_WAITING", "STEP_SUCCESS", "STEP_FAILED", "STEP_WITHDRAWN", "RUN_CANCELED", "RUN_SUCCESS", "RUN_FAILED", "NOTIFIED"]);
export const concernsWaits = ({ kind }: { kind: string }) => WAITS.has(kind);

export function Approvals() {
  const { data, error, again } = useAsked<{ approvals: Approval[] }>("approvals", concernsWaits);
  useTitle("Approvals · workflow-agents");
  const found = data?.approvals ?? [];
  return (
    <>
      <h1>Approvals {found.length > 0 && <span class="count">{found.length}</span>}</h1>
      {error && <Trouble error={error} />}
      {data && !found.length && <Empty><p>Nothing waits for a person.</p><p>A tool made with <code>tool(needs_approval=True)</code> asks here before it runs.</p></Empty>}
      <div class="cards">{found.map((one, i) => <Card key={one.id} approval={one} first={i === 0} done={again} />)}</div>
    </>
  );
}

/** One of them, by a link that was given to somebody. */
export function Linked() {
  const { query } = usePlace();
  const link = query.get("link") ?? "";
  const { data, error, again } = useAsked<Approval>(`linked?link=${encodeURIComponent(link)}`);
  const [done, setDone] = useState(false);
  useTitle("Approval · workflow-agents");
  return (
    <>
      <h1>You are asked</h1>
      {done ? <Empty><p>It is decided. You may close this page.</p></Empty>
        : error ? <Trouble error={error} />
        : data && <Card approval={data} first link={link} done={() => { setDone(true); again(); }} />}
    </>
  );
}

interface Props {
  approval: Approval;
  /** single keys are for this one */
  first: boolean;
  link?: string;
  done: () => void;
}

export function Card({ approval, first, link, done }: Props) {
  const original = pretty(approval.arguments);
  const [edits, setEdits] = useState<string | null>(null);
  const [reason, setReason] = useState<string | null>(null);
  const [answer, setAnswer] = useState<string | null>(null);
  const [wrong, setWrong] = useState("");
  const changed = edits !== null && edits !== original;
  const decide = async (verdict: string, more: Record<string, unknown>, word: string) => {
    const given = { verdict, hash: approval.hash, ...more };
    await doing(
      () => link ? post("linked", { ...given, link }) : post("approvals", { ...given, id: approval.id }),
      `${word}: ${approval.tool}`, done,
    );
  };
  const approve = () => {
    if (edits === null || !changed) return decide("approve", {}, "Approved");
    const found = parsed(edits);
    if ("wrong" in found) return setWrong(found.wrong);
    return decide("approve", { arguments: found.value }, "Approved as edited");
  };
  const respond = () => answer === null ? setAnswer("") : answer.trim() ? decide("respond", { answer }, "Answered") : setWrong("An answer has some words.");
  const writing = reason !== null || answer !== null;
  const reject = () => reason === null ? setReason("") : decide("reject", { reason }, "Rejected");
  const edit = () => approval.kind === "approval" && setEdits((old) => old ?? original);
  useKeys(first ? { a: () => writing || approve(), e: edit, x: () => answer === null && reject() } : {});
  const share = () => doing(async () => {
    const { link: made } = await post<{ link: string }>("approvals/link", { id: approval.id });
    await navigator.clipboard.writeText(`${location.origin}${base}/approve?link=${made}`);
  }, "A link for this approval is copied: whoever has it may decide");
  return (
    <article class="card" aria-label={`Approval of ${approval.tool}`}>
      <p class="facts">
        <span>asked <Ago at={approval.asked} /></span> <Left until={approval.deadline} />
        {!link && <a class="mono" href={runPath(approval.runId)}>{approval.runId}</a>}
        <span>{approval.workflow}</span>
      </p>
      <h2><b>{approval.agent}</b> {WHY[approval.kind]} <code class="tool">{approval.tool}</code></h2>
      {approval.approvers > 1 && <p class="asks">{approval.approvedBy.length} of {approval.approvers} people have approved it{approval.approvedBy.length > 0 && `: ${approval.approvedBy.join(", ")}`}.</p>}
      {approval.description && <p class="quiet">{approval.description}</p>}
      {edits === null ? <pre tabIndex={0} class="arguments" aria-label="Arguments">{original}</pre> : (
        <label class="stack">Arguments{changed && <b> (edited)</b>}
          <textarea rows={Math.min(14, original.split("\n").length + 1)} spellcheck={false} value={edits} onInput={(e) => setEdits(e.currentTarget.value)} />
        </label>
      )}
      {changed && <Diff before={original} after={edits!} />}
      {reason !== null && (
        <label class="stack">Why not? The model is told so
          <input value={reason} onInput={(e) => setReason(e.currentTarget.value)} autofocus />
        </label>
      )}
      {answer !== null && (
        <label class="stack">The model is told this in place of the result; the tool does not run
          <textarea rows={3} value={answer} onInput={(e) => setAnswer(e.currentTarget.value)} autofocus />
        </label>
      )}
      {wrong && <Wrong text={wrong} />}
      <p class="actions">
        {!writing && <button type="button" class="main" onClick={approve} title={first ? "a" : undefined}>{approval.kind === "unknown_outcome" ? "Run it again" : changed ? "Approve as edited" : "Approve"}</button>}
        {approval.kind === "unknown_outcome" && <button type="button" onClick={() => decide("resolve", {}, "Resolved")}>It has happened</button>}
        {approval.kind === "approval" && edits === null && !writing && <button type="button" onClick={edit} title={first ? "e" : undefined}>Edit…</button>}
        {approval.kind === "approval" && reason === null && edits === null && <button type="button" class={answer === null ? "" : "main"} onClick={respond}>{answer === null ? "Answer…" : "Answer in its place"}</button>}
        {answer === null && <button type="button" class="danger" onClick={reject} title={first ? "x" : undefined}>{reason === null ? "Reject…" : "Reject"}</button>}
        {(writing || edits !== null) && <button type="button" class="quiet" onClick={() => { setReason(null); setAnswer(null); setEdits(null); setWrong(""); }}>Back</button>}
        <span class="fill" />
        {!link && approval.approvers === 1 && <button type="button" class="quiet small" onClick={share}>copy a link for somebody</button>}
      </p>
      <p class="quiet small">After approval it runs with exactly these arguments <code title="SHA-256 of the arguments">{approval.hash.slice(0, 12)}</code>; without a decision in time it counts as rejected.</p>
    </article>
  );
}

/** Lines that go and lines that come. */
export function Diff({ before, after }: { before: string; after: string }) {
  const old = formatted(before).split("\n");
  const now = formatted(after).split("\n");
  const lines: [string, string][] = [
    ...old.filter((line) => !now.includes(line)).map((line): [string, string] => ["−", line]),
    ...now.filter((line) => !old.includes(line)).map((line): [string, string] => ["+", line]),
  ];
  return <pre class="diff" aria-label="Changes">{lines.map(([sign, line], i) => <div key={i} class={sign === "+" ? "plus" : "minus"}>{sign} {line}</div>)}</pre>;
}

