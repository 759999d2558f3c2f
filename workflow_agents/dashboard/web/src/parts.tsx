/** Small things that every page is made of. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Failed, base, session } from "./api";
import { useNow } from "./use";
import { ago, clock, span, times } from "./words";

const HOUR_MS = 3_600_000;
const RING = "M14 8a6 6 0 1 1-12 0a6 6 0 0 1 12 0z";
const ICONS: Record<string, string> = {
  success: "M3.5 8.5l3 3L12.5 5",
  failed: "M4.5 4.5l7 7M11.5 4.5l-7 7",
  canceled: "M4 8h8",
  withdrawn: "M4 8h8",
  running: "M6 4.5v7l5-3.5z",
  waiting: `${RING}M8 4.8V8l2.2 1.4`,
  held: "M5.5 4.5v7M10.5 4.5v7",
  backoff: "M12.5 8.5a4.5 4.5 0 1 1-1.4-3.7M12.3 2.6v2.9H9.4",
  live: "M8 8m-2.5 0a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0-5 0",
  reconnecting: "M12.5 8.5a4.5 4.5 0 1 1-1.4-3.7M12.3 2.6v2.9H9.4",
  paused: "M5.5 4.5v7M10.5 4.5v7",
};

export const Icon = ({ name }: { name: string }) => (
  <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
    <path d={ICONS[name] ?? "M8 8h0"} fill={name === "running" || name === "live" ? "currentColor" : "none"}
      stroke="currentColor" stroke-width={name === "waiting" ? 1.6 : 2} stroke-linecap="round" stroke-linejoin="round" />
  </svg>
);

/** A state as icon, word and colour: never by colour alone. */
export const Chip = ({ state, word }: { state: string; word?: string }) => (
  <span class={`chip ${state}`}><Icon name={state} />{word ?? state}</span>
);

export const At = ({ at, text }: { at: number; text?: string }) => (
  <time dateTime={new Date(at).toISOString()} onPointerEnter={(e) => (e.currentTarget.title = times(at))}>{text ?? clock(at)}</time>
);

export const Ago = ({ at }: { at: number }) => <At at={at} text={ago(at, useNow(5_000))} />;

/** How long there is until then. */
export function Left({ until }: { until: number }) {
  const [hours, setHours] = useState(until - Date.now() > HOUR_MS);
  // Above an hour no seconds are told.
  const left = until - useNow(hours ? 30_000 : 1_000);
  useEffect(() => setHours(left > HOUR_MS), [left > HOUR_MS]);
  return <time dateTime={new Date(until).toISOString()} title={times(until)} class={left < HOUR_MS ? "soon" : ""}>
    {left > 0 ? `${span(left - (left % 1_000))} left` : "its time has passed"}
  </time>;
}

/** Copies a text; says so. */
export function Copy({ text, label }: { text: string; label: string }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setDone(true);
    setTimeout(() => setDone(false), 1_500);
  };
  return (
    <button type="button" class="quiet small" onClick={copy} title={`Copy: ${text.slice(0, 200)}`}>
      <span aria-live="polite">{done ? "copied" : label}</span>
    </button>
  );
}

/** The same thing to copy in several forms. */
export const Copies = ({ of }: { of: Record<string, string> }) => (
  <span class="copies" role="group" aria-label="Copy as"><span class="quiet small">copy</span>
    {Object.entries(of).map(([label, text]) => <Copy key={label} text={text} label={label} />)}</span>
);

/** A command to be pasted. */
export const Command = ({ text }: { text: string }) => (
  <div class="command"><pre tabIndex={0} aria-label="A command">{text}</pre><Copy text={text} label="copy" /></div>
);

/** What went wrong, and that it is tried again by itself. */
export function Trouble({ error }: { error: Failed }) {
  const help =
    error.status === 0 || error.status === 503 ? "It is asked again until it answers." :
    error.status === 401 && session.signedIn ? <>Your session is over: <a href={`${base}/`} onClick={() => location.reload()}>sign in again</a>.</> : "";
  return <div class="trouble" role="alert"><b>{error.message}.</b> {error.found?.join("; ")} {help}</div>;
}

export const Empty = ({ children }: { children: ComponentChildren }) => <div class="empty">{children}</div>;

/** A dialog over the page; Escape closes it. */
export function Dialog(
  { title, close, children }: { title: string; close: () => void; children: ComponentChildren },
) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} onClose={close} aria-label={title}>
      <header><h2>{title}</h2>
        <button type="button" class="quiet" onClick={() => dialog.current?.close()}>close</button>
      </header>
      {children}
    </dialog>
  );
}

/** Ask before something is done that cannot be undone. */
export function Sure(
  { title, text, word, act, close }: { title: string; text: ComponentChildren; word: string; act: () => void; close: () => void },
) {
  return (
    <Dialog title={title} close={close}>
      <p>{text}</p>
      <p class="actions">
        <button type="button" class="main" onClick={() => { close(); act(); }}>{word}</button>
        <button type="button" onClick={close}>No</button>
      </p>
    </Dialog>
  );
}

// What was done, told for a while.

let toasts: { id: number; text: string; bad: boolean }[] = [];
let changed = () => {};

export function say(text: string, bad = false): void {
  const toast = { id: Math.random(), text, bad };
  toasts = [...toasts.slice(-2), toast];
  changed();
  setTimeout(() => {
    toasts = toasts.filter((one) => one !== toast);
    changed();
  }, bad ? 12_000 : 5_000);
}

export function Toasts() {
  const [shown, setShown] = useState(toasts);
  useEffect(() => void (changed = () => setShown(toasts)), []);
  return <div class="toasts" role="status" aria-live="polite">{shown.map(({ id, text, bad }) => <div key={id} class={bad ? "toast bad" : "toast"}>{text}</div>)}</div>;
}

/** Do something; tell what came of it. */
export async function doing(act: () => Promise<unknown>, done: string, then?: () => void): Promise<void> {
  try {
    const told = await act();
    say(done || String(told));
    then?.();
  } catch (error) {
    const failed = error as Failed;
    say([failed.message, ...(failed.found ?? [])].join(": "), true);
    then?.();
  }
}

/** JSON that is being written; null: it is none. */
export function parsed(text: string): { value: unknown } | { wrong: string } {
  try {
    return { value: text.trim() ? JSON.parse(text) : null };
  } catch (error) {
    return { wrong: `This is no JSON: ${(error as Error).message}` };
  }
}

export const Wrong = ({ text }: { text: string }) => <div class="trouble" role="alert">{text}</div>;
