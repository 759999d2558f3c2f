"""What holds for every request of the dashboard: who may reach it, and from which page.

Where it asks for no token it answers this machine only, and only under a name that stands for
this machine: a web page can let its own name do so, and would then be of the same origin.
"""

import ipaddress
from typing import Any

from starlette.requests import Request

from workflow_agents.dashboard.asking import Refused
from workflow_agents.server.auth import FOREIGN_PAGE, is_foreign_page
from workflow_agents.server.settings import LOOPBACK_NAMES, is_loopback

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
        " img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self';"
        " require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


def ensure_local(scope: Any) -> None:
    """Refuse what does not come from this machine, or asks for it under a foreign name.

    Raises:
        Refused: it does.
    """
    headers = {name.decode("latin-1"): v.decode("latin-1") for name, v in scope["headers"]}
    client = scope.get("client")
    if client is None or not is_loopback(client[0]) or any(n in headers for n in _FORWARDED):
        raise Refused(403, "the dashboard answers this machine only, unless it is given a token")
    if not _is_own_name(headers.get("host", "")):
        raise Refused(421, "the dashboard is not known under that name")


def _is_own_name(host: str) -> bool:
    name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    name = name.lower().rstrip(".")
    if name in LOOPBACK_NAMES or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def ensure_own_page(request: Request) -> None:
    """Refuse a change that another site's page asks for.

    JSON as content type cannot be sent across origins without being asked for first; what a
    browser says of the origin is looked at besides.

    Raises:
        Refused: it is one.
    """
    if is_foreign_page(request.method, request.headers):
        raise Refused(403, FOREIGN_PAGE)
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Refused(415, "expected application/json")
