"""The pieces that all HTML of this project is made of.

Self-contained: no script, no address, no image. Whatever comes from outside passes through
`text`, the one place that escapes. Colours work on light and dark pages: neutral ones are made of
the page's own text colour, the others have contrast on both.
"""

import html
import json
from collections.abc import Iterable, Sequence
from typing import Any

_SHOWN = 2_000

_COLOURS = {
    "ok": "#1f9d61",
    "wait": "#b7791f",
    "bad": "#d64550",
    "quiet": "#7d8590",
    "info": "#4184e4",
}

STYLE = """<style>
.wfa{font:13px/1.5 system-ui,sans-serif;max-width:64rem;overflow-x:auto}
.wfa.wfa table{border-collapse:collapse;width:100%;margin:.4em 0;table-layout:auto}
.wfa.wfa th,.wfa.wfa td{text-align:left;padding:.2em .8em .2em 0;vertical-align:top;
background:none;max-width:none;white-space:normal}
.wfa.wfa th{font-weight:600;opacity:.65;border-bottom:1px solid rgb(127 127 127/.35)}
.wfa.wfa td{border-bottom:1px solid rgb(127 127 127/.15)}
.wfa.wfa tr{background:none}
.wfa.wfa code,.wfa.wfa pre{font:12px/1.45 ui-monospace,monospace;background:none;
white-space:pre-wrap;overflow-wrap:anywhere;margin:0;padding:0;border:0;color:inherit}
.wfa.wfa .n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.wfa .one{white-space:nowrap}
.wfa .head{display:flex;gap:.7em;align-items:baseline;flex-wrap:wrap}
.wfa .quiet{opacity:.65}
.wfa .m{border-left:3px solid rgb(127 127 127/.35);padding:.1em 0 .1em .8em;margin:.45em 0}
.wfa details>summary{cursor:pointer}
</style>"""


def text(value: object, limit: int = _SHOWN) -> str:
    """Anything as escaped text, cut where it is long."""
    plain = value if isinstance(value, str) else _json(value)
    cut = plain if len(plain) <= limit else f"{plain[:limit]}… {len(plain) - limit:,} more"
    return html.escape(_printable(cut))


def code(value: object, limit: int = _SHOWN) -> str:
    """Data, in a fixed-width face."""
    return f"<code>{text(value, limit)}</code>" if value is not None else ""


def chip(label: object, colour: str = "quiet") -> str:
    """A small word with a colour and a dot, so that colour is not all that tells it."""
    return (
        f'<span style="color:{_COLOURS[colour]};white-space:nowrap;font-weight:600">'
        f"&#9679;&nbsp;{text(label)}</span>"
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: Iterable[int] = ()) -> str:
    """A table of cells that are HTML already; columns of `numbers` stand to the right."""
    right = set(numbers)

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(
            f'<{tag} class="n">{cell}</{tag}>' if i in right else f"<{tag}>{cell}</{tag}>"
            for i, cell in enumerate(row)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{cells('th', heads)}</tr></thead><tbody>{body}</tbody></table>"


def folded(summary: str, inner: str, *, is_open: bool = False) -> str:
    """Something that a click opens; `summary` and `inner` are HTML already."""
    return f"<details{' open' if is_open else ''}><summary>{summary}</summary>{inner}</details>"


def page(*parts: str) -> str:
    """The whole of a representation."""
    return f'<div class="wfa">{STYLE}{"".join(parts)}</div>'


def duration(ms: int | None) -> str:
    """A length of time as people say it: 41 ms, 1.2 s, 3 min 20 s, 2 d 4 h."""
    if ms is None:
        return ""
    if ms < 1_000:
        return f"{ms} ms"
    if ms < 60_000:
        return f"{ms / 1_000:.1f} s"
    units = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000))
    parts: list[str] = []
    for name, size in units:
        amount, ms = divmod(ms, size)
        if amount:
            parts.append(f"{amount} {name}")
    return " ".join(parts[:2])


def _json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, indent=None, default=repr)
    except (TypeError, ValueError):
        return repr(value)


def _printable(value: str) -> str:
    """Without control characters, which terminals obey and pages hide."""
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in value
    )


def plain(value: Any, limit: int = 80) -> str:
    """Anything on one line of plain text, for `__repr__` and terminals."""
    line = " ".join(_printable(value if isinstance(value, str) else _json(value)).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
