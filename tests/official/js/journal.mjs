// What happened in this process, by run: visits, events of middlewares, and so on. Scenarios read
// it to learn what the logs of a server cannot tell. Also flags, by which a scenario tells a
// workflow that what was broken has been mended.

const entries = new Map();
const flags = new Set();

/** Note a happening of a run. */
export function note(runId, kind, details = {}) {
  if (!entries.has(runId)) entries.set(runId, []);
  entries.get(runId).push({ kind, ...details });
}

/** All that was noted of a run, in order; of one kind, if it is given. */
export function noted(runId, kind) {
  return (entries.get(runId) ?? []).filter((entry) => !kind || entry.kind === kind);
}

/** Set a flag. */
export function raise(flag) {
  flags.add(flag);
}

/** Whether a flag was set. */
export function raised(flag) {
  return flags.has(flag);
}
