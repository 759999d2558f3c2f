"""An endpoint as the server finds it: reached, a workflow, and of one mind about signatures.

It is asked with a version of the protocol that does not exist, so that no run begins: whoever
knows the protocol refuses that, behind the signature and before the workflow's code.
"""

from collections.abc import AsyncIterator
from secrets import token_hex
from typing import Any

from workflow_agents.certificates import tls
from workflow_agents.cli.checks.finding import Finding, fault, ok, skipped, warning
from workflow_agents.protocol.signature import SigningKeys, sign

_ANSWERS_S = 10.0
_VERSION = "doctor"
_BODY = b"{}"


async def check_endpoint(url: str, keys: SigningKeys | None, now_ms: int) -> AsyncIterator[Finding]:
    """Look at an endpoint.

    Args:
        url: of a workflow.
        keys: of the server; None: it did not tell them.
        now_ms: Unix milliseconds.
    """
    import aiohttp

    timeout = aiohttp.ClientTimeout(_ANSWERS_S)
    connector = aiohttp.TCPConnector(ssl=tls() if url.startswith("https") else True)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        try:
            unsigned = await _ask(session, url, None)
            signed = None
            if keys is not None:
                now_s = now_ms // 1000
                signature = sign(keys.current, _BODY, url=url, now_s=now_s, token_id=token_hex(8))
                signed = await _ask(session, url, signature)
        except aiohttp.ClientConnectorCertificateError as error:
            yield fault("endpoint", "WA306", f"{url}: {error.certificate_error}"[:200])
            return
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            told = f"{url} is not reached: {type(error).__name__}"
            fix = "start your app", "is the address, and UPSTASH_WORKFLOW_URL, the right one?"
            yield fault("endpoint", "WA301", told, *fix)
            return
    for finding in _judged(url, unsigned, signed):
        yield finding


def _judged(url: str, unsigned: tuple[int, str], signed: tuple[int, str] | None) -> list[Finding]:
    status, text = signed or unsigned
    if signed is not None and _is_refusal(signed):
        told = f"{url} refuses what the server signs, with {signed[0]}"
        fix = "workflow-agents keys show --reveal   # and set both where the endpoint runs"
        return [ok("endpoint", f"{url} answers"), fault("endpoint keys", "WA402", told, fix)]
    if not (_is_refusal(unsigned) and signed is None) and not _knows_protocol(status, text):
        told = f"{url} answers {status} to what a workflow refuses with 400"
        fix = "is a workflow served under this path?", "no login or redirect may stand before it"
        return [fault("endpoint", "WA301", told, *fix)]
    found = [ok("endpoint", f"{url} is a workflow")]
    if _is_refusal(unsigned):
        told = "unsigned requests are refused" if signed is None else "signatures are verified"
        found.append(ok("endpoint keys", told))
    else:
        told = f"{url} takes requests that nobody signed"
        fix = "set QSTASH_CURRENT_SIGNING_KEY and QSTASH_NEXT_SIGNING_KEY where it runs"
        found.append(warning("endpoint keys", "WA402", told, fix))
    if '"code"' in text or '"code"' in unsigned[1]:
        found.append(ok("checkpoints", "of this package: steps need no visit each"))
    else:
        found.append(skipped("checkpoints", "of another SDK: each step costs a visit"))
    return found


def _is_refusal(answer: tuple[int, str]) -> bool:
    return answer[0] in {401, 403} or "WA402" in answer[1] or "ignature" in answer[1]


def _knows_protocol(status: int, text: str) -> bool:
    return 400 <= status < 600 and status not in {404, 405} and _VERSION in text


async def _ask(session: Any, url: str, signature: str | None) -> tuple[int, str]:
    headers = {
        "content-type": "application/json",
        "upstash-workflow-sdk-version": _VERSION,
        "upstash-workflow-runid": "wfr_doctor",
        "upstash-workflow-init": "false",
    }
    if signature is not None:
        headers["upstash-signature"] = signature
    async with session.post(url, data=_BODY, headers=headers, allow_redirects=False) as answer:
        return answer.status, (await answer.text(errors="replace"))[:2_000]
