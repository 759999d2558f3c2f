/** Who answered what a run waited for, when, and from where. */
import type { Entry } from "./live";
import { At } from "./parts";

export interface Who {
  by: string | null;
  at: number;
  through: "dashboard" | "api" | null;
  verdict: "approve" | "reject" | "resolve" | null;
}

const VERBS = { approve: "approved", reject: "rejected", resolve: "resolved" };
const FROM = { dashboard: "from the dashboard", api: "through the API" };

/** "approved by ada", "answered from the dashboard" */
export const said = ({ by, through, verdict }: Omit<Who, "at">): string =>
  [verdict ? VERBS[verdict] : "answered", by && (by.startsWith("by ") ? by : `by ${by}`), through && FROM[through]].filter(Boolean).join(" ");

export const Decided = ({ who }: { who: Who | null | undefined }) =>
  who ? <p class="decided">{said(who)} {who.at > 0 && <At at={who.at} />}</p> : null;

/** What an entry of the feed tells of who it was; "" where it does not. */
export function whoOf({ kind, data }: Entry): string {
  const told = (data ?? {}) as Partial<Who> & { data?: Partial<Who> };
  if (kind === "NOTIFIED" && told.through) return said({ by: told.by ?? null, through: told.through, verdict: null });
  const { verdict, by } = told.data ?? {};
  return kind === "STEP_SUCCESS" && verdict && verdict in VERBS ? said({ by: by ?? null, through: null, verdict }) : "";
}
