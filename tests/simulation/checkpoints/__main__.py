"""Replay seeds of runs with checkpoints: python -m tests.simulation.checkpoints SEED, or "A..B"."""

import sys

from tests.simulation.__main__ import main
from tests.simulation.checkpoints.seeds import CHECKPOINTS

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], CHECKPOINTS.play))
