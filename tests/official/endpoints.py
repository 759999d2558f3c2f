"""Every endpoint of the REST API, and which tests call it. The documentation has a page made of it.

A test is named by its file and, after "::", by what is in it: a test function, a story, or a check
of a JS script. `test_endpoints.py` sees that each of them exists.
"""

from dataclasses import dataclass

PUBLISHING = "js/clients/publishing.mjs"
MESSAGES = "js/clients/messages.mjs"
QUEUES = "js/clients/queues.mjs"
GROUPS = "js/clients/url_groups.mjs"
SCHEDULES = "js/clients/schedules.mjs"
LETTERS = "js/clients/dead_letters.mjs"
LOGS = "js/clients/logs.mjs"
FLOW = "js/clients/flow_control.mjs"
KEYS = "js/clients/keys.mjs"
SWEEPING = "js/clients/sweeping.mjs"
WORKFLOWS = "js/clients/workflow_client.mjs"
PYTHON = "test_py_clients.py"
REST = "test_rest.py"


@dataclass(frozen=True)
class Endpoint:
    """An endpoint: what it does, who calls it, and the tests of it."""

    method: str
    path: str
    does: str
    callers: str
    tests: tuple[str, ...]


def _table(*rows: tuple[str, str, str, str, tuple[str, ...]]) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(*row) for row in rows)


