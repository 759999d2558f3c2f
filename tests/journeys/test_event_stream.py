"""Many read what happens, and some of them are frozen: nobody misses anything, memory is flat.

STREAM_READERS says how many there are, of which a tenth is frozen; the whole is seen with 1000.
"""

import asyncio
import json
import os
import resource
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.server.conftest import SETTINGS, Site, serving
from workflow_agents.protocol.history import EntryKind
from workflow_agents.server.events import PATH
from workflow_agents.server.settings import DEV_TOKEN
from workflow_agents.store.changes import Change, Entry

READERS = int(os.environ.get("STREAM_READERS", "50"))
FROZEN = READERS // 10
ENTRIES = 3_000
BATCH = 50
DATA = b'"' + b"x" * 300 + b'"'
SCRIPT = Path(__file__).with_name("stream_readers.py")
MOST_GROWTH = 24 * 2**20


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def happen(site: Site, count: int) -> None:
    for _ in range(0, count, BATCH):
        entries = [Entry(0, 0, EntryKind.NOTIFIED, name="e", data=DATA) for _ in range(BATCH)]
        await site.engine.commits.apply(Change((), entries))
        await asyncio.sleep(0.03)


@pytest.mark.timeout(300)
async def test_many_read_and_some_are_frozen(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = replace(SETTINGS, stream_seconds=2 + READERS / 50)
    async with serving(tmp_path / "server.db", settings) as site:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(SCRIPT), str(site.port), PATH, DEV_TOKEN,
            str(READERS), str(FROZEN), str(ENTRIES),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert (await process.stdout.readline()).strip() == b"ready"
            broadcast = site.engine.broadcast
            assert len(broadcast) == READERS
            await happen(site, ENTRIES // 3)
            before, reads = resident(), broadcast.reads
            await happen(site, ENTRIES - ENTRIES // 3)
            told = json.loads(await process.stdout.readline())
            growth = resident() - before
            async with asyncio.timeout(60):
                while len(broadcast):
                    await asyncio.sleep(0.05)
            process.stdin.close()
            assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        fetched = broadcast.reads - reads
        print(f"{READERS} readers, {FROZEN} of them frozen: {told}")
        print(f"memory grew by {growth / 2**20:.1f} MiB; the feed was read {fetched} times")
    alive = READERS - FROZEN
    cut = told.pop("cut")
    assert told == {"complete": alive, "gaps": 0, "resumed": -(-alive // 10), "different": 1}
    assert growth < MOST_GROWTH
    # A read for each gathering of commits, and one for each reader who came back or fell behind.
    assert fetched <= ENTRIES // BATCH * 2 + READERS * 2 + cut
    assert caplog.text.count("is frozen") == FROZEN + cut
