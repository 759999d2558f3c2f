"""What the official JavaScript SDK offers, and what of ours does the same: the table of a page.

The table is `parity.txt`. A row is `theirs | ours | shown by`; the last may be left out where that
of its section holds. Ours is a name that `resolve` finds: "Engine", "RunLog.state" for a member,
"AsyncClient.notify(event_data)" for an argument or an option. A dash and a reason: it is not needed
here. A question mark and a reason: it is not there yet.
"""

import importlib
import inspect
import re
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("parity.txt")


@dataclass(frozen=True)
class Row:
    """One thing that users of the JavaScript SDK name.

    Attributes:
        theirs: as `tests/official/surface.py` reads it.
        ours: see the module.
        shown: the test or the page that shows it.
    """

    theirs: str
    ours: str
    shown: str

    @property
    def is_missing(self) -> bool:
        """It is not there yet."""
        return self.ours.startswith("?")

    @property
    def is_needless(self) -> bool:
        """It is not needed here, and the row says why."""
        return self.ours.startswith("- ")


def _sections() -> dict[str, list[Row]]:
    sections: dict[str, list[Row]] = {}
    rows, shown = list[Row](), ""
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        parts = [part.strip() for part in line.split("|")]
        if line.startswith("#"):
            rows, shown = sections.setdefault(parts[0].lstrip("# "), []), parts[1]
        elif line:
            theirs, ours, *own = parts
            rows.append(Row(theirs, ours, own[0] if own else shown))
    return sections


SECTIONS = _sections()
ROWS = tuple(row for rows in SECTIONS.values() for row in rows)


def resolve(ours: str) -> object:
    """What a row names.

    Raises:
        LookupError: there is no such thing.
    """
    name, _, option = ours.removesuffix(")").partition("(")
    found: Any = importlib.import_module("workflow_agents")
    parts = name.split(".")
    for at, part in enumerate(parts):
        found = _member(found, part, ".".join(["workflow_agents", *parts[: at + 1]]))
    if option and option not in _options(found):
        raise LookupError(f"{name} has no {option!r}")
    return found


def _member(owner: Any, name: str, path: str) -> Any:
    """What an owner calls by this name; of an instance's attribute only that it is documented."""
    if hasattr(owner, name):
        return getattr(owner, name)
    if inspect.isclass(owner):
        documented = re.search(rf"^    {name}: ", inspect.getdoc(owner) or "", re.M)
        if documented or name in getattr(owner, "__annotations__", {}):
            return None
    elif inspect.ismodule(owner):
        try:
            return importlib.import_module(path)
        except ModuleNotFoundError:
            pass
    raise LookupError(f"{path} is not there")


def _options(found: Any) -> set[str]:
    """The arguments of a function or class; those of its `**options: Unpack[...]`, too."""
    if typing.is_typeddict(found):
        return {*found.__optional_keys__, *found.__required_keys__}
    names: set[str] = set()
    for parameter in inspect.signature(found).parameters.values():
        names.add(parameter.name)
        if parameter.kind is parameter.VAR_KEYWORD:
            for given in typing.get_args(parameter.annotation):
                names |= {*getattr(given, "__optional_keys__", ())}
    return names


def parity_page(note: str) -> str:
    """The table, with what is missing first."""
    lines = [
        "# Beside the JavaScript SDK",
        "",
        note,
        "",
        "Everything that the type declarations of `@upstash/workflow` offer to users, and what of",
        "`workflow_agents` does the same. Names without a module come from",
        "`from workflow_agents import ...`; what `AsyncClient` and `AsyncWorkflowContext` have,",
        "`Client` and `WorkflowContext` have too. A test reads their declarations, and resolves",
        "our names.",
        "",
    ]
    missing = [row for row in ROWS if row.is_missing]
    if missing:
        lines += ["Not there yet:", ""]
        lines += [f"- `{row.theirs}`: {row.ours[1:].strip()}" for row in missing]
        lines.append("")
    for title, rows in SECTIONS.items():
        lines += [f"## {title}", "", "| theirs | ours | shown by |", "| --- | --- | --- |"]
        lines += [f"| `{row.theirs}` | {' | '.join(_cells(row))} |" for row in rows]
        lines.append("")
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, str]:
    if row.is_missing or row.is_needless:
        return row.ours[1:].strip(), "-"
    # Pages are linked; the site has no tests to link to.
    if row.shown.startswith("docs/"):
        name = row.shown.rpartition("/")[2]
        return f"`{row.ours}`", f"[{name}]({row.shown.removeprefix('docs/')})"
    return f"`{row.ours}`", f"`{row.shown}`"
