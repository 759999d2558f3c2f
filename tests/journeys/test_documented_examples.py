"""The documented examples that are whole applications, and the list of all of them.

Upstash documents its Python SDK on the pages listed here. Each of their Python examples that
concerns the context, serving, FastAPI, Flask, failures or waits runs in these tests, with
`workflow_agents` in place of `upstash_workflow`, its helpers filled in and its meaning checked.
"""
# ruff: noqa: A001, B007  # names and closures are the documentation's

import ast
import json
from pathlib import Path
from typing import Any, TypedDict

import pytest

from workflow_agents import AsyncWorkflowContext, CallResponse

DOCUMENTED = {
    "quickstarts/fastapi: Define Basic Workflow Endpoint": "context: basic_endpoint",
    "quickstarts/fastapi: Implement Sleep Intervals": "waits: sleep_intervals",
    "quickstarts/fastapi: Perform External API Calls": "serve: call_to_the_app_itself",
    "quickstarts/fastapi: Add Authentication": "serve: authentication_by_header",
    "quickstarts/flask: Define Basic Workflow Endpoint": "flask: basic_endpoint",
    "quickstarts/flask: Implement Sleep Functionality": "flask: sleep_functionality",
    "quickstarts/flask: Implement Authentication": "flask: authentication_by_header",
    "sdk/workflow-py: Define a Workflow Endpoint": "context: string_payload",
    "basics/serve: Serve a Workflow Endpoint": "context: two_pieces",
    "basics/serve: Configure Workflow Options": "context: two_pieces",
    "basics/serve: the same as a route function": "context: two_pieces",
    "basics/serve/advanced: Configuring Environment Variables": "serve: environment",
    "basics/serve/advanced: receiver": "serve: receiver_takes",
    "basics/serve/advanced: Inject Custom QStash Client": "serve: qstash_client",
    "quickstarts/platforms: serve, async_serve": "serve: platforms_without",
    "basics/context: Serve Workflow in Next.js and FastAPI": "context: context_reaches",
    "basics/context/run: steps in sequence": "context: results_of_synchronous_helpers",
    "basics/context/call: a long essay": "serve: call_of_a_model",
    "basics/context/sleep: onboarding": "waits: sleep_one_day",
    "basics/context/sleepUntil: onboarding": "waits: sleep_until_one_week",
    "basics/caveats: Execute Business Logic in context.run": "context: code_outside_steps",
    "basics/caveats: Return results from context.run": "context: what_one_step_returns",
    "basics/caveats: Avoid Non-Deterministic Code": "context: non_deterministic_code_outside",
    "basics/caveats: Wrap Non-Deterministic Logic": "context: non_deterministic_code_inside",
    "basics/caveats: Implement Idempotent Steps": "context: idempotent_step",
    "basics/caveats: Avoid Nesting Context Methods": "context: step_inside_a_step",
    "troubleshooting/general: condition, wrong": "context: condition_before",
    "troubleshooting/general: condition, right": "context: condition_as_a_step",
    "troubleshooting/general: Handling WorkflowAbort": "context: workflow_abort",
    "troubleshooting/general: Persisting requestPayload": "context: payload_kept",
    "features/sleep: workflow delays": "waits: follow_up",
    "howto/failures: failure function": "failures: failure_function_is_told",
    "howto/security: Explicit Receiver": "serve: receiver_takes",
    "howto/use-webhooks: Initialize Webhook Endpoint": "serve: payload_parser_gets",
    "howto/redact-fields: Redact Workflow Run Data": "serve: redacted_trigger",
    "examples/customerOnboarding: the whole": "waits: customer_onboarding",
    "examples/customerOnboarding: Execute Workflow Step": "waits: customer_onboarding",
    "examples/customerOnboarding: Periodic User Engagement": "waits: customer_onboarding",
    "examples/authWebhook: User Onboarding": "waits: auth_provider_webhook",
    "examples/authWebhook: sync user": "waits: auth_provider_webhook",
    "examples/authWebhook: Create New User in Stripe": "waits: auth_provider_webhook",
    "examples/authWebhook: start trial in Stripe": "waits: auth_provider_webhook",
    "examples/authWebhook: Send Welcome Email": "waits: auth_provider_webhook",
    "examples/authWebhook: Send Trial Warning Email": "waits: auth_provider_webhook",
    "examples/imageProcessing: the whole": "examples: image_processing",
    "examples/eCommerceOrderFulfillment: the whole": "examples: order_fulfillment",
    "examples/eCommerceOrderFulfillment: check stock": "examples: order_fulfillment",
    "examples/eCommerceOrderFulfillment: notifications": "examples: order_fulfillment",
    "examples/allInOne: the whole": "examples: ai_data_processing",
    "examples/allInOne: Retrieve and Download Dataset": "examples: ai_data_processing",
    "examples/allInOne: Generate and Send Reports": "examples: ai_data_processing",
    "examples/customRetry: retry loop": "failures: custom_retry_logic",
    "examples/paymentRetry: payment retry": "failures: payment_retries",
}
"""Page and example -> file and how the name of its test begins."""