ENDPOINTS = _table(
    # Messages.
    ("POST", "/v2/publish/{destination}", "accepts a message for a URL or a URL group",
     "JS, PY, workflow SDKs",
     (f"{PUBLISHING}::publish: text, headers, query", f"{PUBLISHING}::publish: delay and notBefore",
      f"{PUBLISHING}::publish: callback", f"{PUBLISHING}::publish: timeout",
      f"{PUBLISHING}::publish: retries, retryDelay, failureCallback",
      f"{PUBLISHING}::publish: deduplication by id", f"{GROUPS}::publish to a group",
      f"{PYTHON}::test_publish_with_every_option",
      "stories/children.py::children_and_grandchildren",
      f"{REST}::test_configuration_in_the_query")),
    ("POST", "/v2/enqueue/{queue}/{destination}", "accepts a message for a queue", "JS, PY",
     (f"{QUEUES}::first in, first out", f"{QUEUES}::a failing message holds the others up",
      f"{GROUPS}::batch and queue to a group", f"{PYTHON}::test_enqueue")),
    ("POST", "/v2/batch", "accepts many messages at once", "JS, PY, workflow SDKs",
     (f"{PUBLISHING}::batch: to URLs and queues", f"{PUBLISHING}::batchJSON",
      f"{PYTHON}::test_batch", "stories/options.py::many_runs_in_one_request",
      f"{REST}::test_batch_is_all_or_nothing")),
    ("GET", "/v2/messages/{id}", "tells of a message that is still owed", "JS, PY",
     (f"{MESSAGES}::get", f"{MESSAGES}::get: unknown",
      f"{PYTHON}::test_publish_with_every_option")),
    ("DELETE", "/v2/messages/{id}", "cancels a message", "JS, PY",
     (f"{MESSAGES}::cancel: one", f"{PYTHON}::test_messages_are_cancelled")),
    ("DELETE", "/v2/messages", "cancels messages by ids, by filters, or all", "JS, PY",
     (f"{MESSAGES}::cancel: many by id", f"{MESSAGES}::cancel: by filters",
      f"{SWEEPING}::messages.cancel: all", f"{PYTHON}::test_messages_are_cancelled")),
    # Queues.
    ("POST", "/v2/queues", "creates or changes a queue", "JS, PY",
     (f"{QUEUES}::upsert, get, list, delete", f"{PYTHON}::test_queues")),
    ("GET", "/v2/queues", "lists the queues", "JS, PY",
     (f"{QUEUES}::upsert, get, list, delete", f"{PYTHON}::test_queues")),
    ("GET", "/v2/queues/{name}", "tells of a queue", "JS, PY",
     (f"{QUEUES}::upsert, get, list, delete", f"{PYTHON}::test_queues")),
    ("DELETE", "/v2/queues/{name}", "deletes a queue", "JS, PY",
     (f"{QUEUES}::upsert, get, list, delete", f"{PYTHON}::test_queues")),
    ("POST", "/v2/queues/{name}/pause", "holds a queue", "JS, PY",
     (f"{QUEUES}::pause and resume", f"{PYTHON}::test_queues")),
    ("POST", "/v2/queues/{name}/resume", "lets a queue go on", "JS, PY",
     (f"{QUEUES}::pause and resume", f"{PYTHON}::test_queues")),
    # Schedules.
    ("POST", "/v2/schedules/{destination}", "creates or replaces a schedule", "JS, PY",
     (f"{SCHEDULES}::create with every option, get, list, delete",
      f"{SCHEDULES}::create without an id; again with the same one",
      f"{SCHEDULES}::what is wrong is refused", f"{PYTHON}::test_schedules")),
    ("GET", "/v2/schedules", "lists the schedules", "JS, PY",
     (f"{SCHEDULES}::create with every option, get, list, delete", f"{PYTHON}::test_schedules")),
    ("GET", "/v2/schedules/{id}", "tells of a schedule", "JS, PY",
     (f"{SCHEDULES}::create with every option, get, list, delete", f"{PYTHON}::test_schedules")),
    ("DELETE", "/v2/schedules/{id}", "deletes a schedule", "JS, PY",
     (f"{SCHEDULES}::create with every option, get, list, delete", f"{PYTHON}::test_schedules")),
    ("PATCH, POST", "/v2/schedules/{id}/pause", "holds a schedule", "JS, PY; API",
     (f"{SCHEDULES}::pause and resume", f"{PYTHON}::test_schedules",
      f"{REST}::test_schedules_are_paused_by_post_too")),
    ("PATCH, POST", "/v2/schedules/{id}/resume", "lets a schedule go on", "JS, PY; API",
     (f"{SCHEDULES}::pause and resume", f"{PYTHON}::test_schedules",
      f"{REST}::test_schedules_are_paused_by_post_too")),
    # URL groups.
    ("POST", "/v2/topics/{name}/endpoints", "adds endpoints to a URL group", "JS, PY",
     (f"{GROUPS}::addEndpoints, get, list, removeEndpoints, delete", f"{PYTHON}::test_url_groups")),
    ("DELETE", "/v2/topics/{name}/endpoints", "takes endpoints out of a URL group", "JS, PY",
     (f"{GROUPS}::addEndpoints, get, list, removeEndpoints, delete", f"{PYTHON}::test_url_groups")),
    ("GET", "/v2/topics", "lists the URL groups", "JS, PY",
     (f"{GROUPS}::addEndpoints, get, list, removeEndpoints, delete", f"{PYTHON}::test_url_groups")),
    ("GET", "/v2/topics/{name}", "tells of a URL group", "JS, PY",
     (f"{GROUPS}::addEndpoints, get, list, removeEndpoints, delete", f"{PYTHON}::test_url_groups")),
    ("DELETE", "/v2/topics/{name}", "deletes a URL group", "JS, PY",
     (f"{GROUPS}::addEndpoints, get, list, removeEndpoints, delete", f"{PYTHON}::test_url_groups")),
    # Dead letters of messages.
    ("GET", "/v2/dlq", "lists dead letters of messages; of runs with source=workflow", "JS, PY",
     (f"{LETTERS}::listMessages", f"{LETTERS}::listMessages: pages", f"{LETTERS}::of a queue",
      f"{WORKFLOWS}::dlq.list", f"{PYTHON}::test_dead_letters")),
    ("GET", "/v2/dlq/{id}", "tells of a dead letter", "PY",
     (f"{PYTHON}::test_dead_letters", f"{LETTERS}::unknown")),
    ("DELETE", "/v2/dlq/{id}", "deletes a dead letter", "JS, PY",
     (f"{LETTERS}::delete", f"{PYTHON}::test_dead_letters")),
    ("DELETE", "/v2/dlq", "deletes dead letters by ids, by filters, or all", "JS, PY",
     (f"{LETTERS}::delete", f"{SWEEPING}::dlq.delete: all, in pages",
      f"{PYTHON}::test_dead_letters")),
    ("POST", "/v2/dlq/retry", "sends dead letters again", "JS",
     (f"{LETTERS}::retry", f"{SWEEPING}::dlq.retry: all")),
    ("POST", "/v2/dlq/retry/{id}", "sends a dead letter again", "API",
     (f"{REST}::test_one_dead_letter_is_retried",)),
    # Logs of messages.
    ("GET", "/v2/events", "lists what happened to messages", "JS, PY",
     (f"{LOGS}::the life of a message", f"{LOGS}::filters", f"{LOGS}::pages",
      f"{LOGS}::of a message that fails", f"{LOGS}::of a message that is cancelled",
      f"{PYTHON}::test_logs")),
    ("GET", "/v2/logs", "the same, under another name", "API",
     (f"{REST}::test_logs_have_two_names",)),
    # Workflows.
    ("POST", "/v2/trigger/{workflowUrl}", "starts a run", "API",
     ("stories/steps.py::triggered_over_rest",
      "stories/python_sdk.py::python_is_triggered_over_rest",
      f"{REST}::test_trigger_of_what_is_no_workflow", f"{REST}::test_trigger_by_an_unknown_sdk")),
    ("POST", "/v2/batch/trigger", "starts many runs", "API",
     (f"{REST}::test_many_are_triggered",)),
    ("GET", "/v2/workflows/runs/{id}", "gives the steps of a run", "workflow SDKs",
     ("stories/options.py::steps_as_an_endpoint_fetches_them",)),
    ("DELETE", "/v2/workflows/runs/{id}", "ends or cancels a run", "workflow SDKs, API",
     ("stories/failures.py::cancelled_over_rest", "stories/failures.py::cancels_itself",
      f"{REST}::test_a_run_is_ended_twice")),
    ("DELETE", "/v2/workflows/runs", "cancels runs by ids, by filters, or all", "JS",
     (f"{WORKFLOWS}::cancel: one, many, unknown", f"{WORKFLOWS}::cancel: by filters",
      f"{WORKFLOWS}::cancel: by URL", f"{SWEEPING}::workflow cancel: all",
      "stories/failures.py::cancelled_by_a_client")),
    ("GET", "/v2/workflows/events", "tells of runs; of what happened to them without groupBy", "JS",
     (f"{WORKFLOWS}::logs: filters and pages", f"{WORKFLOWS}::a run in progress, as a whole",
      f"{REST}::test_events_of_runs")),
    ("GET", "/v2/workflows/logs", "the same, under another name", "API",
     (f"{REST}::test_logs_of_runs_have_two_names",)),
    ("GET", "/v2/workflows/dlq", "lists failed runs", "API",
     (f"{REST}::test_failed_runs",)),
    ("GET", "/v2/workflows/dlq/{id}", "tells of a failed run", "API",
     (f"{REST}::test_failed_runs",)),
    ("DELETE", "/v2/workflows/dlq", "deletes failed runs by ids, by filters, or all", "JS",
     (f"{WORKFLOWS}::dlq.delete",)),
    ("DELETE", "/v2/workflows/dlq/{id}", "deletes a failed run", "API",
     (f"{REST}::test_failed_runs",)),
    ("POST", "/v2/workflows/dlq/resume", "goes on with failed runs where they failed", "JS",
     (f"{WORKFLOWS}::dlq.resume", "stories/failures.py::resumed_and_restarted")),
    ("POST", "/v2/workflows/dlq/resume/{id}", "the same for one", "API",
     (f"{REST}::test_a_failed_run_is_resumed_and_restarted",)),
    ("POST", "/v2/workflows/dlq/restart", "runs failed runs again from their start", "JS",
     (f"{WORKFLOWS}::dlq.restart", "stories/failures.py::resumed_and_restarted")),
    ("POST", "/v2/workflows/dlq/restart/{id}", "the same for one", "API",
     (f"{REST}::test_a_failed_run_is_resumed_and_restarted",)),
    ("POST", "/v2/workflows/dlq/callback/{id}", "calls a failure function again", "JS",
     (f"{WORKFLOWS}::dlq.retryFailureFunction",
      "stories/failures.py::failure_function_made_again", f"{REST}::test_failed_runs")),
    ("DELETE", "/v2/workflows/dlq/callback/{id}", "cancels a failure callback", "API",
     (f"{REST}::test_a_failure_callback_is_cancelled",)),
    # Events and webhooks.
    ("POST", "/v2/wait/{eventId}", "lets a run wait for an event", "workflow SDKs",
     ("stories/events.py::wait_until_notified", "stories/events.py::wait_in_vain")),
    ("POST", "/v2/notify/{eventId}", "wakes all that wait for an event", "JS, workflow SDKs",
     ("stories/events.py::one_notification_wakes_all", f"{WORKFLOWS}::notify, getWaiters",
      "stories/events.py::notify_from_a_run")),
    ("POST", "/v2/notify/{runId}/{eventId}", "wakes one run, now or later", "JS, workflow SDKs",
     ("stories/events.py::notified_before_it_waits", f"{WORKFLOWS}::notify: look-back",
      "stories/events.py::notified_by_run_while_it_waits")),
    ("GET", "/v2/waiters/{eventId}", "lists what waits for an event", "JS",
     (f"{WORKFLOWS}::notify, getWaiters", "stories/events.py::wait_until_notified")),
    ("any", "/v2/workflows/hooks/{userId}/{runId}/{eventId}", "receives a webhook", "third parties",
     ("stories/events.py::webhook_called_twice", "stories/events.py::webhook_of_no_run")),
    # Flow control.
    ("GET", "/v2/flowControl", "lists the flow control keys", "API",
     (f"{FLOW}::list", f"{REST}::test_flow_control_keys_under_both_spellings")),
    ("GET", "/v2/flowControl/{key}", "tells of a flow control key", "JS, PY",
     (f"{FLOW}::get", f"{FLOW}::parallelism", f"{PYTHON}::test_flow_control")),
    ("POST", "/v2/flowControl/{key}/pause", "holds a flow control key", "JS, PY",
     (f"{FLOW}::pause and resume", f"{PYTHON}::test_flow_control")),
    ("POST", "/v2/flowControl/{key}/resume", "lets a flow control key go on", "JS, PY",
     (f"{FLOW}::pause and resume", f"{PYTHON}::test_flow_control")),
    ("POST", "/v2/flowControl/{key}/pin", "sets limits that messages do not change", "JS, PY",
     (f"{FLOW}::pin and unpin", f"{PYTHON}::test_flow_control")),
    ("POST", "/v2/flowControl/{key}/unpin", "lets messages set the limits again", "JS, PY",
     (f"{FLOW}::pin and unpin", f"{PYTHON}::test_flow_control")),
    ("POST", "/v2/flowControl/{key}/resetRate", "begins a new period", "JS, PY",
     (f"{FLOW}::rate, and resetRate", f"{PYTHON}::test_flow_control")),
    ("GET", "/v2/globalParallelism", "tells how much goes on at once", "JS, PY",
     (f"{FLOW}::globalParallelism", f"{PYTHON}::test_flow_control")),
    # Keys.
    ("GET", "/v2/keys", "gives the signing keys", "PY",
     (f"{KEYS}::get", f"{KEYS}::receiver", f"{PYTHON}::test_keys_and_receiver")),
    ("POST", "/v2/keys/rotate", "makes the next signing key the current one", "PY",
     (f"{KEYS}::rotate", f"{PYTHON}::test_keys_and_receiver")),
)  # fmt: skip
"""In the order of the reference."""
