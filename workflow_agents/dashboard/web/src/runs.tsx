/** The list of runs: filters in the address, the newest first; nothing moves under the pointer. */
import { useState } from "preact/hooks";
import { STATES, base, get, post as sent, session, type Count, type Overview, type RunLine, type State } from "./api";
import { Columns, Filters, Views, useColumns } from "./filters";
import { Chip, Empty, Sure, Trouble, doing } from "./parts";
import { usePlace } from "./route";
import { RunTable, useHeld } from "./runtable";
import { Found } from "./search";
import { NoRuns, Start } from "./start";
import { useAsked, useKeys, useTitle } from "./use";
import { together } from "./words";

interface Page {
  runs: RunLine[];
  before: number | null;
  /** so many were looked at, and the page is not full */
  looked: number | null;
}

export const ofRuns = ({ kind }: { kind: string }) => kind.startsWith("RUN_") || kind === "STEP_WAITING" || kind === "NOTIFIED";
const FILTERS = ["state", "workflow", "label", "find"];

export function Runs() {
  const { query } = usePlace();
  const asked = new URLSearchParams();
  for (const name of FILTERS) for (const value of query.getAll(name)) if (value) asked.append(name, value);
  const of = new URLSearchParams([...asked].filter(([name]) => name === "workflow" || name === "label"));
  const search = query.get("search");
  const overview = useAsked<Overview>(of.size ? `overview?${of}` : "overview", ofRuns);
  const [columns, setColumns] = useColumns(query);
  const [start, setStart] = useState(false);
  useKeys({ "/": () => document.querySelector<HTMLInputElement>("input[name=search]")?.focus() });
  useTitle("Runs · workflow-agents");
  return (
    <>
      <div class="head"><h1>Runs</h1><span class="fill" />
        <Views query={query} columns={columns} />
        <Columns columns={columns} choose={setColumns} />
        {session.mayChange && !!session.serves?.length && <button type="button" class="main" onClick={() => setStart(true)}>Start a run…</button>}
      </div>
      {overview.error && <Trouble error={overview.error} />}
      <States counts={overview.data?.counts} query={query} />
      <Filters query={query} workflows={overview.data?.workflows ?? []} />
      {search ? <Found key={`${search} ${asked}`} text={search} asked={asked} />
        : <List key={asked.toString()} asked={asked} columns={columns} start={() => setStart(true)} />}
      {start && <Start close={() => setStart(false)} />}
    </>
  );
}

function States({ counts, query }: { counts: Record<State, Count> | undefined; query: URLSearchParams }) {
  const total: Count | undefined = counts && Object.values(counts).reduce(([sum, some], [n, more]) => [sum + n, some || more], [0, false]);
  return (
    <nav aria-label="States" class="tabs">
      {[null, ...STATES].map((state) => {
        const to = new URLSearchParams(query);
        to.delete("state");
        if (state) to.set("state", state);
        const count = state === null ? total : counts?.[state];
        return (
          <a key={state} class="tab" href={`${base}/${to.size ? `?${to}` : ""}`} aria-current={query.get("state") === state ? "page" : undefined}>
            {state ? <Chip state={state} /> : "all"} <span class="count" title={count?.[1] ? "at least" : undefined}>{count ? `${count[0].toLocaleString()}${count[1] ? "+" : ""}` : ""}</span>
          </a>
        );
      })}
    </nav>
  );
}

function List({ asked, columns, start }: { asked: URLSearchParams; columns: string[]; start: () => void }) {
  const first = useAsked<Page>(`runs?${asked}`, ofRuns);
  const [more, setMore] = useState<Page[]>([]);
  const [chosen, setChosen] = useState<Set<string>>(new Set());
  const [sure, setSure] = useState<"cancel" | "again" | null>(null);
  const last = more.at(-1) ?? first.data;
  const next = async () => {
    const page = await get<Page>(`runs?${asked}&before=${last?.before}`);
    setMore((old) => [...old, page]);
  };
  const [lines, fresh, show, over] = useHeld([first.data, ...more].flatMap((page) => page?.runs ?? []), chosen.size > 0);
  const act = (action: "cancel" | "again") => doing(async () => {
    const ids = [...chosen];
    setChosen(new Set());
    return together(await post(action, ids), action === "cancel" ? "cancelled" : "started again");
  }, "", first.again);
  const filtered = asked.size > 0;
  const shown = lines.filter(([, id]) => chosen.has(id));

  if (first.error && !first.data) return <Trouble error={first.error} />;
  return (
    <>
      {first.error && <Trouble error={first.error} />}
      {first.data && !lines.length ? (
        <Empty>{last?.looked ? <p>None of the newest {last.looked.toLocaleString()} that were looked at is like that.</p>
          : filtered ? <p>No run is like that. <a href={`${base}/`}>Show all runs</a></p> : <NoRuns start={start} />}</Empty>
      ) : (
        <>
          {chosen.size > 0 && (
            <div class="actions bulk" role="group" aria-label="With those that are selected">
              <b>{chosen.size.toLocaleString()} selected</b>
              <button type="button" onClick={() => setSure("cancel")}>Cancel {chosen.size}</button>
              <button type="button" onClick={() => setSure("again")}>Run {chosen.size} again</button>
              <button type="button" class="quiet" onClick={() => setChosen(new Set())}>Select none</button>
            </div>
          )}
          {fresh > 0 && <button type="button" class="fresh" onClick={show} onPointerEnter={(event) => event.pointerType === "mouse" && over(true)} onPointerLeave={() => over(false)}>{fresh} new</button>}
          <RunTable lines={lines} columns={columns} chosen={session.mayChange ? chosen : null} choose={setChosen} over={over} />
        </>
      )}
      {last?.before != null && <button type="button" class="more" onClick={next}>{last.looked ? "Look further" : "Show earlier runs"}</button>}
      {sure && <Sure title={sure === "cancel" ? `Cancel ${chosen.size} runs?` : `Run ${chosen.size} again?`} word={sure === "cancel" ? `Cancel ${chosen.size} runs` : `Run ${chosen.size} again`}
        close={() => setSure(null)} act={() => act(sure)}
        text={sure === "cancel" ? `${shown.filter(([, , , , , ended]) => ended === null).length} of them have not ended; those that have stay as they are.` : "New runs begin from the top, with the same input."} />}
    </>
  );
}

const post = (action: string, ids: string[]) => sent<{ done: string[]; failed: [string, string][] }>("runs-together", { action, ids });
