// Agents of @upstash/workflow-agents, whose model is reached through context.call.

import { createOpenAI } from "@ai-sdk/openai";
import { WorkflowTool, agentWorkflow } from "@upstash/workflow-agents";
import { tool } from "ai";
import { z } from "zod";
import { asked } from "./calls.mjs";

const cities = { Oslo: 3, Rome: 21 };

const weather = tool({
  description: "the temperature of a city",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => ({ celsius: cities[city] }),
});

/** One agent with a tool of the AI SDK; the model is made by `agents.openai`. */
async function agent(context) {
  const { baseURL, prompt } = await asked(context);
  const agents = agentWorkflow(context);
  const reporter = agents.agent({
    name: "reporter",
    model: agents.openai("scripted", { baseURL, apiKey: "key", callSettings: { retries: 1 } }),
    background: "You report the weather.",
    tools: { weather },
    maxSteps: 4,
  });
  return agents.task({ agent: reporter, prompt }).run();
}

/** Another provider of the AI SDK, and a tool that makes a step of its own. */
async function agentAISDK(context) {
  const { baseURL, prompt } = await asked(context);
  const agents = agentWorkflow(context);
  const provider = agents.AISDKModel({
    context,
    provider: createOpenAI,
    providerParams: { baseURL, apiKey: "key" },
    agentCallParams: { timeout: "10s" },
  });
  const lookUp = new WorkflowTool({
    description: "looks a word up",
    schema: z.object({ word: z.string() }),
    invoke: async ({ word }) => context.run(`look up ${word}`, () => `${word}: found`),
    executeAsStep: false,
  });
  const reader = agents.agent({
    name: "reader",
    model: provider.chat("scripted"),
    background: "You read.",
    tools: { lookUp },
    maxSteps: 3,
  });
  return agents.task({ agent: reader, prompt }).run();
}

/** A manager and two agents. */
async function agentTeam(context) {
  const { baseURL, prompt } = await asked(context);
  const agents = agentWorkflow(context);
  const model = agents.openai("scripted", { baseURL, apiKey: "key" });
  const member = (name, tools) =>
    agents.agent({ name, model, background: `You are ${name}.`, tools, maxSteps: 2 });
  return agents
    .task({ model, maxSteps: 3, agents: [member("one", { weather }), member("two", {})], prompt })
    .run();
}

export const agentWorkflows = {
  agent: [agent],
  "agent-ai-sdk": [agentAISDK],
  "agent-team": [agentTeam],
};
