"""What users are served is what the sources build."""

import hashlib
from pathlib import Path

import workflow_agents.dashboard

HERE = Path(workflow_agents.dashboard.__file__).parent
WEB, STATIC = HERE / "web", HERE / "static"


def test_static_holds_what_the_sources_build() -> None:
    told = dict(reversed(line.split("  ")) for line in (STATIC / "BUILT").read_text().splitlines())
    sources = [
        "build.mjs",
        "client.json",
        "package-lock.json",
        *(f"src/{p.name}" for p in (WEB / "src").iterdir()),
    ]
    served = [p.name for p in STATIC.iterdir() if p.name != "BUILT"]
    assert {*told} == {*sources, *served}, "run npm ci && npm run build in dashboard/web"
    for folder, names in ((WEB, sources), (STATIC, served)):
        for name in names:
            found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
            assert found == told[name], f"{name} has changed: run npm run build in dashboard/web"


def test_it_is_small_and_names_no_other_host() -> None:
    import gzip

    files = [STATIC / name for name in ("app.js", "style.css", "theme.js", "index.html")]
    assert sum(len(gzip.compress(file.read_bytes())) for file in files) < 60_000
    for file in files:
        for part in file.read_text(encoding="utf-8").split("http")[1:]:
            known = (
                "://www.w3.org/", "s://example.com/", "://localhost:8000/your-workflow", "%3A",
            )  # fmt: skip
            assert not part.startswith(("://", "s://")) or part.startswith(known), part[:60]


def test_what_other_pages_follow_a_run_with_is_tiny() -> None:
    import gzip

    assert len(gzip.compress((STATIC / "client.js").read_bytes())) <= 2_048
    types = (STATIC / "client.d.ts").read_text(encoding="utf-8")
    assert "export declare function watch(" in types
    assert "export declare const useWorkflow" in types
