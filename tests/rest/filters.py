"""What lists are asked for: the rows of a table that the documentation shows.

`test_filters.py` asks each list for what one entry has, which finds it, and for something else,
which does not. In the values, `{label}` and such are what the entry has.
"""

from dataclasses import dataclass

MEANS = {
    "callerIp": "where it was published from; `callerIP` is the same",
    "dlqIds": "ids of dead letters",
    "failureFunctionState": "`CALLBACK_INPROGRESS`, `_SUCCESS`, `_FAIL` or `_CANCELED`",
    "flowControlKey": "its key of flow control",
    "fromDate": "Unix milliseconds, included",
    "host": "of its address, with or without the port",
    "label": "one of its labels",
    "messageId": "its id",
    "messageIds": "the same",
    "path": "of its address",
    "queueName": "its queue",
    "responseStatus": "of the last answer",
    "scheduleId": "the schedule that made it",
    "state": "what happened to it",
    "toDate": "Unix milliseconds, included",
    "topicName": "its URL group",
    "url": "its whole address",
    "workflowCreatedAt": "when the run was begun, in Unix milliseconds",
    "workflowRunId": "ids of runs",
    "workflowRuns": "`ID@CREATED_AT`, joined by commas; counts before all others",
    "workflowUrl": "the whole address of the workflow",
}

OF_ALL = {
    "label": ("{label}", "other"),
    "flowControlKey": ("{flowControlKey}", "other"),
    "callerIp": ("127.0.0.1", "10.0.0.1"),
    "fromDate": ("{before}", "{after}"),
    "toDate": ("{after}", "{before}"),
    "host": ("127.0.0.1", "a.test"),
    "path": ("{path}", "/other"),
}
OF_MESSAGES = {
    "messageIds": ("msg_0000000zzz,{messageId}", "msg_0000000zzz"),
    "url": ("{url}", "{url}x"),
    "topicName": ("{topicName}", "other"),
    "queueName": ("{queueName}", "other"),
    "scheduleId": ("{scheduleId}", "other"),
}
OF_RUNS = {
    "workflowRunId": ("wfr_other,{workflowRunId}", "wfr_other"),
    "workflowUrl": ("{workflowUrl}", "{workflowUrl_begin}"),
    "workflowCreatedAt": ("{workflowCreatedAt}", "1"),
}
OF_LETTERS = {"dlqIds": ("{dlqId}", "1-1"), "responseStatus": ("500", "404")}

LISTS = {
    "GET /v2/logs": {
        **OF_MESSAGES,
        **OF_ALL,
        "messageId": ("{messageId}", "msg_0000000zzz"),
        "state": ("FAILED", "DELIVERED"),
    },
    "GET /v2/dlq": {**OF_MESSAGES, **OF_ALL, **OF_LETTERS},
    "DELETE /v2/messages": {**OF_MESSAGES, **OF_ALL},
    "GET /v2/workflows/logs": {
        **OF_RUNS,
        **OF_ALL,
        "state": ("RUN_FAILED", "RUN_SUCCESS"),
        "workflowRuns": ("{workflowRunId}@{workflowCreatedAt}", "wfr_other@1"),
    },
    "GET /v2/workflows/dlq": {
        **OF_RUNS,
        **OF_ALL,
        **OF_LETTERS,
        "failureFunctionState": ("CALLBACK_SUCCESS", "CALLBACK_FAIL"),
    },
}
"""By list: each filter with a value that finds the entry, and one that does not."""


@dataclass(frozen=True)
class Filter:
    """A row."""

    asked: str
    name: str
    finds: str
    misses: str

    @property
    def means(self) -> str:
        return MEANS[self.name]


FILTERS = tuple(
    Filter(asked, name, *values)
    for asked, filters in LISTS.items()
    for name, values in sorted(filters.items())
)
