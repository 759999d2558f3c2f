// Every workflow that is served by itself: name -> [function, options of serve].

import { agentWorkflows } from "./agents.mjs";
import { callSteps } from "./calls.mjs";
import { events } from "./events.mjs";
import { failures } from "./failures.mjs";
import { options } from "./options.mjs";
import { groups } from "./parallel.mjs";
import { steps } from "./steps.mjs";

export const workflows = {
  ...steps,
  ...callSteps,
  ...groups,
  ...events,
  ...failures,
  ...options,
  ...agentWorkflows,
};