ELSEWHERE = {
    "howto/schedule: two examples": "schedules are not part of this version",
}
"""Python examples of the same documentation that are not run, and why."""


@pytest.mark.parametrize("example", DOCUMENTED)
def test_every_documented_example_is_covered(example: str) -> None:
    topic, beginning = DOCUMENTED[example].split(": ")
    source = Path(__file__).with_name(f"test_documented_{topic}.py").read_text("utf-8")
    tests = [n.name for n in ast.walk(ast.parse(source)) if isinstance(n, ast.AsyncFunctionDef)]

    assert [name for name in tests if name.startswith(f"test_{beginning}")]


def names(log: Any) -> list[str]:
    return [step.name for step in log.steps]


class ImageResult(TypedDict):
    image_url: str


class ImageProcessingPayload(TypedDict):
    image_id: str
    user_id: str


async def test_image_processing(site, serve, web) -> None:
    """Source: examples/imageProcessing: three sizes, three filters of each, nine images stored."""
    stored: list[str] = []

    async def get_image_url(image_id: str) -> str:
        return f"https://images.example.com/{image_id}.png"

    async def store_image(image_url: str) -> str:
        stored.append(image_url)
        return f"stored:{image_url}"

    web.answer(
        "https://image-processing-service.com/resize",
        lambda r: {"imageUrl": f"{r.json()['imageUrl']}?w={r.json()['width']}"},
    )
    web.answer(
        "https://image-processing-service.com/filter",
        lambda r: {"imageUrl": f"{r.json()['imageUrl']}&f={r.json()['filter']}"},
    )

    @serve.post("/process-image")
    async def process_image(context: AsyncWorkflowContext[ImageProcessingPayload]) -> list[str]:
        payload = context.request_payload
        image_id = payload["image_id"]

        # Step 1: Retrieve the uploaded image
        async def _get_image_url() -> str:
            return await get_image_url(image_id)

        image_url: str = await context.run("get-image-url", _get_image_url)

        # Step 2: Resize the image to multiple resolutions
        resolutions = [640, 1280, 1920]
        resize_responses = []
        for resolution in resolutions:
            response: CallResponse[ImageResult] = await context.call(
                f"resize-image-{resolution}",
                # endpoint which returns ImageResult type in response
                url="https://image-processing-service.com/resize",
                method="POST",
                body={"imageUrl": image_url, "width": resolution},
            )
            resize_responses.append(response)
        resized_images = [response.body for response in resize_responses]

        # Step 3: Apply filters to each resized image
        filters = ["grayscale", "sepia", "contrast"]
        filter_responses = []
        for resized_image in resized_images:
            for filter in filters:
                response: CallResponse[ImageResult] = await context.call(
                    f"apply-filter-{filter}",
                    # endpoint which returns ImageResult type in response
                    url="https://image-processing-service.com/filter",
                    method="POST",
                    body={"imageUrl": resized_image["imageUrl"], "filter": filter},
                )
                filter_responses.append(response)
        processed_images = [response.body for response in filter_responses]

        # Step 4: Store processed images in cloud storage
        async def _store_image() -> str:
            return await store_image(processed_image["imageUrl"])

        stored_image_urls: list[str] = []
        for processed_image in processed_images:
            stored_image_url = await context.run("store-image", _store_image)
            stored_image_urls.append(stored_image_url)
        return stored_image_urls

    log = await site.run("/process-image", {"image_id": "cat", "user_id": "u7"})

    first = "https://images.example.com/cat.png?w=640&f=grayscale"
    assert log.result[0] == f"stored:{first}"
    assert stored[0] == first
    assert len(log.result) == len(set(stored)) == 9
    assert names(log)[:5] == [
        "get-image-url",
        "resize-image-640",
        "resize-image-1280",
        "resize-image-1920",
        "apply-filter-grayscale",
    ]
    assert names(log).count("store-image") == 9
    assert len(web.requests) == 12


