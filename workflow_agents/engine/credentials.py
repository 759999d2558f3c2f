"""What a server's peers know it by: its signing keys, and the tokens that it takes.

The keys lie sealed in the store, because they are needed again; of tokens only a hash does.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workflow_agents.errors import StoreError
from workflow_agents.protocol.signature import SigningKeys
from workflow_agents.store.changes import Change
from workflow_agents.store.message_changes import KeepSetting

if TYPE_CHECKING:
    from workflow_agents.engine.engine import DurableEngine

_KEYS = "signing_keys"
_RETIRED = "retired_signing_keys"
_MOST_RETIRED = 100
_TOKEN = "token"  # noqa: S105
_CURRENT, _NEXT = "signing-key-current", "signing-key-next"


class Credentials:
    """See the module."""

    def __init__(self, engine: "DurableEngine") -> None:
        self._engine = engine

    @property
    def keys(self) -> SigningKeys:
        """The keys that deliveries are signed with.

        Raises:
            StoreError: WA401, there are none.
        """
        if self._engine.wire.signing is None:
            raise StoreError("WA401", "the server has no signing keys")
        return self._engine.wire.signing

    @property
    def has_keys(self) -> bool:
        """Whether keys lie in the store."""
        return self._engine.store.messages.setting(_KEYS) is not None

    async def load_keys(self, given: SigningKeys | None = None) -> SigningKeys:
        """Sign with the given keys, else with those of the store, else with new ones.

        Given keys that were rotated since stay rotated: whoever gives them has not noticed.

        Raises:
            StoreError: WA401, they were sealed with another key; or the store fails.
        """
        keys = self._stored_keys() if given is None else self._as_rotated(given)
        if keys is None:
            keys = SigningKeys(new_signing_key(), new_signing_key())
            await self._keep_keys(keys)
        self._engine.wire.signing = keys
        return keys

    def _as_rotated(self, given: SigningKeys) -> SigningKeys:
        try:
            stored = self._stored_keys()
        except StoreError:  # sealed with a key that is lost: they are not needed
            return given
        was_rotated = _digest(given.current) in self._retired()
        return stored if stored and was_rotated else given

    async def rotate(self) -> SigningKeys:
        """The next key becomes the current one, and a new one the next. Durable on return."""
        keys = SigningKeys(self.keys.following, new_signing_key())
        retired = [*self._retired(), _digest(self.keys.current)][-_MOST_RETIRED:]
        await self._keep_keys(keys, retired)
        self._engine.wire.signing = keys
        return keys

    def _stored_keys(self) -> SigningKeys | None:
        stored = self._engine.store.messages.setting(_KEYS)
        if stored is None:
            return None
        opened = self._engine.sealer.open_headers(json.loads(stored))
        return SigningKeys(opened[_CURRENT], opened[_NEXT])

    def _retired(self) -> list[str]:
        """Hashes of the keys that were rotated out, the latest last."""
        stored = self._engine.store.messages.setting(_RETIRED)
        return [] if stored is None else json.loads(stored)

    async def _keep_keys(self, keys: SigningKeys, retired: Sequence[str] = ()) -> None:
        sealed = self._engine.sealer.seal_headers({_CURRENT: keys.current, _NEXT: keys.following})
        await self._keep({_KEYS: sealed, _RETIRED: [*retired]} if retired else {_KEYS: sealed})

    def token(self) -> tuple[str, bytes] | None:
        """The user and the hash of the token that was made for this store, if one was."""
        stored = self._engine.store.messages.setting(_TOKEN)
        if stored is None:
            return None
        data = json.loads(stored)
        return data["user"], bytes.fromhex(data["digest"])

    async def keep_token(self, user: str, digest: bytes) -> None:
        """Know the token again after a restart."""
        await self._keep({_TOKEN: {"user": user, "digest": digest.hex()}})

    async def _keep(self, settings: Mapping[str, Any]) -> None:
        ops = [KeepSetting(name, json.dumps(data)) for name, data in settings.items()]
        await self._engine.commits.store(Change(ops))


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def new_signing_key() -> str:
    """A key of 256 random bits."""
    return f"sig_{secrets.token_urlsafe(32)}"
