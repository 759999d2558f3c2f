/** The frame around every page. */
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Failed, base, get, post } from "./api";
import { Dialog, Trouble } from "./parts";
import { go, usePlace } from "./route";
import { RunPage } from "./run";
import { Runs } from "./runs";
import { useKeys } from "./use";

interface Session {
  signedIn: boolean;
  user?: string;
  mayChange?: boolean;
}

const THEMES = ["system", "light", "dark"] as const;

function useTheme(): [string, () => void] {
  const [theme, setTheme] = useState(localStorage.getItem("theme") ?? "system");
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    localStorage.setItem("theme", theme);
  }, [theme]);
  const next = () => setTheme(THEMES[(THEMES.indexOf(theme as (typeof THEMES)[number]) + 1) % THEMES.length]!);
  return [theme, next];
}

function App() {
  const { path } = usePlace();
  const [session, setSession] = useState<Session | null>(null);
  const [error, setError] = useState<Failed | null>(null);
  const [theme, nextTheme] = useTheme();
  const [help, setHelp] = useState(false);
  useEffect(() => {
    get<Session>("session").then(setSession, setError);
  }, []);
  useKeys({ "?": () => setHelp(true), g: () => go("/") });
  return (
    <>
      <header class="top">
        <a class="brand" href={`${base}/`}>workflow-agents</a>
        <nav aria-label="Pages"><a href={`${base}/`} aria-current={path.length ? undefined : "page"}>Runs</a></nav>
        <span class="fill" />
        <button type="button" class="quiet small" onClick={nextTheme} title="Light, dark, or as the system has it">theme: {theme}</button>
        <button type="button" class="quiet small" onClick={() => setHelp(true)} aria-label="Keys">?</button>
      </header>
      <main id="main">
        {error && <Trouble error={error} />}
        {session && (session.signedIn
          ? path[0] === "runs" && path[1] ? <RunPage key={path[1]} id={path[1]} /> : <Runs />
          : <SignIn done={setSession} />)}
      </main>
      {help && <Help close={() => setHelp(false)} />}
    </>
  );
}

function SignIn({ done }: { done: (session: Session) => void }) {
  const [error, setError] = useState<Failed | null>(null);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const token = new FormData(event.target as HTMLFormElement).get("token");
    await post<Session>("session", { token }).then(done, setError);
  };
  return (
    <form class="signin" onSubmit={submit}>
      <h1>Sign in</h1>
      <p class="quiet">With the token of this server: QSTASH_TOKEN of your application. It is not kept in the browser.</p>
      <label class="stack">Token <input name="token" type="password" autocomplete="off" required /></label>
      {error && <Trouble error={error} />}
      <p><button type="submit" class="main">Sign in</button></p>
    </form>
  );
}

const KEYS: [string, string][] = [
  ["g", "the list of runs"], ["1 2 3", "of a run: timeline, steps, input and result"], ["↑ ↓", "another step"],
  ["r", "run it again"], ["f", "fork from the step"], ["c", "cancel it"], ["Escape", "close what is open"], ["?", "this"],
];

function Help({ close }: { close: () => void }) {
  const [on, setOn] = useState(localStorage.getItem("keys") !== "off");
  const change = () => {
    localStorage.setItem("keys", on ? "off" : "on");
    setOn(!on);
  };
  return (
    <Dialog title="Keys" close={close}>
      <table class="list"><tbody>{KEYS.map(([key, what]) => <tr key={key}><th><kbd>{key}</kbd></th><td>{what}</td></tr>)}</tbody></table>
      <label><input type="checkbox" checked={on} onChange={change} /> single keys are on</label>
    </Dialog>
  );
}

render(<App />, document.getElementById("app")!);
