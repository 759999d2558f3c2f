"""What the site has besides the pages of docs/: `mkdocs.yml` names this file.

The nav's globs, the examples as pages, the reference of every public name, and the sources of the
pages beside them, for readers that are programs.
"""

import ast
import re
import shutil
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

DOCS = Path(__file__).parent
ROOT = DOCS.parent
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))

REFERENCE = {
    "engine": ("Engine and workflows", ("serve.serve", "serve.workflow", "serve.neutral", "core.")),
    "frameworks": ("Web frameworks", ("serve.many.", "serve.options.")),
    "context": ("Context", ("context.", "protocol.")),
    "client": ("Client and runs", ("client", "sync.client", "core.", "approvals")),
    "sync": ("Context without await", ("sync.context",)),
    "agents": ("Agents", ("agents.agent", "agents.tasks", "agents.workflow", "agents.")),
    "models": ("Models and messages", ("agents.models.", "agents.messages")),
    "middleware": ("Middleware", ("serve.middleware",)),
    "integrations": ("Other frameworks' agents, notebooks", ("integrations.", "notebook")),
    "exceptions": ("Exceptions", ("errors",)),
    "testing": ("For tests", ()),
}
"""Page -> its title, and the modules whose public names it has; the most exact wins."""

BESIDES = {
    "frameworks": (
        "serve.fastapi.Serve",
        "serve.starlette.Serve",
        "serve.asgi.Serve",
        "serve.flask.Serve",
        "serve.django.Serve",
        "serve.aws_lambda.Serve",
    ),
}
"""Names that are imported from elsewhere than `workflow_agents` itself."""

CORE_OF_ENGINE = {"Limits", "FlowControl"}


def on_config(config: MkDocsConfig) -> None:
    """Put pages in the place of the globs."""
    config.nav = expanded(config.nav, set(named(config.nav)))


def named(part: Any) -> Iterator[str]:
    """The paths that a part of the nav has, its globs too."""
    if isinstance(part, str):
        yield part
    else:
        for inner in part.values() if isinstance(part, dict) else part:
            yield from named(inner)


def expanded(part: Any, taken: set[str]) -> list[Any]:
    """A part of the nav, with the pages that its globs stand for."""
    if isinstance(part, str):
        return (
            [part] if "*" not in part else [p for p in paths() if fits(p, part) and p not in taken]
        )
    if isinstance(part, dict):
        return [{title: expanded(inner, taken) for title, inner in part.items()}]
    return [entry for inner in part for entry in expanded(inner, taken)]


def fits(path: str, pattern: str) -> bool:
    """Whether a glob means it: a `*` does not reach into folders."""
    return path.count("/") == pattern.count("/") and fnmatch(path, pattern)


def paths() -> list[str]:
    """Every page: those of docs/, and those that are made here."""
    written = [page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")]
    return sorted([*written, *(path for path, _ in made())])


def made() -> Iterator[tuple[str, str]]:
    """Path and text of each page that only the site has."""
    for example in EXAMPLES:
        yield f"examples/{example.stem}.md", example_page(example)
    for name, (title, _) in REFERENCE.items():
        objects = "\n".join(f"::: workflow_agents.{path}\n" for path in objects_of(name))
        yield f"reference/api_{name}.md", f"# {title}\n\n{objects}"


def example_page(example: Path) -> str:
    """A program, below what its docstring says of it."""
    code = example.read_text(encoding="utf-8")
    said = ast.get_docstring(ast.parse(code)) or ""
    title = example.stem[3:].replace("_", " ").capitalize()
    first = re.split(r"(?<=[.:])\n|\n\n", said, maxsplit=1)[0]
    return f"# {title}\n\n{first}\n\n```python title='examples/{example.name}'\n{code}```\n"


def objects_of(page: str) -> list[str]:
    """The public names of one page of the reference, below the package."""
    if page == "testing":
        return [f"testing.{name}" for name in testing_names()]
    own = [path for path in public_names() if page_of(path) == page]
    return [*own, *BESIDES.get(page, ())]


def public_names() -> list[str]:
    """Every public name with the module that it is defined in."""
    import workflow_agents

    room_of = vars(workflow_agents)["_ROOM_OF"] | {"serve": "serve.neutral"}
    return [f"{room_of.get(name, 'errors')}.{name}" for name in workflow_agents.__all__]


def testing_names() -> list[str]:
    """The public names for tests."""
    from workflow_agents import testing

    return sorted(testing.__all__, key=str.lower)


def page_of(path: str) -> str:
    """The page of the reference that has a public name."""
    if path.rpartition(".")[2] in CORE_OF_ENGINE:
        return "engine"
    fits = [
        (len(prefix), page)
        for page, (_, prefixes) in REFERENCE.items()
        for prefix in prefixes
        if path.startswith(prefix) and not (page == "engine" and prefix == "core.")
    ]
    return max(fits)[1]


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the pages that are made here."""
    for path, text in made():
        files.append(File.generated(config, path, content=text))


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead links to examples to their pages, and names of the API to what is said of them."""
    markdown = re.sub(r"\((?:\.\./)+(examples/\w+)\.py\)", r"(../\1.md)", markdown)
    if page.file.src_uri == "api.md":
        where = {path.rpartition(".")[2]: path for path in public_names()}
        where |= {name: f"testing.{name}" for name in testing_names()}
        markdown = re.sub(
            r"^\| `(\w+)` \|",
            lambda match: f"| [`{match[1]}`][workflow_agents.{where[match[1]]}] |",
            markdown,
            flags=re.M,
        )
    return markdown


def on_post_build(config: MkDocsConfig) -> None:
    """Put the sources beside the pages, for readers that are programs, and all in one file."""
    site = Path(config.site_dir)
    whole: list[str] = []
    for page in sorted(DOCS.rglob("*.md")):
        path = page.relative_to(DOCS)
        shutil.copyfile(page, site / path)
        if path.parts[0] != "decisions":
            whole.append(f"<!-- {path.as_posix()} -->\n\n{page.read_text(encoding='utf-8')}")
    (site / "llms-full.txt").write_text("\n".join(whole), encoding="utf-8")
