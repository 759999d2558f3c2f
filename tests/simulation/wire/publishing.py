"""A post as whoever publishes it writes it: the headers and body of its request."""

from collections.abc import Sequence

from tests.simulation.wire.scenario import TIMEOUT_MS, Post, Told
from workflow_agents import FlowControl
from workflow_agents.engine.messages import Incoming
from workflow_agents.protocol.message import parse_message

EPOCH_S = 1_767_225_600
"""When virtual time begins, as the clock of an undisturbed engine has it."""

SECRET = ("Authorization", "Bearer secret")
"""Forwarded with every post; it is sealed in the store."""

POST = "X-Post"
TRY = "X-Try"


def group_urls(name: str, endpoints: int) -> list[str]:
    """Where a URL group goes."""
    return [f"http://service/{name}/{n}" for n in range(endpoints)]


def scheduled(post: Post) -> Incoming:
    """What makes a schedule of the post, every minute."""
    every_minute = [("Upstash-Cron", "* * * * *"), ("Upstash-Schedule-Id", post.name)]
    return incoming(post, 0, every_minute)


def incoming(post: Post, attempt: int, more: Sequence[tuple[str, str]] = ()) -> Incoming:
    """The message, as it comes in when it is published for the n-th time."""
    headers = [
        *more,
        ("Content-Type", "application/octet-stream"),
        (f"Upstash-Forward-{POST}", "content" if post.by_content else post.name),
        ("Upstash-Timeout", f"{TIMEOUT_MS // 1000}s"),
        ("Upstash-Label", "a,b"),
        (f"Upstash-Forward-{SECRET[0]}", SECRET[1]),
    ]
    if not post.by_content:
        headers.append((f"Upstash-Forward-{TRY}", str(attempt)))
    headers += _configured("Upstash-", post.retries, post.retry_ms, post.delay_ms, post.flow)
    if post.not_before_s is not None:
        headers.append(("Upstash-Not-Before", str(EPOCH_S + post.not_before_s)))
    if post.dedup is not None:
        headers.append(("Upstash-Deduplication-Id", post.dedup))
    if post.by_content:
        headers.append(("Upstash-Content-Based-Deduplication", "true"))
    headers += _told("Callback", post.callback, f"http://service/told/{post.name}")
    headers += _told("Failure-Callback", post.failure_callback, f"http://service/lost/{post.name}")
    spec = parse_message(post.group or post.url, headers, queue=post.queue)
    return Incoming(spec, post.body, caller_ip="203.0.113.7")


def _told(family: str, told: Told | None, url: str) -> list[tuple[str, str]]:
    if told is None:
        return []
    prefix = f"Upstash-{family}-"
    return [
        (f"Upstash-{family}", url),
        (f"{prefix}Timeout", f"{TIMEOUT_MS // 1000}s"),
        (f"{prefix}Forward-X-Told", family),
        *_configured(prefix, told.retries, told.retry_ms, told.delay_ms, told.flow),
    ]


def _configured(
    prefix: str, retries: int | None, retry_ms: int | None, delay_ms: int, flow: FlowControl | None
) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    if retries is not None:
        found.append((f"{prefix}Retries", str(retries)))
    if retry_ms is not None:
        found.append((f"{prefix}Retry-Delay", str(retry_ms)))
    if delay_ms:
        found.append((f"{prefix}Delay", f"{delay_ms}ms"))
    if flow is not None:
        found.append((f"{prefix}Flow-Control-Key", flow.key))
        found.append((f"{prefix}Flow-Control-Value", flow.to_value()))
    return found
