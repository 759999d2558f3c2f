"""Values that parsers get wrong: by what they stand in for. Tables only."""

LONG = "x" * 70_000
DEEP = 5_000

TEXTS = [
    *("", " ", "\t", "0", "-1", "null", "true", "None", "NaN", "[]", "{}", "a b", "a,b", ",,,"),
    *("\x00", "a\x00b", "a\nb", "a\r\nX-Injected: 1", "\x1b[31m", "\x7f", "\ufeff", "\u2028"),
    *(
        "é",
        "\ufb01",
        "\U0001d54f",
        "\u202e",
        "\U0001f9e8" * 50,
        "\ud800",
        "\udfff\ud800",
        "a\u0301" * 100,
    ),
    *("../../etc/passwd", "..%2f..", "%00", "%2e%2e", "%", "%zz", "%C0%AF", "/", "//", ";", "*"),
    *("'", "' OR 1=1 --", '"; DROP TABLE messages; --', "%%", "_", "\\", "${7*7}", "{{7*7}}"),
    *("<script>alert(1)</script>", "javascript:1", "__proto__", "constructor", "a" * 257),
    *("a" * 1_025, "9" * 400, "٣", "\uff11", LONG),
]

NUMBERS = [
    *("0", "1", "-1", "+1", "00", "1.5", "1e3", "1e999", "-1e999", "NaN", "Infinity", "0x10"),
    *("٣", " 1", "1 ", "1_000", "2147483648", "4294967296", "9223372036854775807", "-0"),
    *("9223372036854775808", "999999999999999999", "1000000000000000000", "9" * 400, ""),
]

DURATIONS = [
    *("1s", "10s", "1d10h30m", "0s", "30", "1.5h", "1w", "1mo", "1y", "100y", "101y", "7d1s"),
    *("1", "0", "-1s", "s", "1x", "1s1", "1s1s", "1e3s", "9" * 60 + "y", "9" * 400 + "s", "½s"),
    *("1 s", "1S", "1ms", "1ns", "1µs", "٣s", "1s" * 40, "P1D", "99999999999999999999999999999y"),
]

INSTANTS = [
    *("0", "1", "1735689600", "253402300799", "253402300800", "1735689600000", "4102444800"),
    *("1.5", "-1", "1e9", "9" * 18, "9" * 19, "2030-01-01", "NaN", "inf", "٣", "1735689600."),
]

CRONS = [
    *("* * * * *", "*/5 * * * *", "0 9 * * 1-5", "CRON_TZ=Europe/Berlin 0 9 * * *", "@daily"),
    *("0 0 29 2 *", "0 0 31 2 *", "60 * * * *", "* * * *", "* * * * * *", "*/0 * * * *"),
    *(
        "5-1 * * * *",
        "1,2,3,4,5 * * * *",
        "* * * * MON#2",
        "0 0 L * *",
        "CRON_TZ=No/Where * * * * *",
    ),
    *("CRON_TZ=No/Where * * * * *", "CRON_TZ=Local * * * * *", "TZ=UTC 0 0 1 1 *"),
    *("CRON_TZ=../../etc/passwd * * * * *", "CRON_TZ= * * * * *", "0 0 * * 8", "1-59/7 * * * *"),
    *(",".join("1" for _ in range(2_000)) + " * * * *", "*" * 1_000, "a b c d e", "٣ * * * *"),
    *("\x00 * * * *", "* * * * *\n* * * * *", "99999999999999999999 * * * *", "-1 * * * *"),
]

EXPRESSIONS = [
    *("1000", "pow(2, retried) * 1000", "min(60000, pow(2, retried) * 500)", "1000*(1+retried)"),
    *("0/0", "1/retried", "--1", "1e308*10", "pow(9,pow(9,pow(9,9)))", "exp(exp(exp(9)))"),
    *("(" * 10_000, "(" * 31 + "1" + ")" * 31, "((((", "retried.real", "__import__('os')"),
    *("1 if 1 else 2", "pow(2)", "max()", "retries", "٣", "1\x00", "1" * 300, "sqrt(-1)"),
    *("+".join("1" for _ in range(127)), "1+" * 200, "9" * 255, ".", "..", "1..1", "'a'*9**9"),
]

