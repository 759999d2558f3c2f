/** What models cost: by workflow and day, against budgets; and prices of one's own. */
import { useEffect, useState } from "preact/hooks";
import { base, post, session } from "./api";
import { Dialog, Empty, Trouble, doing } from "./parts";
import { useAsked, useTitle } from "./use";
import { dollars } from "./words";

interface Spent {
  calls: number;
  prompt: number;
  completion: number;
  cached: number;
  unpriced: number;
  cost: string;
}

interface Workflow {
  workflow: string;
  budget: string | null;
  days: (Spent | null)[];
}

interface Costs {
  complete: boolean;
  days: string[];
  workflows: Workflow[];
  models: (Spent & { model: string })[];
  /** input, output, cached input: US dollars for a million tokens */
  prices: Record<string, [string, string, string | null]>;
}

const total = (days: (Spent | null)[], of: "calls" | "prompt" | "completion") => days.reduce((sum, day) => sum + (day?.[of] ?? 0), 0);
const money = (days: (Spent | null)[]) => days.reduce((sum, day) => sum + Number(day?.cost ?? 0), 0);

export function Costs() {
  const { data, error, again } = useAsked<Costs>("costs", ({ kind }) => kind === "STEP_SUCCESS");
  const [budget, setBudget] = useState<Workflow | null>(null);
  const [price, setPrice] = useState<string | null>(null);
  useTitle("Costs · workflow-agents");
  useEffect(() => {
    if (data && !data.complete) again();
  }, [data]);
  const none = data && !data.workflows.length && data.complete;
  return (
    <>
      <div class="head"><h1>Costs</h1><span class="fill" />
        {session.mayChange && <button type="button" onClick={() => setPrice("")}>Set a price…</button>}</div>
      {error && <Trouble error={error} />}
      {data && !data.complete && <p class="quiet" role="status">What was asked of models is still being counted…</p>}
      {none && <Empty><p>No model was asked in the last {data.days.length} days.</p></Empty>}
      {data && data.workflows.length > 0 && (
        <>
          <div class="scroll"><table class="list">
            <thead><tr><th>Workflow</th><th class="number">Today</th><th>Budget a day</th><th class="number">{data.days.length} days</th><th class="number">Calls</th><th class="number">Tokens in + out</th><th>By day</th></tr></thead>
            <tbody>{data.workflows.map((one) => (
              <tr key={one.workflow}>
                <td><a href={`${base}/?workflow=${encodeURIComponent(one.workflow)}`}><b>{one.workflow}</b></a></td>
                <td class="number"><Cost of={one.days.at(-1) ?? null} /></td>
                <td><Budget of={one} set={() => setBudget(one)} /></td>
                <td class="number">{dollars(money(one.days))}</td>
                <td class="number">{total(one.days, "calls").toLocaleString()}</td>
                <td class="number">{total(one.days, "prompt").toLocaleString()} + {total(one.days, "completion").toLocaleString()}</td>
                <td><Days days={one.days} dates={data.days} budget={Number(one.budget ?? 0)} /></td>
              </tr>
            ))}</tbody>
          </table></div>
          <section aria-label="Models">
            <div class="scroll"><table class="list">
              <thead><tr><th>Model</th><th class="number">{data.days.length} days</th><th class="number">Calls</th><th class="number">Tokens in + out</th><th>Price for a million tokens</th><th><span class="unseen">Actions</span></th></tr></thead>
              <tbody>{data.models.map((one) => (
                <tr key={one.model}>
                  <td><b>{one.model || "unnamed"}</b></td><td class="number"><Cost of={one} /></td><td class="number">{one.calls.toLocaleString()}</td>
                  <td class="number">{one.prompt.toLocaleString()} + {one.completion.toLocaleString()}</td>
                  <td>{data.prices[one.model] ? <OwnPrice of={data.prices[one.model]!} /> : one.unpriced ? <span class="bad">not known</span> : <span class="quiet">list price of the day</span>}</td>
                  <td>{session.mayChange && one.model && <button type="button" class="small" onClick={() => setPrice(one.model)}>Set price…</button>}</td>
                </tr>
              ))}</tbody>
            </table></div>
          </section>
        </>
      )}
      <p class="quiet">Days are of UTC. Costs are estimates: tokens as providers tell them, at list prices of the day of the run, which come with the package and need no network, or at prices that were set here.</p>
      {budget && <SetBudget of={budget} close={() => setBudget(null)} done={again} />}
      {price !== null && data && <SetPrice model={price} prices={data.prices} close={() => setPrice(null)} done={again} />}
    </>
  );
}

const Cost = ({ of }: { of: Spent | null }) => of === null ? <span class="quiet">–</span> : (
  <span title={`$${of.cost}`}>{dollars(Number(of.cost))}{of.unpriced > 0 && <span class="bad"> + {of.unpriced} of unknown price</span>}</span>
);

