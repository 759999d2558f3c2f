"""What `python [-i] [FILE]` does with lines that somebody types: see `walk.py`.

python -m docs.typed '{"file": "shop.py", "lines": ["1 + 1"], "stay": false}'
"""

import code
import json
import runpy
import signal
import sys
from pathlib import Path
from typing import Any


def main(file: str | None, lines: list[str], *, stay: bool) -> None:
    """Run the file, type the lines, and with `stay` wait to be killed."""
    names: dict[str, Any] = {"__name__": "__main__"}
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    sys.path.insert(0, str(Path.cwd()))
    if file:
        sys.argv = [file]
        names = runpy.run_path(file, run_name="__main__")
    console = code.InteractiveConsole(names)
    for line in [*lines, ""]:
        console.push(line)
    if stay:
        signal.pause()


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
