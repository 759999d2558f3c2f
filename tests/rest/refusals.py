"""What the server refuses, and with what: the rows of a table that the documentation shows.

`test_refusals.py` asks for each, and compares status and text. In targets and texts, `{url}` is an
address outside, `{ended}` a run that has ended, `{failed}` the dead letter of a run,
`{undelivered}` that of a message.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.unit.server.conftest import READ_TOKEN
from workflow_agents.errors import StoreError
from workflow_agents.server.settings import DEV_TOKEN

ADDRESS = "a message goes to an http or https address, or to a URL group"
STEP = '{"stepId":1,"stepName":"s","stepType":"Run","out":"1","concurrent":1}'
OF_ENDED = {"Upstash-Workflow-Init": "false", "Upstash-Workflow-RunId": "{ended}"}
OF_RUNNING = {"Upstash-Workflow-Init": "false", "Upstash-Workflow-RunId": "{running}"}
NOT_RUNNING = "workflow run {ended} is not running: it has ended, or it never was"
NO_MESSAGE = "there is no such message: message 'msg_none'"
NO_QUEUE = "there is no such queue: queue 'none'"
NO_SCHEDULE = "there is no such schedule: schedule 'none'"
NO_GROUP = "there is no such URL group: URL group 'none'"
NO_KEY = "there is no such key: flow control key 'none'"
NO_LETTER = "no such dead letter: dead letter 'none'"
NO_RUN = "no such run: run 'wfr_none'"
OF_A_MESSAGE = "a dead letter of a message, and not of a run: dead letter '{undelivered}'"
DURATION = 'expected a duration, as "30s" or "1d12h"'
BEARER = {"WWW-Authenticate": "Bearer"}
FLOW_CONTROL = {"Upstash-Flow-Control-Key": "k"}


@dataclass(frozen=True)
class Refusal:
    """A request that is refused.

    Attributes:
        when: what is wrong with it.
        asked: method and target.
        error: the text of the answer.
        code: of the error, where it has one.
        narrow: asked of a server that is soon out of patience.
        times: how often it is asked before it is refused.
        raised: what goes wrong in the server.
        says: headers of the answer.
    """

    status: int
    when: str
    asked: str
    error: str
    code: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Any = b""
    token: str | None = DEV_TOKEN
    narrow: bool = False
    times: int = 1
    raised: Exception | None = None
    says: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def name(self) -> str:
        """What its test is called."""
        return f"{self.status} {self.when}"


def _refused_header(name: str, value: str, error: str, code: str = "WA121") -> Refusal:
    told = FLOW_CONTROL if name == "Upstash-Flow-Control-Value" else {}
    return Refusal(
        400, f"{name}: {value}", "POST /v2/publish/{url}", error, code, {**told, name: value}
    )


def _refused_query(target: str, expected: str) -> Refusal:
    path, _, query = target.partition("?")
    name, _, value = query.partition("=")
    error = f"{name} cannot be used: expected {expected}, found {value!r}"
    return Refusal(400, f"a wrong {name} of {path}", f"GET {target}", error, "WA102")


REFUSALS = (
    # 400: what cannot be read.
    Refusal(400, "a destination that is no address", "POST /v2/publish/ftp://a.test",
            f"{ADDRESS}: 'ftp://a.test'", "WA121"),
    Refusal(400, "no destination", "POST /v2/trigger/", f"{ADDRESS}: ''", "WA121"),
    Refusal(400, "a run in a URL group", "POST /v2/trigger/none",
            "a message of a run goes to an http or https address: the URL group 'none'", "WA121"),
    Refusal(400, "a name that cannot be one", "POST /v2/enqueue/a%20b/{url}",
            "header Upstash-Queue-Name: expected 1 to 256 letters, digits and - _ .: 'a b'",
            "WA121"),
    _refused_header("Upstash-Method", "BREW", "header Upstash-Method: expected one of "
                    "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT: 'BREW'"),
    _refused_header("Upstash-Delay", "soon", f"header Upstash-Delay: {DURATION}: 'soon'"),
    _refused_header("Upstash-Not-Before", "soon",
                    "header Upstash-Not-Before: expected Unix seconds: 'soon'"),
    _refused_header("Upstash-Timeout", "long", f"header Upstash-Timeout: {DURATION}: 'long'"),
    _refused_header("Upstash-Retries", "-1",
                    "header Upstash-Retries: expected a whole number from 0: '-1'"),
    _refused_header("Upstash-Retry-Delay", "wait(1)",
                    "not a retry-delay expression: 'wait' is not known: wait(1); ^ column 1",
                    "WA104"),
    _refused_header("Upstash-Callback", "ftp://a.test", "header Upstash-Callback: "
                    "expected an http or https address: 'ftp://a.test'"),
    _refused_header("Upstash-Failure-Callback", "ftp://a.test", "header Upstash-Failure-Callback: "
                    "expected an http or https address: 'ftp://a.test'"),
    Refusal(400, "Upstash-Callback-Retries: x", "POST /v2/publish/{url}",
            "header Upstash-Callback-Retries: expected a whole number from 0: 'x'", "WA121",
            {"Upstash-Callback": "{url}", "Upstash-Callback-Retries": "x"}),
    _refused_header("Upstash-Flow-Control-Key", "a b", "header Upstash-Flow-Control-Key: "
                    "expected 1 to 256 letters, digits and - _ .: 'a b'"),
    _refused_header("Upstash-Flow-Control-Value", "rate=0",
                    "the rate of flow control is a whole number from 1: rate=0 (int)", "WA105"),
    Refusal(400, "limits without a key", "POST /v2/publish/{url}",
            "header Upstash-Flow-Control-Value: expected Upstash-Flow-Control-Key beside it: "
            "'rate=1'", "WA121", {"Upstash-Flow-Control-Value": "rate=1"}),
    _refused_header("Upstash-Label", "a b", "header Upstash-Label: "
                    "expected labels of letters, digits and - _ ., joined by commas: 'a b'"),
    _refused_header("Upstash-Redact-Fields", "url", "header Upstash-Redact-Fields: "
                    """expected "body", "header" or "header[Name]": 'url'"""),
    Refusal(400, "a schedule without a cron line", "POST /v2/schedules/{url}",
            "a schedule needs a cron line: no such header", "WA121"),
    Refusal(400, "Upstash-Cron: daily", "POST /v2/schedules/{url}",
            "not a cron expression: it has 1 field, and five are needed: 1 fields: 'daily'",
            "WA115", {"Upstash-Cron": "daily"}),
    Refusal(400, "an unknown time zone", "POST /v2/schedules/{url}",
            "unknown time zone: 'No/Where': 'No/Where'", "WA116",
            {"Upstash-Cron": "CRON_TZ=No/Where 0 9 * * *"}),
    Refusal(400, "a run id that cannot be one", "POST /v2/trigger/{url}",
            "a run id that cannot be used: 'a b'", "WA504", {"Upstash-Workflow-RunId": "a b"}),
    Refusal(400, "a body that is no JSON", "POST /v2/batch",
            "the body is not JSON that can be read: it is nested more than 64 deep, or never ends",
            "WA204", body="["),
    Refusal(400, "an item of a batch without a destination", "POST /v2/batch",
            "destination cannot be used: expected an address or a URL group, found None", "WA102",
            body=[{}]),
    Refusal(400, "runs of which one cannot be begun", "POST /v2/batch/trigger",
            "destination cannot be used: expected an address or a URL group, found None", "WA102",
            body=[{"destination": "{url}"}, {}]),
    Refusal(400, "a queue without a name", "POST /v2/queues",
            "queueName cannot be used: expected the name of a queue, found None", "WA102",
            body={}),
    Refusal(400, "a queue with no parallelism", "POST /v2/queues",
            "the parallelism of a queue is a whole number from 1 to 10000: parallelism=0",
            "WA102", body={"queueName": "q", "parallelism": 0}),
    Refusal(400, "a URL group without endpoints", "POST /v2/topics/g/endpoints",
            "endpoints cannot be used: expected a list of objects with a url, found None",
            "WA102", body={}),
    Refusal(400, "no id of an event", "POST /v2/notify/",
            "an event needs an id: expected text of 1 to 1024 characters, found ''", "WA504"),
    Refusal(400, "waiters of no event", "GET /v2/waiters/",
            "an event needs an id: expected text of 1 to 1024 characters, found ''", "WA504"),
    Refusal(400, "limits that cannot be pinned", "POST /v2/flowControl/k/pin?parallelism=no",
            "parallelism cannot be used: expected a whole number from 1, found 'no'", "WA102"),
    Refusal(400, "nothing that is to be pinned", "POST /v2/flowControl/k/pin",
            "flow control needs a rate or a parallelism: key='k' only", "WA105"),
    _refused_query("/v2/dlq?count=0", "a whole number from 1"),
    _refused_query("/v2/dlq?cursor=abc", "a whole number from 0"),
    _refused_query("/v2/dlq?responseStatus=bad", "an HTTP status"),
    _refused_query("/v2/logs?fromDate=today", "a whole number from 0"),
    _refused_query("/v2/logs?state=LOST", "a state of a message"),
    _refused_query("/v2/workflows/logs?state=LOST", "a state of a run or a step"),
    _refused_query("/v2/workflows/logs?trimBody=x", "a number of bytes, or -1"),
    _refused_query("/v2/workflows/logs?groupBy=day", "workflowRunId"),
    _refused_query("/v2/workflows/dlq?failureFunctionState=LOST", "a state of a failure function"),
    # 400: what is not so.
    Refusal(400, "a step of a run that is over", "POST /v2/publish/{url}", NOT_RUNNING, "WA608",
            OF_ENDED, STEP),
    Refusal(400, "a batch with a step of a run that is over", "POST /v2/batch", NOT_RUNNING,
            "WA608", body=[{"destination": "{url}", "headers": OF_ENDED, "body": STEP}]),
    Refusal(400, "a wait of a run that is over", "POST /v2/wait/e", NOT_RUNNING, "WA608", OF_ENDED,
            {"url": "{url}", "timeout": "1h", "step": {"stepId": 1, "stepName": "w",
                                                       "stepType": "Wait", "concurrent": 1}}),
    *(
        Refusal(400, f"a message in place of a run: {method} {path}",
                f"{method} /v2/workflows/dlq/{path}", OF_A_MESSAGE, "WA608")
        for method, path in (("GET", "{undelivered}"), ("DELETE", "{undelivered}"),
                             ("POST", "resume/{undelivered}"), ("POST", "restart/{undelivered}"),
                             ("POST", "callback/{undelivered}"))
    ),
    Refusal(400, "a failure function that has not failed",
            "POST /v2/workflows/dlq/callback/{failed}", "the verb does not fit the state: "
            "expected CALLBACK_FAIL, found no failure function", "WA608"),
    Refusal(400, "a failure function that is not being called",
            "DELETE /v2/workflows/dlq/callback/{failed}", "the verb does not fit the state: "
            "expected CALLBACK_INPROGRESS, found no failure function", "WA608"),
    # Who asks.
    Refusal(401, "no token", "GET /v2/keys",
            "unauthorized: a token is needed, as Authorization: Bearer <token>", token=None,
            says=BEARER),
    Refusal(401, "a token of another server", "GET /v2/keys",
            "unauthorized: the token is not one of this server", token="wrong",
            says=BEARER),
    Refusal(403, "a token that may only read", "POST /v2/keys/rotate", "the token may only read",
            token=READ_TOKEN),
    Refusal(403, "a web page of another origin", "POST /v2/keys/rotate",
            "a web page of another origin may make no changes here",
            headers={"Origin": "https://evil.test"}),
    Refusal(421, "a name that is not the server's", "GET /v2/keys",
            "this server is not known under that name; start it with --allowed-host",
            headers={"Host": "evil.test"}),
    # 404.
    *(
        Refusal(404, f"nothing is there: {asked}", asked, error, code)
        for asked, error, code in (
            ("GET /v2/messages/msg_none", NO_MESSAGE, "WA611"),
            ("DELETE /v2/messages/msg_none", NO_MESSAGE, "WA611"),
            ("GET /v2/queues/none", NO_QUEUE, "WA611"),
            ("DELETE /v2/queues/none", NO_QUEUE, "WA611"),
            ("POST /v2/queues/none/pause", NO_QUEUE, "WA611"),
            ("POST /v2/queues/none/resume", NO_QUEUE, "WA611"),
            ("GET /v2/schedules/none", NO_SCHEDULE, "WA611"),
            ("DELETE /v2/schedules/none", NO_SCHEDULE, "WA611"),
            ("PATCH /v2/schedules/none/pause", NO_SCHEDULE, "WA611"),
            ("POST /v2/schedules/none/resume", NO_SCHEDULE, "WA611"),
            ("POST /v2/publish/none", NO_GROUP, "WA611"),
            ("POST /v2/enqueue/q/none", NO_GROUP, "WA611"),
            ("GET /v2/topics/none", NO_GROUP, "WA611"),
            ("DELETE /v2/topics/none", NO_GROUP, "WA611"),
            ("GET /v2/dlq/none", NO_LETTER, "WA607"),
            ("DELETE /v2/dlq/none", NO_LETTER, "WA607"),
            ("POST /v2/dlq/retry/none", NO_LETTER, "WA607"),
            ("GET /v2/workflows/dlq/none", NO_LETTER, "WA607"),
            ("DELETE /v2/workflows/dlq/none", NO_LETTER, "WA607"),
            ("POST /v2/workflows/dlq/resume/none", NO_LETTER, "WA607"),
            ("POST /v2/workflows/dlq/restart/none", NO_LETTER, "WA607"),
            ("POST /v2/workflows/dlq/callback/none", NO_LETTER, "WA607"),
            ("DELETE /v2/workflows/dlq/callback/none", NO_LETTER, "WA607"),
            ("GET /v2/workflows/runs/wfr_none",
             "workflow run wfr_none not found: run 'wfr_none'", "WA606"),
            ("GET /v2/workflows/runs/{ended}",
             "workflow run {ended} not found: it has ended", "WA606"),
            ("DELETE /v2/workflows/runs/wfr_none", NO_RUN, "WA606"),
            ("DELETE /v2/workflows/runs/wfr_none?cancel=false",
             "workflow run wfr_none not found: run 'wfr_none'", "WA606"),
            ("POST /v2/notify/wfr_none/e", NO_RUN, "WA606"),
            ("POST /v2/workflows/hooks/u/wfr_none/e", NO_RUN, "WA606"),
            ("GET /v2/flowControl/none", NO_KEY, "WA611"),
            ("POST /v2/flowControl/none/unpin?rate=true", NO_KEY, "WA611"),
            ("POST /v2/flowControl/none/resetRate", NO_KEY, "WA611"),
            ("GET /v2/nothing", "there is nothing at /v2/nothing", ""),
        )
    ),
    Refusal(405, "another method", "PUT /v2/queues", "/v2/queues takes GET, POST",
            says={"Allow": "GET, POST"}),
    # Limits.
    Refusal(408, "a body that does not come", "POST /v2/queues", "the body did not come in time",
            headers={"Content-Length": "3"}, narrow=True, says={"Connection": "close"}),
    Refusal(412, "more retries than there may be", "POST /v2/publish/{url}",
            "more than the server does: expected at most 1000 retries, found 1001", "WA505",
            {"Upstash-Retries": "1001"}),
    Refusal(412, "a step that cannot be carried out", "POST /v2/batch",
            "header Upstash-Timeout: expected a duration, as \"30s\" or \"1d12h\": 'long'",
            "WA121", body=[{"destination": "{url}", "body": STEP,
                            "headers": {**OF_RUNNING, "Upstash-Timeout": "long"}}]),
    Refusal(412, "a wait that cannot be carried out", "POST /v2/wait/e",
            "a request about a run cannot be read: Expecting value: line 1 column 1 (char 0)",
            "WA204", OF_RUNNING, "no JSON"),
    Refusal(412, "a result that is too large", "POST /v2/publish/{url}",
            "a result is over the limit: expected at most 1,000 bytes, found 1,001", "WA502",
            OF_RUNNING, "x" * 1001, narrow=True),
    Refusal(413, "a body that is too large", "POST /v2/publish/{url}",
            "the body is over the limit: expected at most 10485760 bytes, found 10485761",
            "WA501", {"Content-Length": "10485761"}),
    Refusal(414, "an address that is too long", f"GET /v2/keys?{'x' * 2**14}",
            "the address is longer than 16384 bytes"),
    Refusal(429, "too many requests of one token", "GET /v2/keys", "too many requests",
            narrow=True, times=4,
            says={"Retry-After": "1", "Burst-RateLimit-Limit": "1",
                  "Burst-RateLimit-Remaining": "0", "Burst-RateLimit-Reset": "1"}),
    Refusal(431, "headers that are too large", "GET /v2/keys",
            "the headers have more than 65536 bytes",
            headers={f"X-{n}": "x" * 2**14 for n in range(4)}),
    Refusal(500, "what nobody expected", "GET /v2/queues", "internal error",
            raised=KeyError("a secret")),
    Refusal(503, "a store that cannot be used", "GET /v2/queues", "the disk is full", "WA602",
            raised=StoreError("WA602")),
)  # fmt: skip
"""First what cannot be read, then who asks, what is not there, and limits."""
