"""What the commands are configured with, and where each value comes from.

The one place that knows what counts before what: a flag, then the environment, then a file, then
the default. The file is `workflow_agents.toml`, or `[tool.workflow_agents]` of `pyproject.toml`,
in this folder or in one above it: the nearest.

    # workflow_agents.toml
    server = "http://127.0.0.1:8080"
    app = "flows:app"
    allow_networks = ["10.0.0.0/8"]
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from workflow_agents import config
from workflow_agents.core.bad_options import wrong_option
from workflow_agents.errors import ConfigurationError
from workflow_agents.protocol.dev_credentials import DEV_PORT, DEV_TOKEN

FILE_NAME = "workflow_agents.toml"
_TABLE = "workflow_agents"


@dataclass(frozen=True, slots=True)
class Setting:
    """Something that can be configured.

    Attributes:
        name: its key in the file; as a flag with "-" in place of "_".
        kind: of its values: str, int, float or list (of texts).
        variable: of the environment; "": none.
        default: where nobody says anything.
        secret: is shown masked.
        what: for people.
    """

    name: str
    kind: type
    variable: str
    default: Any
    what: str
    secret: bool = False


SETTINGS = (
    Setting("server", str, "QSTASH_URL", None, "the server that commands ask"),
    Setting("token", str, "QSTASH_TOKEN", None, "the token of that server", secret=True),
    Setting("app", str, "", None, "the app that dev starts, as flows:app"),
    Setting("app_port", int, "", 8000, "where dev serves the app"),
    Setting("host", str, "", "127.0.0.1", "the address that a server listens on"),
    Setting("port", int, "QSTASH_DEV_PORT", DEV_PORT, "the port that a server listens on"),
    Setting("store", str, "WORKFLOW_AGENTS_STORE", None, "the file that runs are kept in"),
    Setting("allow_networks", list, "", (), "private networks that messages may go to"),
    Setting("allowed_hosts", list, "", (), "further names of a server"),
    Setting("rate", float, "", None, "requests a second that one token may make"),
    Setting("retention", str, "", None, "how long what has ended is kept, as 30d"),
    Setting("log_format", str, "", "text", "how a server logs: text or json"),
    Setting("log_level", str, "", "warning", "how much a server logs: debug, info, warning, error"),
    Setting("workflow_url", str, "UPSTASH_WORKFLOW_URL", None, "where workflows are served"),
)
_BY_NAME = {setting.name: setting for setting in SETTINGS}


@dataclass(frozen=True, slots=True)
class Found:
    """A value and where it comes from: a flag, a variable, a file, or "default"."""

    value: Any
    source: str


class Configuration:
    """Every setting, as it counts.

    Args:
        flags: of the command, those that were given; None counts as not given.
        environment: variables.
        folder: where the command was started.

    Raises:
        ConfigurationError: WA125, the file cannot be used; WA102, a variable cannot.
    """

    def __init__(
        self,
        flags: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self._flags = {n: v for n, v in (flags or {}).items() if v is not None and v != []}
        self._environment = config.environment() if environment is None else environment
        self.file = _file_in(folder or Path.cwd())
        self._kept = {} if self.file is None else _read(self.file)
        self._server = _of_server(self._environment)

    def __getitem__(self, name: str) -> Any:
        return self.found(name).value

    def found(self, name: str) -> Found:
        """A value and where it comes from."""
        setting = _BY_NAME[name]
        if name in self._flags:
            return Found(self._flags[name], f"flag --{name.replace('_', '-')}")
        if name in self._server:
            return self._server[name]
        if setting.variable and (text := self._environment.get(setting.variable)):
            return Found(_from_text(setting, text), f"environment {setting.variable}")
        if name in self._kept:
            return Found(self._kept[name], f"file {self.file.name if self.file else ''}")
        return Found(self._default(setting), "default")

    def _default(self, setting: Setting) -> Any:
        """The local server for development, and its token, where nobody names another."""
        if setting.name == "server":
            return f"http://127.0.0.1:{self['port']}"
        if setting.name == "token":
            from workflow_agents.server.settings import is_loopback

            return DEV_TOKEN if is_loopback(_host_of(self["server"])) else None
        return setting.default

    def every(self) -> dict[str, Found]:
        """All of them."""
        return {setting.name: self.found(setting.name) for setting in SETTINGS}


def _of_server(environment: Mapping[str, str]) -> dict[str, Found]:
    """What QSTASH_DEV and QSTASH_REGION say of the server: they name other variables."""
    from workflow_agents.qstash.environment import TOKEN, URL, dev_port, region_of, server_variables

    by = "QSTASH_DEV" if dev_port(environment) is not None else "QSTASH_REGION"
    if by == "QSTASH_REGION" and region_of(environment) is None:
        return {}
    told = server_variables(environment)
    named = {"server": told.get(URL), "token": told.get(TOKEN)}
    return {n: Found(value, f"environment {by}") for n, value in named.items() if value}


def _host_of(url: str) -> str:
    from urllib.parse import urlsplit

    return urlsplit(url).hostname or ""


def _file_in(folder: Path) -> Path | None:
    """The nearest file that configures something."""
    for place in (folder, *folder.parents):
        own, project = place / FILE_NAME, place / "pyproject.toml"
        if own.is_file():
            return own
        if project.is_file() and _table_of(project) is not None:
            return project
    return None


def _table_of(file: Path) -> dict[str, Any] | None:
    import tomllib

    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError("WA125", where=str(file), found=str(error)[:200]) from error
    if file.name == FILE_NAME:
        return data
    found: Any = data.get("tool", {}).get(_TABLE)
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def _read(file: Path) -> dict[str, Any]:
    table = _table_of(file) or {}
    return {name: _checked(file, name, value) for name, value in table.items()}


def _checked(file: Path, name: str, value: Any) -> Any:
    setting = _BY_NAME.get(name)
    if setting is None:
        near = difflib.get_close_matches(name, _BY_NAME, 1)
        raise ConfigurationError(
            "WA125",
            where=str(file),
            found=f"the key {name!r}; known are {', '.join(_BY_NAME)}",
            fix=(f"did you mean {near[0]!r}?",) if near else (),
        )
    kinds = (int, float) if setting.kind is float else (setting.kind,)
    fits = isinstance(value, kinds) and not isinstance(value, bool)
    if fits and setting.kind is list:
        fits = all(isinstance(one, str) for one in cast("list[Any]", value))
    if not fits:
        raise ConfigurationError(
            "WA125",
            where=f"{file}, {name}",
            found=f"expected {_KINDS[setting.kind]}, found {value!r}"[:200],
            fix=(f"{name} = {_EXAMPLES[setting.kind]}",),
        )
    return value


_KINDS = {str: "text", int: "a whole number", float: "a number", list: "a list of texts"}
_EXAMPLES = {str: '"..."', int: "8080", float: "100.0", list: '["10.0.0.0/8"]'}


def _from_text(setting: Setting, text: str) -> Any:
    if setting.kind is int:
        if not (text.isascii() and text.isdigit()):
            raise wrong_option(setting.variable, "a whole number", text)
        return int(text)
    return text


def masked(value: str) -> str:
    """A secret as it may be shown: enough to tell two apart."""
    return f"{value[:6]}…{value[-4:]}" if len(value) > 20 else "…"
