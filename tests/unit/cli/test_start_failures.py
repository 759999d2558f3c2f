"""What keeps `dev` and `server` from starting: each is named, with its code and what to do."""

import os
import re
import socket
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.forks import SERVERS, Done, nursery
from tests.unit.cli.conftest import OURS
from workflow_agents.server.settings import DEV_TOKEN
from workflow_agents.store.owner import OwnerLock
from workflow_agents.store.sqlite import SqliteStore

ENVIRONMENT = {name: value for name, value in os.environ.items() if not OURS.match(name)}

Failing = Callable[..., Done]


@pytest.fixture
def failing(tmp_path: Path) -> Failing:
    """Runs a command that does not start; returns what it came to."""

    def run(*arguments: str, **environment: str) -> Done:
        done = nursery(*SERVERS).run(
            ["workflow_agents.cli", *arguments],
            cwd=tmp_path,
            env={**ENVIRONMENT, "PYTHONPATH": str(Path.cwd()), **environment},
        )
        assert "Traceback" not in done.stderr
        return done

    return run


def told(done: Done, code: str, *texts: str) -> None:
    """It ended with 1, and its error has five parts, the code and the texts."""
    assert done.returncode == 1, done.stdout
    assert re.search(rf"^{code}  \S", done.stderr, re.M), done.stderr
    for part in ("where", "found", "why", "fix"):
        assert f"  {part}" in done.stderr
    # A long path goes on in the next line.
    whole = re.sub(r"\n +", "", done.stderr)
    for text in texts:
        assert text in done.stderr or text in whole, done.stderr
    assert f"workflow-agents explain {code}" in done.stderr


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        yield holder.getsockname()[1]


def test_the_port_is_taken(failing: Failing, taken: int) -> None:
    done = failing("dev", "--port", str(taken))
    told(done, "WA123", f"port {taken} is taken", "use another: --port ")
    if Path("/proc").exists():
        assert f"(pid {os.getpid()})" in done.stderr


def test_the_port_of_the_app_is_taken(failing: Failing, taken: int, tmp_path: Path) -> None:
    (tmp_path / "flows.py").write_text("app = print\n")
    done = failing("dev", "flows.py", "--port", "0", "--app-port", str(taken))
    told(done, "WA123", "use another: --app-port ")


def test_another_process_has_the_store(failing: Failing, tmp_path: Path) -> None:
    lock = OwnerLock(str(tmp_path / "taken.db"))
    lock.acquire()
    done = failing("dev", "--port", "0", "--store", "taken.db")
    lock.release()
    told(done, "WA601", f"process {os.getpid()}")


def test_the_store_is_newer(failing: Failing, tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "new.db"))
    store.open()
    store.close()
    with sqlite3.connect(tmp_path / "new.db") as db:
        db.execute("PRAGMA user_version = 999")
    told(failing("server", "--port", "0", "--store", "new.db"), "WA604", "999")


def test_the_store_is_no_database(failing: Failing, tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("remember the milk\n" * 100)
    told(failing("dev", "--port", "0", "--store", "notes.db"), "WA605", "notes.db")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="nobody may write there, root too")
def test_the_folder_cannot_be_written(failing: Failing) -> None:
    told(failing("dev", "--port", "0", "--store", "/proc/self/task/dev.db"), "WA603", "/proc/self")


def test_the_folder_is_a_file(failing: Failing, tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("")
    told(failing("dev", "--port", "0", "--store", "folder/dev.db"), "WA603", "folder")


APPS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "no such module": ("", "flow.py", ("there is no module 'flow'", "found flows.py")),
    "no such attribute": (
        "import types\nshop = lambda: 0\nshop.router = 0\n",
        "flows:app",
        ("has no 'app'", "workflow-agents dev flows:shop"),
    ),
    "raises": (
        "\nprice = 1 / 0\n",
        "flows.py",
        ("raises ZeroDivisionError", "flows.py:2", "price = 1 / 0"),
    ),
    "imports what is not there": (
        "import no_such_package\n",
        "flows.py",
        ("raises ModuleNotFoundError", "flows.py:1"),
    ),
    "is no Python": ("def app(:\n", "flows.py", ("raises SyntaxError",)),
    "is no app": ("app = 5\n", "flows.py", ("flows:app is no app", "found int")),
}


@pytest.mark.parametrize("name", APPS)
def test_the_app_cannot_be_imported(failing: Failing, tmp_path: Path, name: str) -> None:
    code, target, texts = APPS[name]
    (tmp_path / "flows.py").write_text(code)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    told(failing("dev", target, "--port", "0", "--app-port", str(port)), "WA124", *texts)


def test_the_token_has_another_form(failing: Failing) -> None:
    done = failing("server", "--port", "0", QSTASH_TOKEN="my secret")
    told(done, "WA102", "QSTASH_TOKEN")
    assert "my secret" not in done.stderr


def test_everybody_knows_the_token(failing: Failing) -> None:
    told(failing("server", "--port", "0", QSTASH_TOKEN=DEV_TOKEN), "WA122")


def test_others_would_reach_it(failing: Failing) -> None:
    told(failing("dev", "--port", "0", "--host", "0.0.0.0"), "WA122")


@pytest.mark.parametrize(
    ("file", "texts"),
    [
        ("port = \n", ("workflow_agents.toml",)),
        ("prot = 8080\n", ("the key 'prot'", "did you mean 'port'?")),
        ('port = "8080"\n', ("expected a whole number, found '8080'", "port = 8080")),
        ("allow_networks = [1]\n", ("expected a list of texts",)),
    ],
)
def test_the_file_cannot_be_used(
    failing: Failing, tmp_path: Path, file: str, texts: tuple[str, ...]
) -> None:
    (tmp_path / "workflow_agents.toml").write_text(file)
    told(failing("dev"), "WA125", *texts)


def test_a_variable_cannot_be_used(failing: Failing) -> None:
    told(failing("dev", QSTASH_DEV_PORT="eight"), "WA102", "QSTASH_DEV_PORT")
    told(failing("dev", QSTASH_DEV="perhaps"), "WA102", "QSTASH_DEV")


def test_a_network_or_an_address_is_none(failing: Failing) -> None:
    told(failing("dev", "--port", "0", "--allow-network", "10.0.0"), "WA102", "10.0.0")
    told(failing("server", "--port", "0", "--host", "no.such.host.invalid"), "WA102")


def test_an_error_is_json_for_programs(failing: Failing, taken: int) -> None:
    import json

    done = failing("dev", "--port", str(taken), "--json")
    error: dict[str, Any] = json.loads(done.stderr)["error"]
    assert (error["code"], error["exitCode"]) == ("WA123", 1)
    assert error["fix"]
    assert done.stdout == ""
