/** Small things that every page is made of. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Failed } from "./api";
import { clock, pretty, times } from "./words";

const ICONS: Record<string, string> = {
  success: "M4 8.5l2.8 2.8L12 5.5",
  failed: "M5 5l6 6M11 5l-6 6",
  canceled: "M4.5 8h7",
  withdrawn: "M4.5 8h7",
  running: "M6 4.5v7l5-3.5z",
  waiting: "M8 4.5V8l2.4 1.6",
  held: "M6 5v6M10 5v6",
  backoff: "M11 6.2A3.8 3.8 0 1 0 11.6 9M11.4 3.8v2.8H8.6",
};

/** A state as icon, word and colour: never by colour alone. */
export function Chip({ state, word }: { state: string; word?: string }) {
  return (
    <span class={`chip ${state}`}>
      <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
        <path d={ICONS[state] ?? "M8 8h0"} fill={state === "running" ? "currentColor" : "none"}
          stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" />
      </svg>
      {word ?? state}
    </span>
  );
}

export const At = ({ at, text }: { at: number; text?: string }) => (
  <time dateTime={new Date(at).toISOString()} title={times(at)}>{text ?? clock(at)}</time>
);

/** Copies a text; says so. */
export function Copy({ text, label }: { text: string; label: string }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setDone(true);
    setTimeout(() => setDone(false), 1_500);
  };
  return (
    <button type="button" class="quiet small" onClick={copy} title={`Copy ${label}`}>
      <span aria-live="polite">{done ? "copied" : label}</span>
    </button>
  );
}

const SHOWN = 64_000;

/** A value as JSON; what is long is cut until it is asked for. */
export function Value({ value }: { value: unknown }) {
  const [whole, setWhole] = useState(false);
  const text = pretty(value);
  const cut = !whole && text.length > SHOWN;
  return (
    <div class="value">
      <div class="tools"><Copy text={text} label="copy" /></div>
      <pre tabIndex={0}>{cut ? text.slice(0, SHOWN) : text}</pre>
      {cut && (
        <button type="button" class="quiet" onClick={() => setWhole(true)}>
          {(text.length / 1e6).toFixed(1)} MB: show all of it
        </button>
      )}
    </div>
  );
}

/** What went wrong, and that it is tried again by itself. */
export function Trouble({ error }: { error: Failed }) {
  const help =
    error.status === 0 ? "It is asked again until it answers." :
    error.status === 401 ? "Your session is over: sign in again." : "";
  return <div class="trouble" role="alert"><b>{error.message}.</b> {help}</div>;
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <div class="empty">{children}</div>;
}

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
