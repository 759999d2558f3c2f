// A page with React that follows a run: built by the test, as an app of one's own would be.
import * as React from "react";
import { createRoot } from "react-dom/client";
import { useWorkflow } from "/events/client.js";

const useRun = useWorkflow(React);
const token = async () => (await fetch(`/api/runs/${runId}/ticket`)).text();
const runId = new URLSearchParams(location.search).get("run");

function Run() {
  const [on, setOn] = React.useState(true);
  const run = useRun(on ? runId : null, { token });
  return (
    <main>
      <h1>{run ? run.status : "nothing"}</h1>
      <ul>{run?.steps.map((step) => <li key={step.id}>{step.name}: {step.status}</li>)}</ul>
      <p>{run?.result}</p>
      <button onClick={() => setOn(!on)}>{on ? "leave" : "come back"}</button>
    </main>
  );
}

createRoot(document.body).render(<React.StrictMode><Run /></React.StrictMode>);
