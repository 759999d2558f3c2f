/** What counts here: of this browser, of the engine, of its server, of its environment. */
import { useState } from "preact/hooks";
import { base, session } from "./api";
import { Trouble } from "./parts";
import { THEMES, setTheme, useTheme } from "./themes";
import { nothing, useAsked, useTitle } from "./use";
import { bytes, span } from "./words";

interface Told {
  version: string;
  python: string;
  store: { path: string; bytes: number | null };
  retentionMs: number | null;
  /** name, value, default */
  limits: [string, number, number][];
  underWay: number;
  streams: number;
  server: [string, unknown][] | null;
  /** name, value as it may be shown */
  environment: [string, string][];
}

const shown = (value: unknown): string =>
  value === null ? "no limit" : value === true ? "yes" : value === false ? "no"
  : Array.isArray(value) ? value.join(", ") || "none" : typeof value === "number" ? value.toLocaleString() : String(value);

export function Settings() {
  const { data, error } = useAsked<Told>("settings", nothing);
  useTitle("Settings · workflow-agents");
  return (
    <>
      <h1>Settings</h1>
      <div class="settings">
        <ThisBrowser />
        {error && <Trouble error={error} />}
        {data && (
          <>
            <Section title="Engine" rows={[
              ["version", `${data.version}, on Python ${data.python}`],
              ["store", <code>{data.store.path}</code>],
              ["size of the store", data.store.bytes === null ? "in memory only" : bytes(data.store.bytes)],
              ["what has ended is kept", data.retentionMs === null ? "for ever" : `for ${span(data.retentionMs)}`],
              ["requests under way", shown(data.underWay)],
              ["streams that are open", shown(data.streams)],
            ]} />
            <Section title="Limits" rows={data.limits.map(([name, value, usual]) => [
              <code>{name}</code>, <>{value.toLocaleString()}{value !== usual && <span class="quiet"> (default {usual.toLocaleString()})</span>}</>,
            ])} />
            {data.server && <Section title="Server" rows={data.server.map(([name, value]) => [name, shown(value)])} />}
            <Section title="Environment" rows={data.environment.map(([name, value]) => [<code>{name}</code>, <code>{value}</code>])}
              none="No variable that is read is set." />
          </>
        )}
        <section class="card" aria-label="More">
          <h2>More</h2>
          <ul>
            <li><a href={`${base}/workflows`}>How workflows do</a></li>
            {session.server && <li><a href={`${base}/keys`}>Signing keys</a></li>}
            {session.server && <li><a href="/health">Whether the server works</a></li>}
            {session.server && <li><a href="/ready">Whether it should be given work</a></li>}
            {session.server && <li><a href="/v2/openapi.json">Its API, described</a></li>}
          </ul>
          <p class="quiet">An error's page is told by <code>workflow-agents explain WA201</code>, without a network.</p>
        </section>
      </div>
    </>
  );
}

type Cell = preact.ComponentChildren;

const Section = ({ title, rows, none }: { title: string; rows: [Cell, Cell][]; none?: string }) => (
  <section class="card" aria-label={title}>
    <h2>{title}</h2>
    {rows.length ? <dl class="facts-list">{rows.map(([name, value], i) => <div key={i}><dt>{name}</dt><dd>{value}</dd></div>)}</dl> : <p class="quiet">{none}</p>}
  </section>
);

function ThisBrowser() {
  const [theme] = useTheme();
  const [on, setOn] = useState(localStorage.getItem("keys") !== "off");
  const change = () => {
    localStorage.setItem("keys", on ? "off" : "on");
    setOn(!on);
  };
  return (
    <section class="card" aria-label="This browser">
      <h2>This browser</h2>
      <fieldset class="choice"><legend>Theme</legend>
        {THEMES.map((one) => <label key={one}><input type="radio" name="theme" checked={one === theme} onChange={() => setTheme(one)} /> {one}</label>)}
      </fieldset>
      <p><label><input type="checkbox" checked={on} onChange={change} /> single keys are on</label> <span class="quiet">(<kbd>?</kbd> lists them)</span></p>
      <p class="quiet">Kept in this browser; no token is.</p>
    </section>
  );
}
