/** What a list is filtered by, as chips; views that are kept in this browser; which columns there are. */
import { useState } from "preact/hooks";
import { base } from "./api";
import { Copy, Dialog } from "./parts";
import { ask } from "./route";
import { COLUMNS } from "./runtable";

const NAMED: [string, string][] = [["workflow", "workflow"], ["label", "label"], ["find", "id begins with"], ["search", "holds"]];
const AT_FIRST = ["state", "workflow", "run", "labels", "started", "took"];

export function Filters({ query, workflows }: { query: URLSearchParams; workflows: string[] }) {
  const search = (event: Event) => {
    event.preventDefault();
    const text = String(new FormData(event.target as HTMLFormElement).get("search")).trim();
    ask({ search: text || null });
  };
  const chips = NAMED.filter(([name]) => query.get(name));
  return (
    <>
      <div class="filters">
        <label>Workflow{" "}
          <select value={query.get("workflow") ?? ""} onChange={(e) => ask({ workflow: e.currentTarget.value })}>
            <option value="">all</option>
            {workflows.map((workflow) => <option key={workflow}>{workflow}</option>)}
          </select>
        </label>
        <label>Run id{" "}
          <input type="search" value={query.get("find") ?? ""} placeholder="wfr_…" spellcheck={false}
            onInput={(e) => ask({ find: e.currentTarget.value.trim() }, true)} />
        </label>
        <form role="search" onSubmit={search} key={query.get("search")}>
          <label>Search{" "}
            <input type="search" name="search" class="wide" value={query.get("search") ?? ""} maxLength={200} placeholder="in inputs, results, steps" spellcheck={false} />
          </label>{" "}
          <button type="submit" class="small">Search</button>
        </form>
      </div>
      {chips.length > 0 && (
        <p class="chips" role="group" aria-label="Filters">
          {chips.map(([name, title]) => (
            <button key={name} type="button" class="filter" title="Take this filter out" onClick={() => ask({ [name]: null })}>
              <span class="quiet">{title}</span> {query.get(name)} <span aria-hidden="true">✕</span>
            </button>
          ))}
          <a class="small" href={`${base}/`}>take all out</a>
        </p>
      )}
    </>
  );
}

function kept<T>(name: string, otherwise: T): T {
  try {
    return JSON.parse(localStorage.getItem(name) ?? "null") ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** Those of the address come first: whoever is sent a link sees what was meant. */
export function useColumns(query: URLSearchParams): [string[], (to: string[]) => void] {
  const [columns, setColumns] = useState(() => kept("columns", AT_FIRST));
  const linked = query.get("columns")?.split(",").filter((name) => COLUMNS.some(([one]) => one === name));
  const choose = (to: string[]) => {
    localStorage.setItem("columns", JSON.stringify(to));
    setColumns(to);
    ask({ columns: null }, true);
  };
  return [linked?.length ? linked : columns, choose];
}

export function Columns({ columns, choose }: { columns: string[]; choose: (to: string[]) => void }) {
  const [open, setOpen] = useState(false);
  const toggle = (name: string) => {
    const to = COLUMNS.map(([one]) => one).filter((one) => (one === name) !== columns.includes(one));
    if (to.length) choose(to);
  };
  return (
    <>
      <button type="button" class="quiet small" onClick={() => setOpen(true)}>columns</button>
      {open && (
        <Dialog title="Columns" close={() => setOpen(false)}>
          <p class="quiet">They are remembered in this browser.</p>
          <fieldset class="plain"><legend class="unseen">Columns of the list</legend>
            {COLUMNS.map(([name, title]) => <p key={name}><label><input type="checkbox" checked={columns.includes(name)} onChange={() => toggle(name)} /> {title}</label></p>)}
          </fieldset>
          <p class="actions"><button type="button" onClick={() => choose(AT_FIRST)}>As at first</button></p>
        </Dialog>
      )}
    </>
  );
}

/** Filters with a name, kept in this browser; a link shares one, with its columns. */
export function Views({ query, columns }: { query: URLSearchParams; columns: string[] }) {
  const [views, setViews] = useState(() => kept<Record<string, string>>("views", {}));
  const [naming, setNaming] = useState(false);
  const here = new URLSearchParams(query);
  here.delete("columns");
  const keep = (now: Record<string, string>) => {
    localStorage.setItem("views", JSON.stringify(now));
    setViews(now);
  };
  const save = (event: Event) => {
    event.preventDefault();
    const name = String(new FormData(event.target as HTMLFormElement).get("name")).trim();
    if (name) keep({ ...views, [name]: here.toString() });
    setNaming(false);
  };
  const link = new URLSearchParams(here);
  if (columns.join() !== AT_FIRST.join()) link.set("columns", columns.join());
  return (
    <span class="views">
      {Object.entries(views).map(([name, of]) => (
        <span key={name} class={of === here.toString() ? "view chosen" : "view"}><a href={`${base}/?${of}`}>{name}</a>
          <button type="button" class="quiet small" aria-label={`Forget the view ${name}`} onClick={() => keep(Object.fromEntries(Object.entries(views).filter(([one]) => one !== name)))}>✕</button></span>
      ))}
      {naming ? <form onSubmit={save}><input name="name" aria-label="Name of the view" autofocus placeholder="name" /></form>
        : here.size > 0 && <button type="button" class="quiet small" onClick={() => setNaming(true)}>save view</button>}
      <Copy text={`${location.origin}${base}/${link.size ? `?${link}` : ""}`} label="copy link" />
    </span>
  );
}