class OrderItem(TypedDict):
    product_id: str
    quantity: int


class OrderPayload(TypedDict):
    user_id: str
    items: list[OrderItem]


@pytest.mark.parametrize("in_stock", [True, False])
async def test_order_fulfillment(site, serve, capsys, in_stock) -> None:
    """Source: examples/eCommerceOrderFulfillment, all of its blocks."""
    done: list[tuple[Any, ...]] = []

    async def create_order_id(user_id: str) -> str:
        return f"order-of-{user_id}"

    async def check_stock_availability(items: list[OrderItem]) -> bool:
        return in_stock

    async def process_payment(order_id: str) -> None:
        done.append(("paid", order_id))

    async def dispatch_order(order_id: str, items: list[OrderItem]) -> None:
        done.append(("dispatched", order_id, len(items)))

    async def send_order_confirmation(user_id: str, order_id: str) -> None:
        done.append(("confirmed", user_id, order_id))

    async def send_dispatch_notification(user_id: str, order_id: str) -> None:
        done.append(("notified", user_id, order_id))

    @serve.post("/order-fulfillment")
    async def order_fulfillment(context: AsyncWorkflowContext[OrderPayload]) -> None:
        payload = context.request_payload
        user_id = payload["user_id"]
        items = payload["items"]

        async def _create_order_id():
            return await create_order_id(user_id)

        order_id: str = await context.run("create-order-id", _create_order_id)

        async def _check_stock():
            return await check_stock_availability(items)

        stock_available: bool = await context.run("check-stock", _check_stock)

        if not stock_available:
            print("Some items are out of stock")
            return

        async def _process_payment():
            return await process_payment(order_id)

        await context.run("process-payment", _process_payment)

        async def _dispatch_order():
            return await dispatch_order(order_id, items)

        await context.run("dispatch-order", _dispatch_order)

        async def _send_confirmation():
            return await send_order_confirmation(user_id, order_id)

        await context.run("send-confirmation", _send_confirmation)

        async def _send_dispatch_notification():
            return await send_dispatch_notification(user_id, order_id)

        await context.run("send-dispatch-notification", _send_dispatch_notification)

    order = {"user_id": "u7", "items": [{"product_id": "chair", "quantity": 2}]}
    log = await site.run("/order-fulfillment", order)

    assert log.state == "RUN_SUCCESS"
    if in_stock:
        assert done == [
            ("paid", "order-of-u7"),
            ("dispatched", "order-of-u7", 1),
            ("confirmed", "u7", "order-of-u7"),
            ("notified", "u7", "order-of-u7"),
        ]
        assert len(log.steps) == 6
    else:
        assert done == []
        assert names(log) == ["create-order-id", "check-stock"]
        assert capsys.readouterr().out == "Some items are out of stock\n"


class RequestPayload(TypedDict):
    dataset_id: str
    user_id: str


