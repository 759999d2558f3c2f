"""No forged signature passes, whoever looks at it; and keys change while requests are under way."""

import pytest

from tests.unit.protocol.forgeries import (
    BODY,
    FORGERIES,
    KEY,
    NEXT,
    NOW,
    PASS,
    STRANGERS,
    URL,
    Given,
)
from workflow_agents.errors import WorkflowAgentsError
from workflow_agents.protocol.signature import BadSignature, SigningKeys, sign
from workflow_agents.serve.endpoint import Request
from workflow_agents.serve.signatures import by_keys

KEYS = SigningKeys(KEY, NEXT)


@pytest.mark.parametrize("given", FORGERIES.values(), ids=FORGERIES)
def test_no_forgery_passes(given: Given) -> None:
    for keys in (KEYS, SigningKeys(NEXT, KEY), SigningKeys(KEY, "")):
        with pytest.raises(BadSignature):
            keys.verify(given.token, given.body, now_s=given.now_s, url=given.url)


@pytest.mark.parametrize("given", PASS.values(), ids=PASS)
def test_what_is_signed_passes(given: Given) -> None:
    KEYS.verify(given.token, given.body, now_s=given.now_s, url=given.url)


def test_an_endpoint_refuses_every_forgery_with_the_same_error() -> None:
    """It does not know under which address it was called: what is in front of it may change it."""
    for name, given in FORGERIES.items():
        if given.url != URL:
            continue
        request = Request(URL, [("Upstash-Signature", given.token)], given.body)
        with pytest.raises(WorkflowAgentsError) as refused:
            by_keys(KEYS)(request, given.now_s)
        assert refused.value.code == "WA402", name


def test_keys_change_while_requests_are_under_way() -> None:
    """Old only, both, new only: what was sent before a change is taken after it."""
    first, second, third = KEY, NEXT, STRANGERS
    server = [SigningKeys(first, second), SigningKeys(second, third)]
    before, after = (sign(k.current, BODY, url=URL, now_s=NOW, token_id="1") for k in server)
    for endpoint in server:  # it learns of new keys some time after the server has changed them
        endpoint.verify(after, BODY, now_s=NOW, url=URL)
    server[0].verify(before, BODY, now_s=NOW, url=URL)
    with pytest.raises(BadSignature):
        server[1].verify(before, BODY, now_s=NOW, url=URL)


def test_without_keys_nothing_passes() -> None:
    for token in (FORGERIES["the empty key"].token, PASS["as we sign"].token, ""):
        with pytest.raises(BadSignature):
            SigningKeys("", "").verify(token, BODY, now_s=NOW)
