"""Everything that reads text from outside, by name: what it takes, and what it refuses with."""

from collections.abc import Callable

from tests.unit.protocol.forgeries import KEY, NEXT, NOW
from workflow_agents.core.answers import Proof, after_answer
from workflow_agents.core.checks import checked_run_id, is_header_value
from workflow_agents.core.cron import Cron
from workflow_agents.core.delay_expression import DelayExpression
from workflow_agents.core.flow_control import FlowControl
from workflow_agents.core.retry import RetryPolicy, retry_after_ms
from workflow_agents.engine.decoding import BrokenEncoding, Decoder
from workflow_agents.engine.egress import checked_url
from workflow_agents.engine.messages import Messages
from workflow_agents.errors import WorkflowAgentsError
from workflow_agents.protocol import message_headers as headers
from workflow_agents.protocol.codec import decode
from workflow_agents.protocol.message import parse_message
from workflow_agents.protocol.message_kinds import MessageKind
from workflow_agents.protocol.run_requests import read_invocation, read_step, read_wait
from workflow_agents.protocol.signature import SigningKeys
from workflow_agents.protocol.sse import EventParser, EventTooLarge
from workflow_agents.protocol.times import duration_ms, http_date_ms, instant_ms
from workflow_agents.server import auth, filters
from workflow_agents.server.destinations import Target
from workflow_agents.server.routing import read_json
from workflow_agents.server.settings import ServerSettings, user_of

REFUSALS = (WorkflowAgentsError, ValueError, BrokenEncoding, EventTooLarge)
"""UnicodeEncodeError is a ValueError too: texts of these tests can all be written."""

SETTINGS = ServerSettings()
KEYS = SigningKeys(KEY, NEXT)
Parser = Callable[[str], object]


def of_header(name: str) -> Parser:
    """The message that has this header."""
    return lambda text: parse_message("https://a.test/", [(name, text)])


def target(text: str) -> Target:
    text = text[: SETTINGS.target_bytes]  # what is longer is not looked at
    return Target.of({"raw_path": f"/v2/publish/{text}".encode(), "query_string": text.encode()})


def messages() -> Messages:
    return Messages.__new__(Messages)  # its ids need no engine


PARSERS: dict[str, Parser] = {
    "retry delay": DelayExpression.parse,
    "cron": Cron.parse,
    "flow control": lambda text: FlowControl.from_value("k", text),
    "flow control key": lambda text: FlowControl(text, rate=1),
    "duration": duration_ms,
    "instant": instant_ms,
    "HTTP date": http_date_ms,
    "retry after": lambda text: retry_after_ms({"retry-after": [text]}, 0),
    "rate limit reset": lambda text: retry_after_ms({"x-ratelimit-reset": [text]}, 0),
    "run id": checked_run_id,
    "message id": lambda text: messages().row_of(text),
    "header value": is_header_value,
    **{
        f"header {name}": of_header(f"Upstash-{name}")
        for name in (
            "Delay",
            "Not-Before",
            "Retries",
            "Timeout",
            "Method",
            "Label",
            "Redact-Fields",
            "Callback",
            "Flow-Control-Key",
            "Queue-Name",
            "Feature-Set",
            "Workflow-RunId",
            "Forward-Upstash-Workflow-Invoke-Count",
        )
    },
    "name of a header": lambda text: parse_message("https://a.test/", [(text, "x")]),
    "many callbacks": lambda text: parse_message(
        "https://a.test/", [("upstash-callback", "https://a.test/"), (f"upstash-{text}", "1")]
    ),
    "destination": lambda text: parse_message(text, []),
    "destination in a path": lambda text: target(text).destination(2),
    "query": lambda text: target(text).configuration,
    "URL": headers.is_url,
    "URL to call": checked_url,
    "list of values": lambda text: filters.values_of({"label": [text]}, "label"),
    "filters": lambda text: filters.message_filter({"fromDate": [text], "label": [text]}),
    "host": lambda text: auth.is_known_host(text, SETTINGS),
    "origin": lambda text: auth.is_foreign_page("POST", {"origin": text}),
    "token": lambda text: auth.token_in({"authorization": text}, {}),
    "user of a token": user_of,
    "signature": lambda text: KEYS.verify(text, b"", now_s=NOW),
    "JSON": decode,
    "JSON of a client": lambda text: read_json(text.encode()),
    "step": lambda text: read_step(text.encode()),
    "wait": lambda text: read_wait(text.encode()),
    "invocation": lambda text: read_invocation(text.encode()),
    "version of an SDK": lambda text: after_answer(
        200,
        {"upstash-workflow-sdk-version": ["1"], "upstash-workflow-sdk": [text]},
        attempt=1,
        policy=RetryPolicy(3),
        now_ms=0,
        kind=MessageKind.VISIT,
        proof=Proof.SDK_1,
    ),
    "events": lambda text: EventParser().feed(text.encode()),
    "content encoding": lambda text: Decoder([text], 1_000),
}
