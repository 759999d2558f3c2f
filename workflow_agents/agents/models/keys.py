"""Keys of providers: as headers, checked, and told apart without being shown."""

import hashlib
from dataclasses import replace
from urllib.parse import quote, urlsplit

from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.secrets import Secret

Key = str | Secret
_BEARER = "Bearer "


def check(kind: str, name: object, key: Key | None, variable: str) -> None:
    """A model needs a name, and a key that is not empty.

    Raises:
        ConfigurationError: WA702.
    """
    if not isinstance(name, str) or not name:
        raise ConfigurationError("WA702", "a model needs a name", where=kind)
    if key == "":
        raise ConfigurationError(
            "WA702",
            "the api key is empty",
            where=f"{kind}({name!r})",
            why="it was probably read from an environment variable that is not set",
            fix=(f'api_key=Secret("{variable}")', 'api_key="none" for a server without keys'),
        )


def bearer(key: Key) -> Key:
    """The key as value of an `authorization` header."""
    if isinstance(key, str):
        return _BEARER + key
    return key if key.prefix else replace(key, prefix=_BEARER)


def provider_key(base_url: str, key: Key) -> str:
    """What all requests that share a rate limit have in common: "llm:api.openai.com:1f2e3d4c".

    Of a reference it is made of the name, of a literal key of the key; neither can be read
    from it.
    """
    text = f"env:{key.env}" if isinstance(key, Secret) else f"key:{key}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"llm:{urlsplit(base_url).netloc}:{digest}"


def agent_header(agent: str) -> str:
    """The name of an agent as value of a header."""
    return agent if agent.isascii() else quote(agent, safe=" ")
