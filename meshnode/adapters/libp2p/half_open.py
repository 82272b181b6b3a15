"""Connections whose peer has not said yet who it is: few, short, and one place is always free."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import trio

HALF_OPEN_MAX = 256
HANDSHAKE_BYTES_MAX = 64 * 1024  # one has about half a kilobyte; its parts may have 64 KiB


class HalfOpen:
    """A place for each connection in its handshake, until a deadline.

    When all are taken, the newcomer gets that of the oldest from the address that holds most: who
    opens thousands and says nothing displaces itself, and an honest handshake takes milliseconds.
    """

    def __init__(self, deadline_s: float, places_max: int = HALF_OPEN_MAX) -> None:
        self._deadline_s = deadline_s
        self._places_max = places_max
        self._places: dict[trio.CancelScope, str] = {}  # the oldest first
        self.displaced = 0
        self.timed_out = 0

    def __len__(self) -> int:
        return len(self._places)

    @contextmanager
    def place(self, ip: str) -> Iterator[trio.CancelScope]:
        """Shake hands in here; cancelled where it takes too long, or the place is needed."""
        if len(self._places) >= self._places_max:
            self._displace()
        scope = trio.CancelScope(deadline=trio.current_time() + self._deadline_s)
        self._places[scope] = ip
        try:
            with scope:
                yield scope
        finally:
            if self._places.pop(scope, None) is not None and scope.cancelled_caught:
                self.timed_out += 1

    def _displace(self) -> None:
        held = Counter(self._places.values())
        most = max(held.values())
        oldest = next(scope for scope, ip in self._places.items() if held[ip] == most)
        del self._places[oldest]
        oldest.cancel()
        self.displaced += 1


class HandshakeBytes:
    """A connection that gives no more bytes than a handshake has.

    The library reads whatever length a stranger announces, before it knows who that is.
    """

    def __init__(self, wire: Any) -> None:
        self.wire = wire
        self._left = HANDSHAKE_BYTES_MAX

    async def read(self, n: int | None = None) -> bytes:
        """At most `n` bytes, and never more than are left. Raises OSError when none are."""
        if self._left <= 0:
            raise OSError(f"a handshake of more than {HANDSHAKE_BYTES_MAX} bytes")
        data = bytes(await self.wire.read(min(n or self._left, self._left)))
        self._left -= len(data)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wire, name)
