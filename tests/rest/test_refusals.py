"""Whatever is refused is refused with the status and the text that the documentation tells."""

from typing import Any

import pytest

from tests.official.endpoints import ENDPOINTS
from tests.rest.place import Place
from tests.rest.refusals import REFUSALS, Refusal
from workflow_agents.engine.queues import Queues
from workflow_agents.error_codes import CODES


@pytest.fixture(scope="module")
def names(place: Place, narrow: Place) -> dict[str, str]:
    """What the table speaks of."""
    url = f"{place.outside.url}/answer/refused/500"
    nothing_again = {"Upstash-Retries": "0"}
    place.done("POST", f"/v2/publish/{url}", b"x", nothing_again)
    [undelivered] = place.until(lambda: place.done("GET", f"/v2/dlq?url={url}")["messages"], len)
    runs = {}
    for name, status in (("failed", 500), ("running", 500), ("ended", 200)):
        target = f"{place.outside.url}/answer/{name}/{status}?-upstash-workflow-sdk-version=1"
        told = {"Upstash-Workflow-RunId": f"wfr_{name}", "Upstash-Workflow-Init": "true"}
        told |= nothing_again if name == "failed" else {}
        place.done("POST", f"/v2/publish/{target}", b"x", told)
        runs[name] = f"wfr_{name}"
    place.done("DELETE", f"/v2/workflows/runs/{runs['ended']}?cancel=false", b"1")
    failed = place.run(runs["failed"], "RUN_FAILED")["dlqId"]
    return {
        "url": url,
        "ended": runs["ended"],
        "running": runs["running"],
        "failed": failed,
        "undelivered": undelivered["dlqId"],
    }


def filled(value: Any, names: dict[str, str]) -> Any:
    """With the names in place of what stands for them."""
    if isinstance(value, str):
        for name, told in names.items():
            value = value.replace(f"{{{name}}}", told)
        return value
    if isinstance(value, list):
        return [filled(one, names) for one in value]
    if isinstance(value, dict):
        return {name: filled(one, names) for name, one in value.items()}
    return value


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
def test_it_is_refused(
    place: Place,
    narrow: Place,
    names: dict[str, str],
    refusal: Refusal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_queues: Queues) -> None:
        assert refusal.raised is not None
        raise refusal.raised

    if refusal.raised:
        monkeypatch.setattr(Queues, "all", fail)
    method, target = filled(refusal.asked, names).split(" ")
    headers, body = filled({**refusal.headers}, names), filled(refusal.body, names)
    asked = narrow if refusal.narrow else place
    asked.jump(60)
    for _ in range(refusal.times):
        answer = asked.ask(method, target, body, headers, token=refusal.token)
    assert (answer.status, answer.json["error"]) == (refusal.status, filled(refusal.error, names))
    assert answer.headers["content-type"] == "application/json"
    assert answer.json.get("code", "") == refusal.code
    assert {name: answer.headers.get(name.lower()) for name in refusal.says} == refusal.says
    assert not refusal.code or refusal.code in CODES


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: f"{e.method} {e.path}")
def test_every_endpoint_asks_for_a_token(place: Place, endpoint: Any) -> None:
    place.jump(60)
    for method in endpoint.method.replace("any", "POST").split(", "):
        answer = place.ask(method, endpoint.path, token=None)
        if "/hooks/" in endpoint.path:
            assert answer.status == 404, "third parties have no token"
        else:
            assert answer.status == 401, endpoint
            assert isinstance(answer.json["error"], str)


def test_each_row_has_a_test_of_its_own() -> None:
    names = [refusal.name for refusal in REFUSALS]
    assert len(names) == len({*names})
