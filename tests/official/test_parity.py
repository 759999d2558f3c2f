"""The table beside the JavaScript SDK has all that its package declares, and nothing else."""

from pathlib import Path

import pytest

from docs.parity import ROWS
from tests.official.processes import JS
from tests.official.surface import members, surface


def test_the_table_has_all_that_the_package_offers(packages: None) -> None:
    offered = surface(JS / "node_modules" / "@upstash" / "workflow")
    listed = {row.theirs for row in ROWS}
    assert offered - listed == set(), "the table lacks these"
    assert listed - offered == set(), "the package does not offer these any more"


DECLARED = """
declare class Client {
    private client;
    constructor(config: { token: string; });
    notify({ eventId }: { eventId: string; data?: unknown; }): Promise<{ woken: number; }>;
    get dlq(): DLQ;
}
type DebugEvent = "onError" | "onInfo";
type CallSettings = { url: string; flowControl?: { key: string; }; };
interface WaitEventOptions {
    timeout?: number;
}
type After = { never: string; };
type LazyInvokeStepParams<T> = { workflow: T; } & Pick<CallSettings, "url">;
"""


@pytest.mark.parametrize(
    ("declaration", "names"),
    [
        ("Client", {"notify", "notify.eventId", "notify.data", "notify.woken", "dlq"}),
        ("DebugEvent", {"onError", "onInfo"}),
        ("CallSettings", {"url", "flowControl"}),
        ("WaitEventOptions", {"timeout"}),
        ("LazyInvokeStepParams", {"workflow", "url"}),
        ("Unknown", set()),
    ],
)
def test_members_are_read(declaration: str, names: set[str], tmp_path: Path) -> None:
    assert {*members(DECLARED, declaration)} == {f"{declaration}.{name}" for name in names}
