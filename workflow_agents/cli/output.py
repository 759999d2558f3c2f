"""What commands print: JSON for programs, tables for a terminal, plain lines for everything else.

The JSON has the names of the values' attributes and is stable. Colours only for a terminal, and
only if nobody minds (NO_COLOR).
"""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, cast

from workflow_agents import config

_WIDEST = 60
_COLOURS = {
    **dict.fromkeys(("success", "ok", "yes", "delivered"), "green"),
    **dict.fromkeys(("failed", "fault"), "red"),
    **dict.fromkeys(("retry", "waits", "warning"), "yellow"),
    **dict.fromkeys(("running",), "cyan"),
    **dict.fromkeys(("canceled", "paused", "no"), "dim"),
}


def is_terminal() -> bool:
    """Whether a person reads standard output."""
    return sys.stdout.isatty() and config.variable("TERM") != "dumb"


def is_coloured() -> bool:
    """Whether it may have colours."""
    return is_terminal() and not config.variable("NO_COLOR")


def line(text: str = "") -> None:
    """One line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def data_of(value: Any) -> Any:
    """A value as JSON data: attributes by name, bytes in base64."""
    if value is None or isinstance(value, str | int | float):
        return value
    import dataclasses

    from workflow_agents.core.logs import RunLog
    from workflow_agents.protocol.signature import SigningKeys

    if isinstance(value, SigningKeys):
        return {"current": value.current, "next": value.following}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        # `invoker` is a row of the store, and means nothing outside.
        hidden = {"invoker"} if isinstance(value, RunLog) else set[str]()
        names = (one.name for one in dataclasses.fields(value))
        return {name: data_of(getattr(value, name)) for name in names if name not in hidden}
    if isinstance(value, bytes):
        import base64

        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        given = cast("Mapping[Any, Any]", value)
        return {str(name): data_of(one) for name, one in given.items()}
    if isinstance(value, Sequence):
        return [data_of(one) for one in cast("Sequence[Any]", value)]
    return value


def show_json(value: Any) -> None:
    """A value as JSON."""
    line(json.dumps(data_of(value), ensure_ascii=False, indent=2, default=str))


def show_json_line(value: Any) -> None:
    """A value as one line of JSON, for streams of them."""
    line(json.dumps(data_of(value), ensure_ascii=False, default=str))


def show_done(label: str, name: str, what: str, *, as_json: bool) -> None:
    """That something was done to what has a name; `label`: what JSON calls the name."""
    if as_json:
        show_json({label: name, what: True})
    else:
        line(f"{what} {name}")


def show_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], nothing: str) -> None:
    """Rows under their columns; `nothing`: what is said where there are none."""
    if not rows:
        line(nothing)
        return
    texts = [[_text(cell) for cell in row] for row in rows]
    if not is_terminal():
        _plain([[name.upper() for name in columns], *texts])
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False)
    for name in columns:
        table.add_column(name, no_wrap=name == columns[0], overflow="fold")
    for row in texts:
        table.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in row))
    console().print(table)


def show_record(values: Mapping[str, Any]) -> None:
    """What one thing has, a line each; what says nothing is left out."""
    shown = {
        name: _text(value) for name, value in values.items() if value not in (None, "", (), {})
    }
    width = max(map(len, shown), default=0)
    for name, text in shown.items():
        label = f"{name:<{width}}"
        line(f"{styled('2', label)}  {coloured(text)}")


def console() -> Any:
    """A rich console on standard output."""
    from rich.console import Console

    return Console(highlight=False, no_color=not is_coloured())


def coloured(word: str) -> str:
    """A word that says how something stands, in its colour."""
    codes = {"green": "32", "red": "31", "yellow": "33", "cyan": "36", "dim": "2"}
    colour = _COLOURS.get(word)
    return word if colour is None else styled(codes[colour], word)


def styled(style: str, text: str) -> str:
    """Text in a style of ANSI, where colours are wanted."""
    return f"\x1b[{style}m{text}\x1b[0m" if is_coloured() else text


def _plain(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    for row in rows:
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)]
        line("  ".join(cells).rstrip())


def _text(value: Any) -> str:
    """One cell, on one line; what an endpoint said is data and moves no cursor."""
    if value is None or value == "" or value == ():
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        text = value
    elif isinstance(value, tuple | list):
        text = ", ".join(map(str, cast("Sequence[Any]", value)))
    else:
        text = json.dumps(data_of(value), ensure_ascii=False, default=str)
    return "".join(c if c.isprintable() else " " for c in text)


def short(value: Any, width: int = _WIDEST) -> str:
    """A value in a few words."""
    text = _text(value)
    return text if len(text) <= width else f"{text[: width - 1]}…"


def at(ms: int | None) -> str:
    """An instant as people read it: local time."""
    if not ms:
        return "-"
    from datetime import datetime

    return datetime.fromtimestamp(ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def took(ms: int | None) -> str:
    """A duration as people read it."""
    if ms is None:
        return ""
    from workflow_agents.protocol.times import format_duration

    return format_duration(
        ms if ms < 1_000 else ms // 100 * 100 if ms < 60_000 else ms // 1_000 * 1_000
    )


def state(name: str) -> str:
    """A state as people say it."""
    from workflow_agents.display import runs

    return runs.word(name)
