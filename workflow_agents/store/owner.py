"""One process at a time owns a SQLite store: a lock on a file beside it.

The lock is the operating system's, so it ends with the process, however that ends. The file
holds the owner's process id, for the message to the second one.
"""

import fcntl
import os

from workflow_agents.errors import StoreError


class OwnerLock:
    """The lock of one store."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = path + ".lock"
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            StoreError: WA601, if another process has it; WA603, if the file cannot be made.
        """
        try:
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(
                "WA603", where=self._file, found=f"it cannot be opened: {error.strerror}"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.read(descriptor, 64).decode(errors="replace").strip()
            os.close(descriptor)
            same = "this process" if owner == str(os.getpid()) else f"process {owner or 'unknown'}"
            raise StoreError(
                "WA601", where=self._path, found=f"it is owned by {same}, here is {os.getpid()}"
            ) from error
        except OSError as error:
            os.close(descriptor)
            raise StoreError(
                "WA603", where=self._file, found=f"it cannot be locked: {error.strerror}"
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
