"""The official packages are installed once; a site is started when a test first needs it."""

import asyncio
import fcntl
import hashlib
import subprocess
from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("tests.official.stories", "tests.official.site")

from tests.official.cohort import Outcomes, play_all  # noqa: E402
from tests.official.processes import JS  # noqa: E402
from tests.official.site import Site  # noqa: E402


def install_packages() -> None:
    """`npm ci`, if what is installed is not what the lock file says."""
    wanted = hashlib.sha256((JS / "package-lock.json").read_bytes()).hexdigest()
    stamp = JS / "node_modules" / ".installed"
    with (JS / ".installing").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return
        done = subprocess.run(
            ["npm", "ci", "--prefer-offline"], cwd=JS, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"npm ci failed:\n{done.stdout}\n{done.stderr}")
        stamp.write_text(wanted)


@pytest.fixture(scope="session")
def packages() -> None:
    """The npm packages of `js/`."""
    install_packages()


@pytest.fixture(scope="session")
def site(packages: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server and endpoint apps: for tests of clients, one by one, and scenarios, side by side."""
    site = Site(tmp_path_factory.mktemp("site"))
    yield site
    site.stop()


@pytest.fixture(scope="session")
def outcomes(site: Site, request: pytest.FixtureRequest) -> Outcomes:
    """What came of every scenario that was chosen."""
    chosen = [
        (item.callspec.params["scenario"], item.callspec.params["framework"])
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and "scenario" in getattr(getattr(item, "callspec", None), "params", {})
    ]
    return asyncio.run(play_all(site, chosen))
