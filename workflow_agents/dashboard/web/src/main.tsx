/** The frame around every page. */
import { options, render, type ComponentType } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Failed, base, post, session as told, setSession as keep, type Session } from "./api";
import { Approvals, Linked } from "./approvals";
import { Compare } from "./compare";
import { Costs } from "./costs";
import { Health } from "./health";
import { Letters } from "./letters";
import { begin, lostSince, onNews, pause, useLive } from "./live";
import { Dialog, Icon, Toasts, Trouble } from "./parts";
import { Feed, Flow, Keys, Queues, Schedules } from "./resources";
import { go, usePlace } from "./route";
import { RunPage } from "./run";
import { Runs } from "./runs";
import { Settings } from "./settings";
import { useTheme } from "./themes";
import { useKeys } from "./use";
import { clock } from "./words";
import { Waits } from "./waits";

const PAGES: [string, string, ComponentType][] = [
  ["", "Runs", Runs],
  ["approvals", "Approvals", Approvals],
  ["waits", "Waits", Waits],
  ["letters", "Dead letters", Letters],
  ["schedules", "Schedules", Schedules],
  ["flow", "Flow control", Flow],
  ["queues", "Queues", Queues],
  ["workflows", "Workflows", Health],
  ["costs", "Costs", Costs],
  ["feed", "Feed", Feed],
  ["keys", "Keys", Keys],
  ["settings", "Settings", Settings],
];

/** of what this page is made of; sessions that begin later may be of another */
const loaded = told.version;

function App() {
  const { path } = usePlace();
  const [session, setSession] = useState<Session>(told);
  const [theme, nextTheme] = useTheme();
  const [help, setHelp] = useState(false);
  const [old, setOld] = useState(false);
  useEffect(begin, [session]);
  useEffect(() => {
    const over = () => signedIn({ signedIn: false, ended: true });
    const looked = ({ detail }: CustomEvent<Session>) => {
      if (!detail.signedIn && told.signedIn) over();
      else setOld(detail.version !== loaded);
    };
    addEventListener("signed-out", over);
    addEventListener("session", looked as EventListener);
    return () => {
      removeEventListener("signed-out", over);
      removeEventListener("session", looked as EventListener);
    };
  }, []);
  useKeys({ "?": () => setHelp(true), g: () => go("/"), p: pause });
  const signedIn = (to: Session) => {
    keep(to);
    setSession(to);
  };
  const signOut = async () => {
    await post("session/end");
    location.assign(`${base}/`);
  };
  const first = path[0] === "runs" || path[0] === "compare" ? "" : path[0] ?? "";
  useEffect(showPlace, [first, session]);
  if (path[0] === "approve") return <Frame><Linked /></Frame>;
  const Page = PAGES.find(([name]) => name === first)?.[2];
  return (
    <>
      <header class="top">
        <a class="brand" href={`${base}/`}>
          <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true"><rect width="32" height="32" rx="8" /><path d="M8 10h9M8 16h16M15 22h9" /></svg>
          <span>workflow-agents</span>
        </a>
        <span class="fill" />
        {session.signedIn && <LiveState />}
        {session.asked && session.signedIn && <button type="button" class="quiet small" onClick={signOut}>{session.user ? `${session.user}: ` : ""}sign out</button>}
        <button type="button" class="quiet small" onClick={nextTheme} title="Light, dark, or as the system has it">theme: {theme}</button>
        <button type="button" class="quiet small" onClick={() => setHelp(true)} aria-label="Keys">?</button>
      </header>
      {session.signedIn && (
        <nav class="pages" aria-label="Pages" tabIndex={-1}>
          {PAGES.filter(([name]) => name !== "keys" || session.server).map(([name, title]) => (
            <a key={name} href={`${base}/${name}`} aria-current={first === name ? "page" : undefined}>{title}</a>
          ))}
        </nav>
      )}
      {old && <p class="banner" role="status">The server has another version than this page. <button type="button" class="small" onClick={() => location.reload()}>Load it anew</button></p>}
      {session.signedIn && <Lost />}
      <main id="main" tabIndex={-1}>
        {!session.signedIn ? <SignIn done={signedIn} again={session.ended} />
          : path[0] === "runs" && path[1] ? <RunPage key={path[1]} id={path[1]} />
          : path[0] === "compare" ? <Compare />
          : Page ? <Page /> : <><h1>There is no such page</h1><p><a href={`${base}/`}>All runs</a></p></>}
      </main>
      <Toasts />
      <Announcer />
      {help && <Help close={() => setHelp(false)} />}
    </>
  );
}

