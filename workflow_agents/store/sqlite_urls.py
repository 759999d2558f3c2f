"""What SQL has to know of URLs."""

import json
import sqlite3
from urllib.parse import urlsplit


def add_url_fits(db: sqlite3.Connection) -> None:
    """Let SQL ask `url_fits(url, hosts, paths)`; again is harmless."""
    db.create_function("url_fits", 3, _url_fits, deterministic=True)


def _url_fits(url: str, hosts: str, paths: str) -> bool:
    """Whether a URL has one of the hosts and one of the paths; JSON lists, empty: any."""
    wanted_hosts, wanted_paths = json.loads(hosts), json.loads(paths)
    try:
        parts = urlsplit(url)
        found = {parts.netloc.lower(), parts.hostname or ""}
    except ValueError:
        return False
    if wanted_hosts and not found & {host.lower() for host in wanted_hosts}:
        return False
    return not wanted_paths or (parts.path or "/") in wanted_paths
