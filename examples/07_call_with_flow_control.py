"""The engine makes HTTP requests for runs, and limits how many of a key it makes at a time."""

import asyncio
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from workflow_agents import AsyncWorkflowContext, Engine, FlowControl, Secret

engine = Engine("weather.db")
polite = FlowControl("weather", parallelism=2)

asked: list[str] = []
at_once: list[int] = []
busy = threading.Semaphore(0)
lock = threading.Lock()
count = 0


class Weather(BaseHTTPRequestHandler):
    """A service that knows the weather."""

    def do_POST(self) -> None:
        """Answer with JSON; the first request is refused with 503."""
        global count
        with lock:
            count += 1
            at_once.append(count)
        city = json.loads(self.rfile.read(int(self.headers["content-length"])))["city"]
        busy.acquire(timeout=0.05)  # takes a while
        body = json.dumps({"city": city, "weather": "rain"}).encode()
        with lock:
            count -= 1
            asked.append(self.headers["authorization"])
            status = 503 if len(asked) == 1 else 200
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@engine.workflow("/forecast")
async def forecast(context: AsyncWorkflowContext[dict]) -> list[str]:
    """Ask for six cities at once; two requests are under way at any time."""

    async def ask(city: str) -> str:
        answer = await context.call(
            f"weather of {city}",
            url=context.request_payload["url"],
            method="POST",
            body={"city": city},
            headers={"authorization": Secret("WEATHER_KEY", prefix="Bearer ")},
            retries=2,
            retry_delay="10",
            flow_control=polite,
        )
        return f"{answer.body['city']}: {answer.body['weather']}"

    cities = ["Bergen", "Cork", "Delft", "Porto", "Sapporo", "Valdivia"]
    return await asyncio.gather(*(ask(city) for city in cities))


async def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Weather)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    os.environ["WEATHER_KEY"] = "k-123"
    async with engine:
        url = f"http://127.0.0.1:{server.server_port}/"
        run = await engine.client.trigger(forecast, {"url": url})
        print(*await run.result(), sep="\n")
    server.shutdown()
    server.server_close()
    print("requests:", len(asked), "at most at once:", max(at_once))
    print("with the key:", set(asked) == {"Bearer k-123"})


asyncio.run(main())
print("the key in the store:", b"k-123" in Path("weather.db").read_bytes())

# prints:
#   Bergen: rain
#   Cork: rain
#   Delft: rain
#   Porto: rain
#   Sapporo: rain
#   Valdivia: rain
#   requests: 7 at most at once: 2
#   with the key: True
#   the key in the store: False