const OwnPrice = ({ of: [input, output, cached] }: { of: [string, string, string | null] }) => (
  <>${input} in, ${output} out{cached !== null && `, $${cached} cached`}</>
);

/** How much of today's budget is gone: in words too, never by colour alone. */
function Budget({ of, set }: { of: Workflow; set: () => void }) {
  const budget = Number(of.budget ?? 0);
  const today = Number(of.days.at(-1)?.cost ?? 0);
  const share = budget ? today / budget : 0;
  return (
    <span class="budget">
      {of.budget === null ? <span class="quiet">none</span> : (
        <>
          <span class={`gauge ${share >= 1 ? "over" : share >= 0.8 ? "near" : ""}`} role="meter" aria-label={`Budget of ${of.workflow} today`} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.min(100, Math.round(100 * share))}>
            <span style={{ width: `${Math.min(100, 100 * share)}%` }} />
          </span>
          <span class={share >= 1 ? "bad" : ""}>{Math.round(100 * share)} % of {dollars(budget)}{share >= 1 ? ": used up" : ""}</span>
        </>
      )}
      {session.mayChange && <button type="button" class="small quiet" onClick={set} aria-label={`Set the budget of ${of.workflow}`}>set…</button>}
    </span>
  );
}

function Days({ days, dates, budget }: { days: (Spent | null)[]; dates: string[]; budget: number }) {
  const costs = days.map((day) => Number(day?.cost ?? 0));
  const most = Math.max(budget, ...costs) || 1;
  const worst = costs.indexOf(Math.max(...costs));
  return (
    <svg class="spark" viewBox={`0 0 ${days.length * 9} 24`} width={days.length * 9} height="24" role="img" aria-label={`${dollars(money(days))} in ${days.length} days, most on ${dates[worst]}: ${dollars(costs[worst]!)}`}>
      {costs.map((cost, i) => (
        <g key={i}><title>{`${dates[i]}: ${dollars(cost)}`}</title>
          <rect class="base" x={i * 9} y={23} width="7" height="1" />
          <rect class={budget && cost >= budget ? "failed" : "spent"} x={i * 9} y={24 - (24 * cost) / most} width="7" height={(24 * cost) / most} /></g>
      ))}
      {budget > 0 && <line class="limit" x1="0" x2={days.length * 9} y1={24 - (24 * budget) / most} y2={24 - (24 * budget) / most} />}
    </svg>
  );
}

function SetBudget({ of, close, done }: { of: Workflow; close: () => void; done: () => void }) {
  const keep = (usd: string | null) => {
    close();
    doing(() => post("costs/budget", { workflow: of.workflow, usd }), usd === null ? "The budget is gone" : "The budget is kept", done);
  };
  const submit = (event: Event) => {
    event.preventDefault();
    keep(String(new FormData(event.target as HTMLFormElement).get("usd")).trim() || null);
  };
  return (
    <Dialog title={`Budget of ${of.workflow}`} close={close}>
      <form onSubmit={submit}>
        <p class="quiet">It is shown, and stops nothing: limits of agents do. It is kept in the store.</p>
        <label class="stack">US dollars a day <input name="usd" inputMode="decimal" value={of.budget ?? ""} autofocus /></label>
        <p class="actions"><button type="submit" class="main">Keep it</button>
          {of.budget !== null && <button type="button" onClick={() => keep(null)}>Without a budget</button>}</p>
      </form>
    </Dialog>
  );
}

function SetPrice({ model, prices, close, done }: { model: string; prices: Costs["prices"]; close: () => void; done: () => void }) {
  const known = prices[model];
  const keep = (name: string, body: object, text: string) => {
    close();
    doing(() => post("costs/price", { model: name, ...body }), text, done);
  };
  const submit = (event: Event) => {
    event.preventDefault();
    const form = new FormData(event.target as HTMLFormElement);
    const given = (name: string) => String(form.get(name)).trim() || null;
    keep(given("model") ?? "", { input: given("input") ?? "0", output: given("output") ?? "0", cachedInput: given("cached") }, "The price is kept");
  };
  return (
    <Dialog title={model ? `Price of ${model}` : "Price of a model"} close={close}>
      <form onSubmit={submit}>
        <p class="quiet">US dollars for a million tokens. It comes before list prices, and all that is shown is counted anew.</p>
        <label class="stack">Model, as its replies name it <input name="model" required value={model} readOnly={!!model} /></label>
        <label class="stack">Input <input name="input" inputMode="decimal" required value={known?.[0] ?? ""} /></label>
        <label class="stack">Output <input name="output" inputMode="decimal" required value={known?.[1] ?? ""} /></label>
        <label class="stack">Cached input, if it differs <input name="cached" inputMode="decimal" value={known?.[2] ?? ""} /></label>
        <p class="actions"><button type="submit" class="main">Keep it</button>
          {known && <button type="button" onClick={() => keep(model, {}, "List prices hold again")}>List price again</button>}</p>
      </form>
    </Dialog>
  );
}
