"""Header values that must not lie in the store in plain.

A `Secret` is stored as its name. A literal in a header that is known to carry credentials is
sealed with AES-GCM; the key is in WORKFLOW_AGENTS_KEY or, if that is not set, in a file of
mode 0600 beside the store, made when it is first needed.
"""

import base64
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from workflow_agents.core.checks import is_header_value
from workflow_agents.errors import ConfigurationError, StoreError
from workflow_agents.protocol.headers import is_sensitive

if TYPE_CHECKING:
    from workflow_agents.protocol.secrets import Secret

_KEY_BYTES = 32
_NONCE_BYTES = 12
_IN_ADDRESSES = str.maketrans("+/", "-_")
_OUT_OF_ADDRESSES = str.maketrans("-_", "+/")


class Sealer:
    """Seals and opens header values.

    Args:
        path: of the store; the key file lies beside it.
        environment: reads an environment variable.
    """

    def __init__(self, path: str, environment: Callable[[str], str | None]) -> None:
        self._path = path
        self._environment = environment
        self._key: bytes | None = None

    def seal_headers(
        self, headers: "Mapping[str, str | Secret | Mapping[str, str]]"
    ) -> dict[str, Any]:
        """Headers in the form in which they are stored; those in that form stay as they are."""
        from workflow_agents.protocol.secrets import Secret

        stored: dict[str, Any] = {}
        for name, value in headers.items():
            if isinstance(value, Mapping):
                stored[name] = value
            elif isinstance(value, Secret):
                stored[name] = {"env": value.env, "prefix": value.prefix}
            elif is_sensitive(name):
                stored[name] = {"sealed": self._seal(value)}
            else:
                stored[name] = value
        return stored

    def open_headers(self, stored: Mapping[str, Any]) -> dict[str, str]:
        """Headers in the form in which they are sent.

        Raises:
            ConfigurationError: WA109, a variable is not set.
            StoreError: WA401, sealed with another key.
        """
        return {name: self._open_value(name, value) for name, value in stored.items()}

    def seal(self, text: str) -> str:
        """A text that only this store can read, as it may stand in an address."""
        return self._seal(text).translate(_IN_ADDRESSES).rstrip("=")

    def open(self, sealed: str) -> str:
        """The reverse.

        Raises:
            StoreError: WA401, it was not sealed here, or was changed.
        """
        try:
            padded = sealed.translate(_OUT_OF_ADDRESSES) + "=" * (-len(sealed) % 4)
            return self._unseal("a sealed text", padded)
        except ValueError as error:
            raise StoreError("WA401", where="a sealed text") from error

    def _open_value(self, name: str, value: Any) -> str:
        if isinstance(value, str):
            return value
        if "env" in value:
            found = self._environment(value["env"])
            if not found:
                raise ConfigurationError(
                    "WA109", where=f"header {name!r}", found=f"{value['env']} is not set"
                )
            text = f"{value['prefix']}{found}"
            if not is_header_value(text):
                raise ConfigurationError(
                    "WA109",
                    "a secret cannot be sent in a header",
                    where=f"header {name!r}",
                    found=f"{value['env']} holds a line break or another control character",
                    why="files with secrets often end with a line break",
                    fix=(f"set {value['env']} without it",),
                )
            return text
        return self._unseal(name, value["sealed"])

    def _seal(self, value: str) -> str:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(self._load_key()).encrypt(nonce, value.encode(), None)
        return base64.b64encode(nonce + sealed).decode()

    def _unseal(self, name: str, sealed: str) -> str:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        raw = base64.b64decode(sealed)
        try:
            opened = AESGCM(self._load_key()).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None)
        except InvalidTag as error:
            raise StoreError("WA401", where=f"header {name!r}") from error
        return opened.decode()

    def _load_key(self) -> bytes:
        if self._key is None:
            given = self._environment("WORKFLOW_AGENTS_KEY")
            if given:
                self._key = base64.b64decode(given)
            elif self._path == ":memory:":
                self._key = os.urandom(_KEY_BYTES)
            else:
                self._key = self._key_file()
            if len(self._key) != _KEY_BYTES:
                raise ConfigurationError(
                    "WA102",
                    "the key has the wrong length",
                    where="WORKFLOW_AGENTS_KEY, or the key file of the store",
                    found=f"expected {_KEY_BYTES} bytes in base64, found {len(self._key)}",
                    fix=("python -c 'import os,base64; print(base64.b64encode(os.urandom(32)))'",),
                )
        return self._key

    def _key_file(self) -> bytes:
        path = f"{self._path}.key"
        if not os.path.exists(path):
            # Whole or not at all: a crash must not leave half a key.
            fresh = f"{path}.{os.getpid()}"
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(base64.b64encode(os.urandom(_KEY_BYTES)))
                file.flush()
                os.fsync(descriptor)
            os.replace(fresh, path)
        with open(path, "rb") as file:
            return base64.b64decode(file.read())
