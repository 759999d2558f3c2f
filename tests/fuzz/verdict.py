"""What every answer has to be, whatever was asked."""

import json
import re
from typing import NoReturn

from tests.fuzz.world import Asked, Reply
from workflow_agents.server.settings import DEV_TOKEN

SECONDS = 5.0
"""Longer than this, and it hangs. Other processes share the machine: usual are milliseconds."""


def faults(asked: Asked, reply: Reply, seconds: float) -> list[str]:
    """What is wrong with an answer; [] if nothing is."""
    found: list[str] = []
    if seconds > SECONDS:
        found.append(f"it took {seconds:.1f} s")
    if not reply.status:
        return found if asked.breaks_off else [*found, "there is no answer"]
    if not 200 <= reply.status < 500:
        found.append(f"status {reply.status}")
    for name, value in reply.headers:
        if set(name + value) & set(b"\r\n\x00"):
            found.append(f"header {name!r} is more than one")
    if b"Traceback" in reply.body or b'File "' in reply.body:
        found.append("it shows a traceback")
    if reply.status >= 400 and DEV_TOKEN.encode() in reply.body:
        found.append("it shows a token")
    # The dashboard answers with pages, whose own tests look at what they are.
    if asked.method != "HEAD" and not asked.target.startswith(b"/ui"):
        shape = _OTHER_SHAPES.get(reply.header(b"content-type") or b"")
        if reply.status == 204:
            found += ["it has a body"] if reply.body else []
        elif shape is not None and reply.status == 200:
            found += [] if shape.fullmatch(reply.body) else [f"it is broken: {reply.body[:200]!r}"]
        else:
            found += _not_json(reply)
    return found


# What a few endpoints answer with when they do what they are asked for.
_OTHER_SHAPES = {
    b"application/x-ndjson": re.compile(rb"([\[{].*\n|\n)*"),
    b"text/event-stream; charset=utf-8": re.compile(rb"(((id|event|data)?: .*\n)+\n)*"),
    b"text/plain; version=0.0.4; charset=utf-8": re.compile(rb"((# .*|[a-z_]+(\{.*\})? \S+)\n)*"),
}


def _not_json(reply: Reply) -> list[str]:
    if reply.header(b"content-type") != b"application/json":
        return [f"it is {reply.header(b'content-type')!r}, not JSON"]
    try:
        told = json.loads(reply.body.decode(), parse_constant=_no_constant)
    except ValueError as error:
        return [f"it is no JSON: {error}"]
    refused = reply.status >= 300
    if refused and not (isinstance(told, dict) and isinstance(told.get("error"), str)):
        return ["it does not say what is wrong"]
    return []


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
