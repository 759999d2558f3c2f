"""Which server the environment names: by itself, for a region, or one for development.

    QSTASH_URL, QSTASH_TOKEN                    that server
    QSTASH_REGION=eu-central-1                  EU_CENTRAL_1_QSTASH_URL, EU_CENTRAL_1_QSTASH_TOKEN
    QSTASH_DEV=true                             one on this machine, started if none answers

Pure: what is read is what is given. Source: protocol 8.5 and 9.
"""

from collections.abc import Mapping

from workflow_agents.core.bad_options import wrong_option
from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.dev_credentials import DEV_KEYS, DEV_PORT, DEV_TOKEN

URL, TOKEN = "QSTASH_URL", "QSTASH_TOKEN"
CURRENT_KEY, NEXT_KEY = "QSTASH_CURRENT_SIGNING_KEY", "QSTASH_NEXT_SIGNING_KEY"

_REGIONS = ("US_EAST_1", "EU_CENTRAL_1")


def dev_port(env: Mapping[str, str | None]) -> int | None:
    """The port of the server for development that QSTASH_DEV asks for; None: it asks for none.

    Raises:
        ConfigurationError: WA102, QSTASH_DEV or QSTASH_DEV_PORT cannot be used.
    """
    text = (env.get("QSTASH_DEV") or "").strip().lower()
    if text in {"", "0", "false"}:
        return None
    if text not in {"1", "true"}:
        raise wrong_option("QSTASH_DEV", "true or false", text)
    port = env.get("QSTASH_DEV_PORT") or str(DEV_PORT)
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= 65_535):
        raise wrong_option("QSTASH_DEV_PORT", "a port from 1 to 65535", port)
    return int(port)


def region_of(env: Mapping[str, str | None]) -> str | None:
    """The region that QSTASH_REGION names, as its variables begin; None: it names none.

    Raises:
        ConfigurationError: WA102, there is no such region.
    """
    given = env.get("QSTASH_REGION")
    if not given:
        return None
    region = given.strip().upper().replace("-", "_")
    if region not in _REGIONS:
        raise wrong_option("QSTASH_REGION", f"one of {', '.join(_REGIONS)}", given)
    return region


def server_variables(env: Mapping[str, str | None]) -> dict[str, str]:
    """The address, the token and the signing keys that count; those that are not set are absent.

    Raises:
        ConfigurationError: WA102, a variable cannot be used; WA106, a region has no token.
    """
    if (port := dev_port(env)) is not None:
        return {
            URL: f"http://127.0.0.1:{port}",
            TOKEN: DEV_TOKEN,
            CURRENT_KEY: DEV_KEYS.current,
            NEXT_KEY: DEV_KEYS.following,
        }
    region = region_of(env)
    prefix = "" if region is None else f"{region}_"
    if region is not None and not env.get(prefix + TOKEN):
        raise ConfigurationError(
            "WA106",
            where="QSTASH_REGION",
            found=f"the region {region}, and no {prefix}{TOKEN}",
            fix=(f"set {prefix}{TOKEN} and {prefix}{URL}", "unset QSTASH_REGION"),
        )
    found = {name: env.get(prefix + name) for name in (URL, TOKEN, CURRENT_KEY, NEXT_KEY)}
    return {name: value for name, value in found.items() if value}
