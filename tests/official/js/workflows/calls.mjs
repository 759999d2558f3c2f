// Steps by which the server makes the request: call and context.api.

/** What was asked for, read in a step: the visit that brings the answer of a call has that answer
 * as its payload, so that code before the first step must not rely on it. */
export const asked = (context) => context.run("asked", () => context.requestPayload);

/** The calls that the payload asks for, one after the other. */
async function makesCalls(context) {
  const { calls } = await asked(context);
  const results = [];
  for (const [index, settings] of calls.entries()) {
    results.push(await context.call(`call ${index}`, settings));
  }
  return results;
}

/** A binary answer comes as a text with one character for each byte. */
async function binaryCall(context) {
  const { url } = await asked(context);
  const { body, status } = await context.call("binary", { url });
  return { status, bytes: [...body].map((character) => character.charCodeAt(0)) };
}

async function callsOpenAI(context) {
  const { baseURL, token, prompt } = await asked(context);
  const { status, body } = await context.api.openai.call("ask", {
    baseURL,
    token,
    operation: "chat.completions.create",
    body: { model: "scripted", messages: [{ role: "user", content: prompt }] },
  });
  return { status, text: body.choices[0].message.content };
}

export const callSteps = {
  calls: [makesCalls],
  "binary-call": [binaryCall],
  "calls-openai": [callsOpenAI],
};
