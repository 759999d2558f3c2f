"""The notebooks execute from top to bottom, without a key or network."""

import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.forks import forked

ROOT = Path(__file__).parents[1]
MODULES = (
    "debugpy",
    "ipykernel.debugger",
    "ipykernel.ipkernel",
    "ipykernel.kernelapp",
    "workflow_agents.agents.workflow",
    "workflow_agents.engine.attempts",
    "workflow_agents.engine.exchange",
    "workflow_agents.notebook",
    "workflow_agents.serve.serve",
    "workflow_agents.testing.model_server",
)
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the packages that run notebooks
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_a_notebook_executes(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("OPENAI", "QSTASH"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    # A kernel as any other, but for what it has to import.
    manager = client.create_kernel_manager()
    manager.kernel_spec.argv[:-3] = [sys.executable, *forked(*MODULES)]
    client.execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)
def test_a_notebook_is_stored_without_outputs(path: Path) -> None:
    """Outputs are the reader's; stored ones change with every run and hide the change."""
    cells = nbformat.read(path, as_version=4).cells
    assert not any(cell.get("outputs") for cell in cells)
