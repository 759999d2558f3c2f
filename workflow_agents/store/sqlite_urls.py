"""Functions by which SQL looks into URLs."""

import sqlite3
from urllib.parse import urlsplit


def add_url_functions(db: sqlite3.Connection) -> None:
    """Let SQL look into URLs; again is harmless."""
    db.create_function("host_of", 1, _host_of, deterministic=True)
    db.create_function("path_of", 1, _path_of, deterministic=True)


def _host_of(url: str) -> str:
    return _parts(url)[0]


def _path_of(url: str) -> str:
    return _parts(url)[1]


def _parts(url: str) -> tuple[str, str]:
    try:
        found = urlsplit(url)
    except ValueError:  # brackets that hold no address
        return "", ""
    return found.netloc.lower(), found.path or "/"