FLOW_VALUES = [
    *("parallelism=1", "parallelism=3, rate=10, period=1m", "rate=1,period=7d", "ratePerSecond=5"),
    *("rate=0", "rate=-1", "rate=1,rate=2", "period=1m", "", "rate", "=", ",", "rate=1,period=0"),
    *("rate=1,period=8d", "rate=1,period=1ms", "parallelism=" + "9" * 18, "rate=" + "9" * 19),
    *("rate=1" * 100, "rate=٣", "rate=1\x00", "rate=1;parallelism=1", " rate = 5 , period = 2 "),
]

NAMES = ["a", "b", "q-1", "A_b.c", "x" * 256]
"""Names that can be used: of queues, groups, schedules, keys, labels."""

ODD_URLS = [
    *(
        "http://",
        "http:///x",
        "https:/a.test/b",
        "https:a.test",
        "http://a.test:0/",
        "HTTP://A.TEST",
    ),
    *("http://127.1/", "http://[::1]:1/", "http://a@b/", "http://a.test:99999/", "ftp://a.test/"),
    *("http://a.test/%00", "http://a.test/é", "https%3A%2F%2Fa.test%2Fb", "http://\ud800/", "a/b"),
    *("http://" + "a" * 300 + ".test/", "http://a.test/" + "b" * 9_000, "http://a b/", "//a.test"),
    *(
        "http://a.test/?a=1&upstash-retries=1#x",
        "http://a.test\\@b",
        "http://[::1",
        "http://\u2100/",
    ),
]

FLAGS = ["true", "false", "True", "TRUE", "1", "yes", "", "0"]
METHODS = [
    "GET",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "HEAD",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "get",
    "",
]
REDACTIONS = [
    "body",
    "header",
    "headers[X-A], body",
    "header[",
    "header[]",
    "body" * 99,
    "everything",
]
RUN_IDS = ["wfr_", "wfr_a", "a", "wfr_" + "x" * 1_100, "wfr_é", "wfr_a/b", "wfr_\x00", "msg_1"]
MESSAGE_IDS = ["msg_", "msg_0000000001", "msg_0000000000", "msg_zzzzzzzzzzz", "msg_é", "1", "wfr_1"]
LETTER_IDS = ["1735689712000-0", "-", "0-0", "9" * 30 + "-0", "1-1-1", "a-b"]
CURSORS = ["0", "1", "5", "999999999999999999", "1000000000000000000", "-1", "a", "1735689712000-0"]
STATES = ["CREATED", "ACTIVE", "DELIVERED", "ERROR", "RUN_FAILED", "STEP_RETRY", "CANCELLED", "x"]
FEATURES = [
    "LazyFetch,InitialBody,WF_DetectTrigger,WF_TriggerOnConfig",
    "LazyFetch,InitialBody",
    "",
    "Unknown,,WF_NoDelete",
]
CALL_TYPES = ["step", "toCallback", "fromCallback", "failureCall", "x", ""]
CONTENT_TYPES = [
    *("application/json", "text/plain", "application/json; charset=utf-16", "multipart/form-data"),
    *("application/x-www-form-urlencoded", "application/octet-stream", "x", "", "a/b" * 500),
]

# Raw JSON, most of it not to be had from an encoder.
JSON_LEAVES = [
    *("null", "true", "0", "-1", "1.5", "1e999", "-1e999", "NaN", "Infinity", "-Infinity", '""'),
    *(
        '"\\u0000"',
        '"\\ud800"',
        '"\\udc00\\ud800"',
        '"\x00"',
        '"\\x"',
        "[]",
        "{}",
        "[[]]",
        '{"":0}',
    ),
    *("9" * 5_000, "-" + "9" * 5_000, "0." + "1" * 5_000, "1e-999", "01", "+1", ".5", "'a'", "1_0"),
    *(
        '{"a":1,"a":2}',
        "[" * 60 + "]" * 60,
        "[" * DEEP + "]" * DEEP,
        '{"a":' * DEEP + "1" + "}" * DEEP,
    ),
    *("9223372036854775808", "-9223372036854775809", "4294967296", '"' + "x" * 70_000 + '"', "tru"),
    *('"é"', '"\U0001f9e8"', '"http://a.test/"', '"a"', '["a","b"]', "[null]", '[[["a"]]]', "[1,]"),
]
