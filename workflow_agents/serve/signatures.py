"""Whether a request is signed: asked of what the user gave, or of the environment's keys.

What failed is in the log only; the answer says no more than that it did.
"""

import logging
from collections.abc import Mapping
from typing import Any

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.errors import WorkflowAgentsError
from workflow_agents.protocol.headers import Headers
from workflow_agents.protocol.signature import BadSignature, SigningKeys
from workflow_agents.qstash.environment import CURRENT_KEY, NEXT_KEY, server_variables
from workflow_agents.serve.endpoint import Request, Verify

logger = logging.getLogger(__name__)


def checked_receiver(receiver: Any) -> None:
    """Refuse what is no `qstash.Receiver`; False stands for none at all.

    Raises:
        ConfigurationError: WA102.
    """
    if receiver is None or receiver is False:
        return
    if not callable(getattr(receiver, "verify", None)):
        raise wrong_option("receiver", "a qstash.Receiver", receiver)


def by_receiver(receiver: Any, *, url: bool = True) -> Verify:
    """Ask a `qstash.Receiver`; with `url`, whether it was signed for this address too."""

    def verify(request: Request, now_s: int) -> None:
        keys = _keys_of(receiver)
        try:
            signature = _signature(request)
            address = request.url if url else None
            try:
                text = request.body.decode()
            except UnicodeDecodeError:
                if keys is None:
                    raise
                # A Receiver takes text only, and this is none.
                keys.verify(signature, request.body, now_s=now_s, url=address)
            else:
                receiver.verify(signature=signature, body=text, url=address)
        except Exception as error:
            raise _refused(request, error) from error

    return verify


def by_keys(keys: SigningKeys) -> Verify:
    """Compare with the two keys."""

    def verify(request: Request, now_s: int) -> None:
        try:
            keys.verify(_signature(request), request.body, now_s=now_s)
        except BadSignature as error:
            raise _refused(request, error) from error

    return verify


def keys_of(env: Mapping[str, str | None]) -> SigningKeys | None:
    """The keys that the environment names; None: not both are set. Source: protocol 8.3."""
    told = server_variables(env)
    current, following = told.get(CURRENT_KEY), told.get(NEXT_KEY)
    return SigningKeys(current, following) if current and following else None


def _keys_of(receiver: Any) -> SigningKeys | None:
    current = getattr(receiver, "_current_signing_key", None)
    following = getattr(receiver, "_next_signing_key", None)
    if isinstance(current, str) and isinstance(following, str):
        return SigningKeys(current, following)
    return None


def _signature(request: Request) -> str:
    signature = Headers(request.headers).get("upstash-signature")
    if not signature:
        raise BadSignature("the header is missing")
    return signature


def _refused(request: Request, error: Exception) -> WorkflowAgentsError:
    logger.warning("a request to %s was refused: %s", request.url, error)
    return WorkflowAgentsError("WA402")
