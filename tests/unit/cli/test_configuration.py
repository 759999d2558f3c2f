"""What counts before what: a flag, the environment, a file, the default."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import clean_environment
from workflow_agents.cli.configuration import SETTINGS, Configuration, Found, masked
from workflow_agents.server.settings import DEV_TOKEN


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    clean_environment(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def configured(
    folder: Path, flags: dict[str, Any] | None = None, **environment: str
) -> Configuration:
    return Configuration(flags, environment, folder)


def test_a_flag_counts_before_a_variable_before_a_file_before_the_default(folder: Path) -> None:
    assert configured(folder).found("port") == Found(8080, "default")
    (folder / "workflow_agents.toml").write_text("port = 1\n")
    assert configured(folder).found("port") == Found(1, "file workflow_agents.toml")
    told = configured(folder, QSTASH_DEV_PORT="2")
    assert told.found("port") == Found(2, "environment QSTASH_DEV_PORT")
    told = configured(folder, {"port": 3}, QSTASH_DEV_PORT="2")
    assert told.found("port") == Found(3, "flag --port")


def test_the_nearest_file_counts(folder: Path) -> None:
    below = folder / "a" / "b"
    below.mkdir(parents=True)
    (folder / "pyproject.toml").write_text('[tool.workflow_agents]\napp = "shop:app"\n')
    (folder / "a" / "pyproject.toml").write_text("[tool.other]\nx = 1\n")
    assert configured(below).found("app") == Found("shop:app", "file pyproject.toml")
    (folder / "a" / "workflow_agents.toml").write_text('app = "near:app"\n')
    assert configured(below)["app"] == "near:app"


def test_the_server_is_the_one_for_development_where_nobody_names_one(folder: Path) -> None:
    told = configured(folder, QSTASH_DEV_PORT="8099")
    assert told["server"] == "http://127.0.0.1:8099"
    assert told["token"] == DEV_TOKEN
    elsewhere = configured(folder, QSTASH_URL="https://qstash.example.com")
    assert elsewhere["token"] is None


def test_a_region_and_a_server_for_development(folder: Path) -> None:
    told = configured(
        folder,
        QSTASH_REGION="eu-central-1",
        EU_CENTRAL_1_QSTASH_URL="https://eu.example.com",
        EU_CENTRAL_1_QSTASH_TOKEN="of-eu",
        QSTASH_TOKEN="of-nobody",
    )
    assert told.found("server") == Found("https://eu.example.com", "environment QSTASH_REGION")
    assert told["token"] == "of-eu"
    dev = configured(folder, QSTASH_DEV="true", QSTASH_URL="https://qstash.example.com")
    assert dev.found("server") == Found("http://127.0.0.1:8080", "environment QSTASH_DEV")


def test_what_is_shown(command, folder: Path, monkeypatch) -> None:
    monkeypatch.setenv("QSTASH_TOKEN", "a-very-secret-token-of-mine")
    (folder / "workflow_agents.toml").write_text('allow_networks = ["10.0.0.0/8"]\nrate = 5\n')
    shown = command("config", "show", "--json", "--server", "http://x.test")
    settings = shown.json["settings"]
    assert list(settings) == [setting.name for setting in SETTINGS]
    assert settings["server"] == {"value": "http://x.test", "source": "flag --server"}
    assert settings["token"]["value"] == masked("a-very-secret-token-of-mine")
    assert settings["rate"] == {"value": 5, "source": "file workflow_agents.toml"}
    assert shown.json["file"] == str(folder / "workflow_agents.toml")
    assert "a-very-secret-token" not in command("config", "show").out
    revealed = command("config", "show", "--reveal", "--json").json["settings"]
    assert revealed["token"]["value"] == "a-very-secret-token-of-mine"
