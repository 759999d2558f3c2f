"""A selection of runs or dead letters as query parameters. Source: protocol 6.4."""

from workflow_agents.core.selection import Selection


def selected(which: Selection, ids: str = "workflowRunIds") -> list[tuple[str, str]]:
    """Its parameters; `ids`: what its ids are called, "dlqIds" for those of dead letters."""
    named = {
        "workflowUrl": which.workflow or which.url_prefix,
        "workflowUrlExactMatch": "true" if which.workflow else None,
        "state": which.state,
        "failureFunctionState": which.failure_function_state,
        "label": which.label,
        "flowControlKey": which.flow_control_key,
        "callerIp": which.caller_ip,
        "host": which.host,
        "path": which.path,
        "responseStatus": which.response_status,
        "fromDate": which.since,
        "toDate": which.until,
    }
    return [(ids, one) for one in which.ids] + [
        (name, str(value)) for name, value in named.items() if value is not None
    ]
