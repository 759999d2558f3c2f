import { watch } from "/events/client.js";

const $ = (id) => document.getElementById(id);
const json = { "content-type": "application/json" };

/** What is to come, as long as nobody has decided. */
const PLAN = ["Check the invoice", "Look the supplier up", "Wait for approval", "Pay", "Send the receipt"];
const WORDS = {
  connecting: "Connecting …",
  running: "At work …",
  waiting: "Your decision, please",
  success: "Done",
  failed: "It has failed",
  canceled: "It was cancelled",
  refused: "You may not see this run",
};

$("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  const given = Object.fromEntries(new FormData(event.target));
  const asked = JSON.stringify({ ...given, euros: Number(given.euros) });
  const answer = await fetch("/api/runs", { method: "POST", headers: json, body: asked });
  const { runId } = await answer.json();
  // The address names the run: it may be loaded again, or sent to whoever is to decide.
  history.pushState(null, "", `?run=${runId}`);
  follow(runId);
});

function follow(runId) {
  $("ask").hidden = true;
  $("run").hidden = false;
  $("dashboard").href = `/workflow-agents/runs/${runId}`;
  const token = async () => (await fetch(`/api/runs/${runId}/ticket`)).text();
  watch(runId, { token, onChange: show });
  const decide = (approved) => fetch(`/api/runs/${runId}/decision`, {
    method: "POST", headers: json, body: JSON.stringify({ approved, by: "you" }),
  });
  $("approve").onclick = () => decide(true);
  $("reject").onclick = () => decide(false);
}

function show(run) {
  const over = ["success", "failed", "canceled", "refused"].includes(run.status);
  const [wait] = run.waits;
  $("state").textContent = run.live || over ? WORDS[run.status] : "Reconnecting …";
  $("run").dataset.state = run.status;

  const happened = run.steps.map(({ name, status }) => [name, status]);
  const to_come = over ? [] : PLAN.slice(happened.length).map((name, i) => [name, i || wait ? "to come" : "running"]);
  $("steps").replaceChildren(...[...happened, ...to_come].map(([name, status]) => {
    const line = document.createElement("li");
    line.dataset.status = status;
    line.textContent = name;
    const word = document.createElement("small");
    word.textContent = status === "success" ? "done" : status === "waiting" ? "waits for you" : status;
    line.append(word);
    return line;
  }));

  $("decision").hidden = !wait;
  if (wait) {
    $("question").textContent = wait.data.details.ask;
    $("known").textContent = wait.data.details.known;
    $("until").textContent = `until ${new Date(wait.data.until).toLocaleDateString()}`;
  }
  $("result").hidden = !over;
  $("result").textContent = run.result ?? run.error?.message ?? "";
}

const runId = new URLSearchParams(location.search).get("run");
if (runId) follow(runId);
