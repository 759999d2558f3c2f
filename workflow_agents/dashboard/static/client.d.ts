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
export declare function watch(runId: string, options?: Options): Watch;
/** As much of React (or Preact) as a hook needs. */
export interface Hooks {
    useState<T>(initial: T): [T, (to: T) => void];
    useEffect(effect: () => void | (() => void), on: readonly unknown[]): void;
}
/** Makes the hook: `const useRun = useWorkflow(React)`, then `const run = useRun(runId)`. */
export declare const useWorkflow: (react: Hooks) => (runId: string | null | undefined, { url, token, words }?: Omit<Options, "onChange">) => Run | null;
