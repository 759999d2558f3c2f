"""A dataset is downloaded, read by a model in chunks, summed up and reported.

Source: the documentation's example "AI Data Processing" (all in one).
"""

import asyncio
import json
import os

from stand_in import Service

from workflow_agents import AsyncWorkflowContext, Engine
from workflow_agents.testing.model_server import RecordedRequest, ScriptedModel

engine = Engine("data.db")
DATASET = [{"day": day, "sold": 3 * day % 17} for day in range(1, 31)]
CHUNK = 10
reports: list[str] = []


@engine.workflow("/ai-data-processing")
async def ai_data_processing(context: AsyncWorkflowContext[dict]) -> str:
    """Downloads and model calls are made by the engine, and cost this function nothing."""
    asked = context.request_payload
    dataset = (await context.call("download-dataset", url=asked["dataset_url"])).body

    summaries: list[str] = []
    for start in range(0, len(dataset), CHUNK):
        answer = await context.api.openai.call(
            f"process-chunk-{start // CHUNK}",
            base_url=asked["openai_url"],
            body={
                "model": "gpt-4o",
                "messages": [
                    {"role": "system", "content": "You sum up sales, in one line."},
                    {"role": "user", "content": json.dumps(dataset[start : start + CHUNK])},
                ],
                "max_completion_tokens": 150,
            },
            retries=3,
        )
        summaries.append(answer.body["choices"][0]["message"]["content"])

    async def generate_report() -> str:
        return "\n".join(f"- {summary}" for summary in summaries)

    async def send_report() -> str:
        reports.append(report)
        return f"sent to {asked['user_id']}"

    report = await context.run("generate-report", generate_report)
    return await context.run("send-report", send_report)


def sums(request: RecordedRequest) -> str:
    """What the scripted model says: it really adds."""
    days = json.loads(request.prompt)
    return f"days {days[0]['day']} to {days[-1]['day']}: {sum(day['sold'] for day in days)} sold"


async def main() -> None:
    os.environ["OPENAI_API_KEY"] = "sk-any"
    service = Service({"GET /sales.json": lambda headers, body: (200, DATASET)})
    with service, ScriptedModel() as model:
        model.when(lambda request: True, sums, repeat=True)
        async with engine:
            payload = {
                "dataset_url": f"{service.url}/sales.json",
                "openai_url": model.base_url,
                "user_id": "ada",
            }
            handle = await engine.client.trigger(ai_data_processing, payload)
            print(await handle.result())
    print(reports[0])


asyncio.run(main())

# prints:
#   sent to ada
#   - days 1 to 10: 80 sold
#   - days 11 to 20: 74 sold
#   - days 21 to 30: 85 sold
