/** How each workflow does, by its newest runs. */
import { base } from "./api";
import { Ago, Chip, Empty, Trouble } from "./parts";
import { useAsked, useTitle } from "./use";
import { span } from "./words";

interface Workflow {
  workflow: string;
  runs: number;
  going: number;
  failed: number;
  ended: number;
  /** so many have ended in the last hour */
  lastHour: number;
  last: string | null;
  lastAt: number | null;
  p50: number | null;
  p95: number | null;
  /** of the last day: those that have not failed, and those that have */
  hours: [number, number][];
}

export function Health() {
  const { data, error } = useAsked<{ workflows: Workflow[] }>("workflows", ({ kind }) => kind.startsWith("RUN_"));
  useTitle("Workflows · workflow-agents");
  return (
    <>
      <h1>Workflows</h1>
      {error && <Trouble error={error} />}
      {data && !data.workflows.length && <Empty><p>No workflow has run yet.</p></Empty>}
      {data && data.workflows.length > 0 && (
        <div class="scroll"><table class="list stack">
          <thead><tr><th>Workflow</th><th>Last run</th><th class="number">Failed</th><th class="number">P50</th><th class="number">P95</th><th class="number">Going on</th><th class="number">Ended in an hour</th><th>Last 24 hours</th></tr></thead>
          <tbody>{data.workflows.map((one) => (
            <tr key={one.workflow}>
              <td><a href={`${base}/?workflow=${encodeURIComponent(one.workflow)}`}><b>{one.workflow}</b></a></td>
              <td>{one.last ? <><Chip state={one.last} /> <span class="quiet"><Ago at={one.lastAt!} /></span></> : <span class="quiet">none has ended</span>}</td>
              <td class="number" data-of="Failed">{one.ended ? <><span class={one.failed ? "bad" : ""}>{Math.round((100 * one.failed) / one.ended)} %</span> <span class="quiet">of {one.ended}</span></> : "–"}</td>
              <td class="number" data-of="P50">{one.p50 === null ? "–" : span(one.p50)}</td>
              <td class="number" data-of="P95">{one.p95 === null ? "–" : span(one.p95)}</td>
              <td class="number" data-of="Going on">{one.going}</td>
              <td class="number" data-of="Ended in an hour">{one.lastHour}</td>
              <td><Spark hours={one.hours} /></td>
            </tr>
          ))}</tbody>
        </table></div>
      )}
      <p class="quiet">Of the newest 10,000 runs. P50 and P95: how long half of those that succeeded took at most, and 95 of 100.</p>
    </>
  );
}

function Spark({ hours }: { hours: [number, number][] }) {
  const most = Math.max(1, ...hours.map(([done, failed]) => done + failed));
  const total = hours.reduce((sum, [done, failed]) => sum + done + failed, 0);
  const bad = hours.reduce((sum, [, failed]) => sum + failed, 0);
  return (
    <svg class="spark" viewBox="0 0 120 24" width="120" height="24" role="img" aria-label={`${total} runs in 24 hours, ${bad} failed`}>
      {hours.map(([done, failed], i) => (
        <g key={i}>
          <rect class="base" x={i * 5} y={23} width="4" height="1" />
          <rect class="done" x={i * 5} y={24 - (24 * (done + failed)) / most} width="4" height={(24 * done) / most} />
          <rect class="failed" x={i * 5} y={24 - (24 * failed) / most} width="4" height={(24 * failed) / most} />
        </g>
      ))}
    </svg>
  );
}
