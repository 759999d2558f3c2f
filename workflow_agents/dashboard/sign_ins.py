"""How often somebody may fail to sign in. Pure: whoever asks says what time it is.

A token is long and random, so this is no defence that it needs; it keeps a log readable, and makes
tokens that somebody has chosen himself hard to guess. Addresses are those of connections: behind
a proxy that does not tell of its clients, all of them count as one.
"""

from collections import OrderedDict, deque

MOST = 5
"""So many failures of one address within `WINDOW_MS` are enough."""

WINDOW_MS = 60_000
_ADDRESSES = 10_000


class SignIns:
    """The failures of late, by address. Of few addresses: the one that failed longest ago goes."""

    def __init__(self) -> None:
        self._failed: OrderedDict[str, deque[int]] = OrderedDict()

    def wait_of(self, address: str, now: int) -> int:
        """Seconds until it may try again; 0: now.

        Args:
            address: of the client.
            now: Unix milliseconds.
        """
        failed = self._failed.get(address)
        if failed is None:
            return 0
        while failed and failed[0] <= now - WINDOW_MS:
            failed.popleft()
        if not failed:
            del self._failed[address]
        return 0 if len(failed) < MOST else -(-(failed[0] + WINDOW_MS - now) // 1000)

    def failed(self, address: str, now: int) -> None:
        """It has tried in vain."""
        self._failed.setdefault(address, deque(maxlen=MOST)).append(now)
        self._failed.move_to_end(address)
        if len(self._failed) > _ADDRESSES:
            self._failed.popitem(last=False)
