"""Replay seeds of messages: python -m tests.simulation.wire SEED [SEED ...], or "A..B"."""

import sys

from tests.simulation.__main__ import main
from tests.simulation.wire.seeds import MESSAGES

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], MESSAGES.play))
