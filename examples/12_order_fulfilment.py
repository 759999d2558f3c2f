"""An order: its number, the stock, the payment, the dispatch, and two notes to the customer.

Source: the documentation's example "E-commerce Order Fulfillment".
"""

import asyncio
from typing import TypedDict

from workflow_agents import AsyncWorkflowContext, Engine

engine = Engine("orders.db")
stock = {"chair": 12, "table": 1}
letters: list[str] = []


class OrderItem(TypedDict):
    product_id: str
    quantity: int


class OrderPayload(TypedDict):
    user_id: str
    items: list[OrderItem]


@engine.workflow("/order-fulfilment")
async def order_fulfilment(context: AsyncWorkflowContext[OrderPayload]) -> str:
    """From the order to the parcel. No line of it runs twice, whatever happens between two."""
    user_id, items = context.request_payload["user_id"], context.request_payload["items"]

    async def create_order_id() -> str:
        return f"order-of-{user_id}"

    async def check_stock() -> bool:
        return all(stock[item["product_id"]] >= item["quantity"] for item in items)

    async def process_payment() -> str:
        return f"payment for {order_id}"

    async def dispatch() -> str:
        for item in items:
            stock[item["product_id"]] -= item["quantity"]
        return f"parcel of {order_id}"

    async def write(text: str) -> None:
        letters.append(f"to {user_id}: {text}")

    order_id = await context.run("create-order-id", create_order_id)
    if not await context.run("check-stock", check_stock):
        return "out of stock"
    payment = await context.run("process-payment", process_payment)
    parcel = await context.run("dispatch-order", dispatch)
    await context.run("send-confirmation", lambda: write(f"we have your {payment}"))
    await context.run("send-dispatch-notification", lambda: write(f"{parcel} is on its way"))
    return "dispatched"


async def main() -> None:
    async with engine:
        for user, item in (("ada", "chair"), ("bob", "table"), ("cem", "table")):
            order: OrderPayload = {
                "user_id": user,
                "items": [{"product_id": item, "quantity": 1}],
            }
            handle = await engine.client.trigger(order_fulfilment, order)
            print(f"{user}: {await handle.result()}")
    print(*letters, sep="\n")
    print(stock)


asyncio.run(main())

# prints:
#   ada: dispatched
#   bob: dispatched
#   cem: out of stock
#   to ada: we have your payment for order-of-ada
#   to ada: parcel of order-of-ada is on its way
#   to bob: we have your payment for order-of-bob
#   to bob: parcel of order-of-bob is on its way
#   {'chair': 11, 'table': 0}
