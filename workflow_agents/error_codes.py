"""Every error code of the project: its title, its usual cause, and how to mend it.

A code never changes its meaning and is never used again for another. The hundreds say who
has to act: 1xx configuration, 2xx replay and steps, 3xx delivery and endpoint, 4xx
authentication, 5xx limits, 6xx store, 7xx agents and tools. `docs/errors.md` is generated
from this table.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """What is said of every error with this code, wherever it is raised.

    Attributes:
        code: "WA" and three digits.
        title: one line in lower case, without blame.
        why: the usual cause.
        fix: what to do, the safest first.
    """

    code: str
    title: str
    why: str
    fix: tuple[str, ...]


def _table(*rows: tuple[str, str, str, tuple[str, ...]]) -> dict[str, ErrorCode]:
    return {code: ErrorCode(code, title, why, fix) for code, title, why, fix in rows}


CODES = _table(
    (
        "WA101",
        "unknown option",
        "the name is not an option of this function; it may be misspelt",
        ("use one of the options that the message lists",),
    ),
    (
        "WA102",
        "wrong type or value of an option",
        "the value is outside what the option takes",
        ("pass a value of the kind that the message names",),
    ),
    (
        "WA103",
        "not a duration",
        "a duration is seconds as a number, a timedelta, or text of numbers with units",
        ('write 30, "30s", "10m", "1d12h" or timedelta(hours=1)',),
    ),
    (
        "WA104",
        "not a retry-delay expression",
        "only numbers, `retried`, + - * / %, parentheses and nine functions are understood",
        ('write for example "1000" or "min(60000, pow(2, retried) * 1000)" (milliseconds)',),
    ),
    (
        "WA105",
        "unusable flow control",
        "flow control needs a key and a rate, a parallelism, or both",
        ('FlowControl(key="openai", rate=10, period="1m", parallelism=3)',),
    ),
    (
        "WA106",
        "a QStash server cannot be used as it is set up",
        "a QStash server is asked for, and its token is missing or not one",
        (
            "set QSTASH_TOKEN, and QSTASH_URL unless it is the hosted one",
            "unset QSTASH_TOKEN and QSTASH_URL to run on the embedded engine",
        ),
    ),
    (
        "WA107",
        "no such workflow",
        "nothing is served under this path or name in this process",
        ("serve it first: @serve.post(path)", "check the spelling of the path"),
    ),
    (
        "WA108",
        "an optional package is missing",
        "this feature lives in an extra that is not installed",
        ("install the extra that the message names",),
    ),
    (
        "WA109",
        "a secret is not set",
        "the header refers to an environment variable that this process does not have",
        ("set the variable where the engine runs, and retry the dead letter",),
    ),
    (
        "WA110",
        "two workflows under one path",
        "a path names one workflow, because stored runs find their code by it",
        ("give one of them another path",),
    ),
    (
        "WA111",
        "the engine is not running",
        "it was not started, or it has been stopped",
        ("async with Engine(...) as engine: ...", "start the app, whose lifespan starts it"),
    ),
    (
        "WA112",
        "a synchronous call on the event loop that has to do it",
        "the call holds the loop up until it returns, and the loop has to turn to answer it",
        (
            "use the asynchronous client there: await engine.client.run(...)",
            "make the call in a thread: await asyncio.to_thread(...)",
        ),
    ),
    (
        "WA115",
        "not a cron expression",
        "a schedule has five fields: minute, hour, day of the month, month, day of the week",
        ('write for example "0 9 * * MON-FRI", "*/15 * * * *" or "@daily"',),
    ),
    (
        "WA116",
        "unknown time zone",
        "a zone is named as in the tz database, which has no abbreviations and no UTC+2",
        ('write for example "CRON_TZ=Europe/Berlin 0 9 * * *"', "leave it out, for UTC"),
    ),
    (
        "WA121",
        "a message that cannot be read",
        "its destination, or a header that configures it, has a value that cannot be used",
        ("send the value that the message names, or leave the header out",),
    ),
    (
        "WA122",
        "development credentials cannot be used here",
        "everybody knows them; they are taken by `dev` only, and only from this machine",
        (
            "leave QSTASH_TOKEN unset: `workflow-agents server` makes a token of its own",
            "use `workflow-agents dev` on 127.0.0.1",
        ),
    ),
    (
        "WA123",
        "a port is taken",
        "another process listens there, perhaps an earlier one of this kind",
        ("give another port", "end the other process"),
    ),
    (
        "WA124",
        "the app cannot be imported",
        "its module is not found, has no such attribute, or raises while it is imported",
        (
            "workflow-agents dev flows:app   # the module flows.py and its attribute app",
            "run it from the folder that the module lies in",
            "import it by itself: python -c 'import flows'",
        ),
    ),
    (
        "WA125",
        "a configuration file cannot be used",
        "it is no TOML, or has a key or a value that is not understood",
        ("workflow-agents config show   # every key, and where its value comes from",),
    ),
    (
        "WA126",
        "two clocks differ",
        "signatures and tokens are refused when they seem old or not yet made",
        ("set both clocks by NTP: timedatectl set-ntp true",),
    ),
    (
        "WA201",
        "a step changed while this run was in progress",
        "finished steps are matched by place and name; this run began with other code",
        (
            "put the step back where this run has it",
            "serve the new code under another path, and let old runs finish on the old one",
            "start the run again from the top: await client.dlq.restart(dlq_id)",
        ),
    ),
    (
        "WA202",
        "a step needs a name",
        "the name is what a person finds the step by, so it is text and not empty",
        ('await context.run("charge card", charge)',),
    ),
    (
        "WA203",
        "a step inside a step",
        "the body of a step is one unit; what it starts could not be recorded apart",
        ("call the function directly inside the step", "move the inner step out of the body"),
    ),
    (
        "WA204",
        "a result that cannot be stored",
        "results are stored as JSON, so that any later process can read them",
        ("return plain data: dict, list, str, int, float, bool, None, a dataclass or a model",),
    ),
    (
        "WA205",
        "the payload does not fit its type",
        "the workflow declares what it takes, and the request holds something else",
        ("send what the message lists", "widen the type of AsyncWorkflowContext[...]"),
    ),
    (
        "WA206",
        "a step failed",
        "its body raised in every attempt",
        ("mend the cause, then resume the run: await client.dlq.resume(dlq_id)",),
    ),
    (
        "WA207",
        "this invocation has ended",
        "the run was parked, cancelled or superseded, and the code went on all the same",
        ("let asyncio.CancelledError pass: do not catch BaseException around a step",),
    ),
    (
        "WA208",
        "the context was used outside its workflow function",
        "a context lives as long as one call of its function, in the tasks which that starts",
        ("await the step inside the function, or in a task that it starts and awaits",),
    ),
    (
        "WA209",
        "failed to authenticate Workflow request",
        "the function returned before its first step, so nothing was started",
        ("run a step before the function returns, if the request is to be accepted",),
    ),
    (
        "WA210",
        "the workflow function failed",
        "it raised outside a step in every attempt",
        ("mend the cause, then resume the run: await client.dlq.resume(dlq_id)",),
    ),
    (
        "WA211",
        "the run ends its process again and again",
        "the process died several times while this run made no progress",
        ("find what kills the process in the step named", "resume it: client.dlq.resume(dlq_id)"),
    ),
    (
        "WA212",
        "the run has no such step to fork at",
        "a fork begins at a step that the run has recorded, given by its key or its only name",
        ("look at the keys: (await handle.log()).steps",),
    ),
    (
        "WA301",
        "a called service gave no usable answer",
        "the connection failed, timed out or broke the protocol in every attempt",
        ("check the address and the service", "give the call more retries or a longer timeout"),
    ),
    (
        "WA302",
        "an address that cannot be called",
        "only http and https addresses with a host, without credentials, are called",
        ('url="https://example.com/path"',),
    ),
    (
        "WA303",
        "the QStash server did not take a request",
        "it could not be reached, it refused the token, or it refused what was asked",
        ("check QSTASH_URL and QSTASH_TOKEN", "look at what the server answered"),
    ),
    (
        "WA304",
        "an address that may not be called",
        "this engine calls public addresses only, so that nobody can look into its network by it",
        (
            "call an address on the internet",
            "if the network is yours to call, name it in allow_networks where the engine starts",
        ),
    ),
    (
        "WA305",
        "a proxy holds streams back",
        "between here and the server something collects an answer before it passes it on",
        ("nginx: proxy_buffering off;", "ask the server directly: --server http://127.0.0.1:8080"),
    ),
    (
        "WA306",
        "the certificate of a server is not trusted",
        "it has expired, was made for another name, or by an authority unknown to this machine",
        (
            "give the server a certificate for its name",
            "add the authority to those that this system trusts",
        ),
    ),
    (
        "WA401",
        "a stored secret cannot be read",
        "it was sealed with another key than the one that this engine has",
        ("put the key file of the store back beside it", "set WORKFLOW_AGENTS_KEY to that key"),
    ),
    (
        "WA402",
        "the request is not signed as expected",
        "the workflow has signing keys, and takes only requests that are signed with them",
        ("send it through the service that has the keys", "serve it without a receiver"),
    ),
    (
        "WA403",
        "the token is not taken",
        "it belongs to another server, was replaced, or may only read",
        ("set QSTASH_TOKEN to the token of that server", "--token ..."),
    ),
    (
        "WA501",
        "the payload is over the limit",
        "it is refused at once and was not stored",
        ("store the data elsewhere and send a reference", "raise Limits.payload_bytes"),
    ),
    (
        "WA502",
        "a result is over the limit",
        "the step ran, but its result was not stored",
        ("store the data elsewhere and return a reference", "raise Limits.result_bytes"),
    ),
    (
        "WA503",
        "too many steps",
        "one run holds its whole history in memory when it wakes",
        ("split the run with context.invoke", "raise Limits.steps"),
    ),
    (
        "WA504",
        "a name or id that cannot be used",
        "it is too long, or has characters that its kind does not allow",
        ("use letters, digits, and - _ .",),
    ),
    (
        "WA505",
        "more than the server does",
        "so many attempts would keep a message for years",
        ("ask for less", "send it again from its dead letter when it has failed"),
    ),
    (
        "WA506",
        "too many streams are open",
        "each stream of events holds a connection and a buffer",
        ("close streams that nobody reads", "follow a label in place of many runs"),
    ),
    (
        "WA601",
        "another process uses this store",
        "one process at a time owns a SQLite store",
        (
            "stop the other process, or let it serve this work",
            "give this process a store of its own: Engine('other.db')",
            "run the app with one worker",
        ),
    ),
    (
        "WA602",
        "the disk is full",
        "the change was not stored; nothing that was stored is lost",
        ("free space: the engine goes on by itself",),
    ),
    (
        "WA603",
        "the store cannot be written",
        "the file or its folder is read-only, or the disk reports errors",
        ("check the rights and the disk", "give another path: Engine('elsewhere.db')"),
    ),
    (
        "WA604",
        "the store is newer than this program",
        "a later version has migrated it; going back could lose data",
        ("install the version that wrote it, or a later one",),
    ),
    (
        "WA605",
        "the file is not a store",
        "it holds something else, or it is damaged",
        ("give another path", "restore a backup"),
    ),
    (
        "WA606",
        "no such run",
        "no run with this id is stored: it never was, or its retention has passed",
        ("check the id",),
    ),
    (
        "WA607",
        "no such dead letter",
        "it never was, or it has been resumed, restarted or deleted",
        ("list them: await client.dlq.list()",),
    ),
    (
        "WA608",
        "the verb does not fit the state",
        "what was asked is not possible in the state that the message names",
        ("look at the state first: await client.logs(run_id)",),
    ),
    (
        "WA609",
        "no such approval",
        "no run asks for it: the id is misspelt, or the run is no longer stored",
        ("see what waits: await client.approvals.list()",),
    ),
    (
        "WA610",
        "edited arguments do not fit the tool",
        "a tool runs only with arguments that its schema allows; nothing was decided",
        ("give all arguments as the approval's schema describes them",),
    ),
    (
        "WA611",
        "nothing of this name or id is kept",
        "it never was, it has been deleted, or it has ended",
        ("check the name", "list what there is"),
    ),
    (
        "WA612",
        "work is overdue",
        "it has been due for more than a minute, and nobody has begun it",
        (
            "start what works on this store: workflow-agents server",
            "look at the log of its process",
        ),
    ),
    (
        "WA613",
        "the store is older than this program",
        "it was last used by an earlier version",
        ("keep a copy, and start this version: it brings the store up to date",),
    ),
    (
        "WA701",
        "a tool that cannot be used",
        "a tool needs a name, a description and typed arguments",
        ("annotate each argument, and give the function a docstring",),
    ),
    (
        "WA702",
        "an agent that cannot be run",
        "its options do not fit together",
        ("see the message for the option",),
    ),
    (
        "WA703",
        "the model gave no usable answer",
        "the answer was an error, or not what the API should answer",
        ("check the model's name, address and key", "give the call retries"),
    ),
    (
        "WA704",
        "the agent came to no answer",
        "it used all its turns and still called tools",
        ("raise max_steps", "make the task smaller"),
    ),
    (
        "WA705",
        "tools failed too often",
        "every turn of the model called tools that failed, up to the limit",
        ("mend the tool", "describe the tool's arguments better", "raise max_tool_errors"),
    ),
    (
        "WA706",
        "a tool failed too often",
        "the tool allows so many failed calls in one task, and no more",
        ("mend the tool", "raise its max_errors"),
    ),
    (
        "WA707",
        "the outcome of a tool call is unknown",
        "its process died while the tool ran; it may have done its work, or part of it",
        ("look whether it did", "resume the run: a person is then asked what to do with the call"),
    ),
    (
        "WA711",
        "the agent's answer does not fit its output type",
        "the model did not mend it in the tries that it had",
        ("raise output_retries", "make the type simpler", "use a stronger model"),
    ),
    (
        "WA712",
        "a guardrail refused",
        "it found in the prompt or in the answer what it is there to keep out",
        ("catch GuardrailTripped and say what is to happen then",),
    ),
    (
        "WA713",
        "a usage limit is used up",
        "the work took more calls, tokens or money than it was given",
        (
            "raise the limit: limits=UsageLimits(...)",
            'let a person decide: UsageLimits(..., on_breach="pause")',
        ),
    ),
)