async def test_ai_data_processing(site, serve, web, monkeypatch) -> None:
    """Source: examples/allInOne, all of its blocks: chunks, summaries, a report.

    The model's answers are summed up every ten chunks and at the end, as the page says.
    """
    import os

    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    dataset_url = "https://data.example.com/d7.json"
    web.answer(dataset_url, list(range(12_000)))

    def complete(request: Any) -> Any:
        prompt = request.json()["messages"][1]["content"]
        text = f"insight into {json.loads(prompt.partition(': ')[2])[0]}"
        return {"choices": [{"message": {"content": text}}]}

    web.answer("https://api.openai.com/v1/chat/completions", complete)
    aggregated: list[int] = []
    reports: list[tuple[str, str]] = []

    async def get_dataset_url(dataset_id: str) -> str:
        return f"https://data.example.com/{dataset_id}.json"

    def split_into_chunks(dataset: list[int], size: int) -> list[list[int]]:
        return [dataset[i : i + size] for i in range(0, len(dataset), size)]

    async def aggregate_results(chunks: list[str]) -> None:
        aggregated.append(len(chunks))

    async def generate_report(dataset_id: str) -> str:
        return f"report on {dataset_id}"

    async def send_report(report: str, user_id: str) -> None:
        reports.append((report, user_id))

    @serve.post("/ai-generation")
    async def ai_generation(context: AsyncWorkflowContext[RequestPayload]) -> list[str]:
        request = context.request_payload
        dataset_id = request["dataset_id"]
        user_id = request["user_id"]

        # Step 1: Download the dataset
        async def _get_dataset_url() -> str:
            return await get_dataset_url(dataset_id)

        dataset_url = await context.run("get-dataset-url", _get_dataset_url)

        # HTTP request with much longer timeout (2hrs)
        response: CallResponse[Any] = await context.call(
            "download-dataset", url=dataset_url, method="GET"
        )
        dataset = response.body

        # Step 2: Process data in chunks using OpenAI
        chunk_size = 1000
        chunks = split_into_chunks(dataset, chunk_size)
        processed_chunks: list[str] = []

        for i, chunk in enumerate(chunks):
            openai_response: CallResponse[dict[str, Any]] = await context.call(
                f"process-chunk-{i}",
                url="https://api.openai.com/v1/chat/completions",
                method="POST",
                headers={"authorization": f"Bearer {os.getenv('OPENAI_API_KEY')}"},
                body={
                    "model": "gpt-4",
                    "messages": [
                        {
                            "role": "system",
                            "content": "You are an AI assistant tasked with analyzing data chunks. "
                            "Provide a brief summary and key insights for the given data.",
                        },
                        {
                            "role": "user",
                            "content": f"Analyze this data chunk: {json.dumps(chunk)}",
                        },
                    ],
                    "max_tokens": 150,
                },
            )
            processed_chunks.append(openai_response.body["choices"][0]["message"]["content"])

            # Every 10 chunks, we'll aggregate intermediate results
            if i % 10 == 9 or i == len(chunks) - 1:

                async def _aggregate_results() -> None:
                    await aggregate_results(processed_chunks)

                await context.run(f"aggregate-results{i}", _aggregate_results)

        # Step 3: Generate and send data report
        async def _generate_report() -> Any:
            return await generate_report(dataset_id)

        report = await context.run("generate-report", _generate_report)

        async def _send_report() -> None:
            await send_report(report, user_id)

        await context.run("send-report", _send_report)
        return processed_chunks

    log = await site.run("/ai-generation", {"dataset_id": "d7", "user_id": "u7"})

    assert log.state == "RUN_SUCCESS"
    assert log.result == [f"insight into {1000 * i}" for i in range(12)]
    assert aggregated == [10, 12]
    assert reports == [("report on d7", "u7")]
    assert len(web.to("https://api.openai.com/v1/chat/completions")) == 12
    assert names(log)[:3] == ["get-dataset-url", "download-dataset", "process-chunk-0"]
    assert names(log)[-3:] == ["aggregate-results11", "generate-report", "send-report"]
