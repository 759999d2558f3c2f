"""Replay seeds of remote runs: python -m tests.simulation.wire.runs SEED [SEED ...], or "A..B"."""

import sys

from tests.simulation.__main__ import main
from tests.simulation.wire.runs.seeds import RUNS

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], RUNS.play))
