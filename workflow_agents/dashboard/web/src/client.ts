/**
 * Follow a run from a web page: its steps while they happen, what it waits for, what a model says,
 * and how it ends. One file without dependencies, for plain JavaScript and for React.
 *
 * It reads the stream of events beside which it is served. A connection that is lost is made
 * again, from the last event that was heard; nothing is missed, and nothing is told twice.
 */

export type Status = "connecting" | "running" | "waiting" | "success" | "failed" | "canceled" | "refused";

export interface Step {
  id: string | number;
  name: string;
  /** as the server calls it: "Run", "Wait", "Call", … */
  type: string;
  status: "success" | "failed" | "waiting" | "retry" | "withdrawn";
  /** when that became so, Unix milliseconds */
  at: number;
  /** what it returned, or why it failed; of a wait: `until`, `details`, perhaps `eventId` */
  data?: any;
}

export interface Reply {
  step: string | number;
  name: string;
  text: string;
  done: boolean;
}

export interface Run {
  runId: string;
  /** "waiting": for an event or a webhook; "refused": nobody tells you of it, see `error` */
  status: Status;
  /** whether the connection stands */
  live: boolean;
  steps: Step[];
  /** those of the steps that wait for somebody */
  waits: Step[];
  /** what models say, where words were asked for */
  replies: Reply[];
  /** what the run returned */
  result?: any;
  error?: any;
}

export interface Options {
  /** of the stream; default: that beside this file */
  url?: string | URL;
  /** a ticket for this run, or what gets one; asked for whenever a connection is made */
  token?: string | (() => string | Promise<string>);
  /** also what is said in replies while it is said */
  words?: boolean;
  onChange?: (run: Run) => void;
}

export interface Watch {
  /** as of now; never changed, but replaced */
  readonly run: Run;
  /** the run, once it has ended or is followed no more */
  readonly done: Promise<Run>;
  close(): void;
}

const SILENT_MS = 45_000;
const LONGEST_MS = 15_000;

export function watch(runId: string, options: Options = {}): Watch {
  let run: Run = { runId, status: "connecting", live: false, steps: [], waits: [], replies: [] };
  let last = "";
  let over = false;
  let changed = false;
  let request = new AbortController();
  let wake = () => {};

  const set = (change: Partial<Run>) => {
    run = { ...run, ...change };
    changed = true;
  };
  const tell = () => {
    if (changed && !over) options.onChange?.(run);
    changed = false;
  };

  function hear(event: string, data: any): void {
    const { kind = "", stepId, stepName: name } = data;
    if (event === "open") set({ live: true, status: run.status === "connecting" ? "running" : run.status });
    else if (event === "end") {
      // The engine knows how it ended; what an entry told of a failure stays.
      set({ live: false, ...data });
      tell();
      over = true;
    } else if (event === "entry" && kind.startsWith("STEP_")) {
      const status = kind.slice(5).replace("ATTEMPT_FAILED", "RETRY").toLowerCase();
      const step: Step = { id: stepId, name, type: data.stepType, status, at: data.at, data: data.data };
      const old = run.steps.findIndex(({ id }) => id === stepId);
      const steps = old < 0 ? [...run.steps, step] : run.steps.map((one, i) => (i === old ? step : one));
      const waits = steps.filter((one) => one.status === "waiting" && /^Wait/.test(one.type));
      set({ steps, waits, status: waits.length ? "waiting" : "running" });
    } else if (kind === "RUN_FAILED") set({ error: data.data });
    else if (event === "gap") set({ replies: [] });
    else if (/^(text|reply-)/.test(event)) {
      const old = run.replies.find(({ step }) => step === stepId);
      const text = event === "text" ? (old?.text ?? "") + data.text : event === "reply-ended" && data.ok ? old?.text ?? "" : "";
      const reply = { step: stepId, name, text, done: event === "reply-ended" };
      set({ replies: [...run.replies.filter((one) => one !== old), reply] });
    }
  }

  async function connect(): Promise<void> {
    const { url = new URL("api/stream", import.meta.url), words, token } = options;
    const address = new URL(url, location.href);
    address.searchParams.set("workflowRunId", runId);
    if (words) address.searchParams.set("words", "true");
    const shown = typeof token === "function" ? await token() : token;
    request = new AbortController();
    let silent = 0;
    const heard = () => {
      clearTimeout(silent);
      silent = setTimeout(() => request.abort(), SILENT_MS);
    };
    heard();
    try {
      const answer = await fetch(address, {
        headers: { ...(shown && { authorization: `Bearer ${shown}` }), ...(last && { "last-event-id": last }) },
        signal: request.signal,
      });
      // All was told but the end: so it is asked for once more, from the beginning.
      if (answer.status === 204) last = "";
      else if (!answer.ok) {
        if (answer.status < 500 && answer.status !== 429) {
          const error = (await answer.json().catch(() => ({}))).error;
          hear("end", { status: "refused", error: { status: answer.status, message: error } });
        }
        throw answer;
      }
      const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
      for (let text = ""; reader; ) {
        const { value, done } = await reader.read();
        if (done || over) break;
        heard();
        const blocks = (text + value).split("\n\n");
        text = blocks.pop()!;
        for (const block of blocks) {
          const field = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
          if (field.event && !over) hear(field.event, JSON.parse(field.data));
          // Only what was told as a whole counts as heard.
          last = field.id ?? last;
        }
        tell();
      }
    } finally {
      clearTimeout(silent);
    }
  }

  const done = (async () => {
    for (let wait = 250; !over; ) {
      await connect().catch(() => {});
      if (over) break;
      wait = run.live ? 500 : Math.min(wait * 2, LONGEST_MS);
      set({ live: false });
      tell();
      await new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, wait * (0.5 + Math.random() / 2));
      });
    }
    return run;
  })();

  return {
    get run() {
      return run;
    },
    done,
    close() {
      over = true;
      request.abort();
      wake();
    },
  };
}

/** As much of React (or Preact) as a hook needs. */
export interface Hooks {
  useState<T>(initial: T): [T, (to: T) => void];
  useEffect(effect: () => void | (() => void), on: readonly unknown[]): void;
}

/** Makes the hook: `const useRun = useWorkflow(React)`, then `const run = useRun(runId)`. */
export const useWorkflow = (react: Hooks) =>
  (runId: string | null | undefined, { url, token, words }: Omit<Options, "onChange"> = {}): Run | null => {
    const [run, setRun] = react.useState<Run | null>(null);
    react.useEffect(() => {
      if (!runId) return;
      const one = watch(runId, { url, token, words, onChange: setRun });
      setRun(one.run);
      return one.close;
    }, [runId, String(url), typeof token === "function" || token, words]);
    return run && run.runId === runId ? run : null;
  };
