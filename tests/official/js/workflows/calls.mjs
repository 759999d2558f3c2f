// Steps by which the server makes the request: call and context.api.

/** The calls that the payload asks for, one after the other. */
async function calls(context) {
  const results = [];
  for (const [index, settings] of context.requestPayload.calls.entries()) {
    results.push(await context.call(`call ${index}`, settings));
  }
  return results;
}

/** A binary answer comes as a text with one character for each byte. */
async function binaryCall(context) {
  const { body, status } = await context.call("binary", { url: context.requestPayload.url });
  return { status, bytes: [...body].map((character) => character.charCodeAt(0)) };
}

async function callsOpenAI(context) {
  const { baseURL, token, prompt } = context.requestPayload;
  const { status, body } = await context.api.openai.call("ask", {
    baseURL,
    token,
    operation: "chat.completions.create",
    body: { model: "scripted", messages: [{ role: "user", content: prompt }] },
  });
  return { status, text: body.choices[0].message.content };
}

export const callSteps = {
  calls: [calls],
  "binary-call": [binaryCall],
  "calls-openai": [callsOpenAI],
};
