"""Single keys as commands, where standard input is a terminal; nothing at all where it is not."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Generator


@contextlib.contextmanager
def key_presses(pressed: Callable[[str], None]) -> Generator[bool]:
    """While it lasts, each key is told; yields whether there are any.

    The terminal echoes nothing meanwhile, and is left as it was found. Ctrl-C stays a signal.
    """
    if not is_keyboard():
        yield False
        return
    import termios
    import tty

    number, loop = sys.stdin.fileno(), asyncio.get_running_loop()
    try:
        before = termios.tcgetattr(number)
        tty.setcbreak(number)
    except termios.error:
        yield False
        return

    def read() -> None:
        data = os.read(number, 64)
        if not data:
            loop.remove_reader(number)
        text = data.decode("utf-8", "ignore")
        if not text.startswith("\x1b"):  # arrows and the like are no commands
            for key in text:
                pressed(key)

    loop.add_reader(number, read)
    try:
        yield True
    finally:
        loop.remove_reader(number)
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def is_keyboard() -> bool:
    """Whether a person can press keys: a background process may not read from its terminal."""
    try:
        return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError, AttributeError):
        return False