/** On a narrow screen the names of pages are a strip, which is moved; `scrollIntoView` would move the Tab key too. */
function showPlace(): void {
  const link = document.querySelector<HTMLElement>("nav.pages [aria-current]");
  if (link) link.parentElement!.scrollLeft = link.offsetLeft - innerWidth / 2;
}

const Frame = ({ children }: { children: preact.ComponentChildren }) => (
  <><main id="main" class="narrow" tabIndex={-1}>{children}</main><Toasts /></>
);

function LiveState() {
  const state = useLive();
  const title = state === "live" ? "Pages change as things happen. Pause (p)"
    : state === "paused" ? "Nothing moves. Go on (p)" : "The server cannot be reached; it is asked again";
  return <button type="button" class={`quiet small live ${state}`} onClick={pause} title={title}><Icon name={state} /> {state}</button>;
}

/** Says what has happened to those who do not see it: a line in five seconds at most. */
function Announcer() {
  const [text, setText] = useState("");
  const counts = useRef({ done: 0, failed: 0 });
  useEffect(() => {
    const stop = onNews((entry) => {
      if (entry?.kind === "RUN_SUCCESS") counts.current.done++;
      if (entry?.kind === "RUN_FAILED") counts.current.failed++;
    });
    const timer = setInterval(() => {
      const { done, failed } = counts.current;
      if (!done && !failed) return;
      counts.current = { done: 0, failed: 0 };
      setText(`${done + failed} ${done + failed === 1 ? "run" : "runs"} finished, ${failed} failed`);
    }, 5_000);
    return () => {
      stop();
      clearInterval(timer);
    };
  }, []);
  return <div class="unseen" role="status" aria-live="polite">{text}</div>;
}

/** Says that the server is gone, and what to do; it goes by itself when the server is back. */
function Lost() {
  const state = useLive();
  const [since, setSince] = useState(0);
  useEffect(() => {
    // A connection that is only made anew is nobody's trouble.
    const timer = setTimeout(() => setSince(state === "reconnecting" ? lostSince() : 0), state === "reconnecting" ? 1_000 : 0);
    return () => clearTimeout(timer);
  }, [state]);
  if (!since) return null;
  return (
    <p class="banner bad" role="alert">
      <b>The server does not answer</b> at {location.origin}{base}. You see what was so at {clock(since)}. Start it again where it ran; this page goes on by itself.
    </p>
  );
}

function SignIn({ done, again }: { done: (session: Session) => void; again?: boolean }) {
  const [error, setError] = useState<Failed | null>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    const token = new FormData(event.target as HTMLFormElement).get("token");
    await post<Session>("session", { token }).then(done, setError);
  };
  return (
    <form class="signin" onSubmit={submit}>
      <h1>{again ? "Sign in again" : "Sign in"}</h1>
      {again && <p>Your session is over: it lasts twelve hours, and until the server ends. You will be where you were.</p>}
      <p class="quiet">With the token of this server: QSTASH_TOKEN of your application. It is not kept in the browser.</p>
      <label class="stack">Token <input name="token" type="password" autocomplete="off" required /></label>
      {error && <Trouble error={error} />}
      <p><button type="submit" class="main">Sign in</button></p>
    </form>
  );
}

const KEYS: [string, string][] = [
  ["g", "the list of runs"], ["/", "search in inputs, results and steps"], ["1 2 3 4", "of a run: timeline, steps, conversation, input and result"],
  ["↑ ↓", "another step"], ["r", "run it again"], ["f", "fork from the step"], ["c", "cancel it"],
  ["a e x", "of an approval: approve, edit, reject"], ["p", "pause: nothing moves"],
  ["Escape", "close what is open"], ["?", "this"],
];

function Help({ close }: { close: () => void }) {
  const [on, setOn] = useState(localStorage.getItem("keys") !== "off");
  const change = () => {
    localStorage.setItem("keys", on ? "off" : "on");
    setOn(!on);
  };
  return (
    <Dialog title="Keys" close={close}>
      <table class="list"><tbody>{KEYS.map(([key, what]) => <tr key={key}><th scope="row"><kbd>{key}</kbd></th><td>{what}</td></tr>)}</tbody></table>
      <p><label><input type="checkbox" checked={on} onChange={change} /> single keys are on</label></p>
    </Dialog>
  );
}

// However much happens in one frame, the page is changed once.
options.debounceRendering = (change) => void (document.hidden ? setTimeout(change) : requestAnimationFrame(change));
render(<App />, document.getElementById("app")!);
