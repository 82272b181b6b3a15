"""Bytes on their way between two nodes: one direction of a connection in memory.

What a kernel and a network do for a TCP connection, in virtual time: bytes arrive in order, after
the link's delay, and not while it is closed. No task of its own: who reads sets the alarm.
"""

from collections import deque

import trio

from simulations.links import Links

UNDER_WAY_BYTES_MAX = 256 * 1024  # sent and not read yet; then who writes waits

END = b""  # what arrives last when the sender closes
RESET = None  # what arrives last when the sender dies


class Pipe:
    """One direction, from `sender` to `receiver` (peer ids); one task reads at a time."""

    def __init__(self, links: Links, sender: str, receiver: str) -> None:
        self._links = links
        self._sender = sender
        self._receiver = receiver
        self._under_way: deque[tuple[float, bytes | None]] = deque()  # with the time of arrival
        self._bytes = 0
        self._last_due = 0.0
        self._is_ended = False  # nothing more is sent
        self._is_abandoned = False  # nobody reads what is sent
        self._reader: trio.CancelScope | None = None
        self._writers = trio.lowlevel.ParkingLot()

    # --- the sender's end -------------------------------------------------------------------

    async def write(self, data: bytes) -> None:
        """Send; waits while too much is under way. Raises ClosedResourceError after an end."""
        while self._bytes >= UNDER_WAY_BYTES_MAX and not (self._is_ended or self._is_abandoned):
            await self._writers.park()
        if self._is_ended:
            raise trio.ClosedResourceError("we have closed this connection")
        # To a receiver who has closed, as to one that we cannot reach: it leads nowhere, and only
        # what comes the other way tells so.
        if data and not self._is_abandoned:
            self._bytes += len(data)
            self._put(data)

    def end(self, last: bytes | None = END) -> None:
        """Send nothing more: END after what is under way, or RESET as the kernel of the dead."""
        if not self._is_ended:
            self._is_ended = True
            self._put(last)
            self._writers.unpark_all()

    def _put(self, data: bytes | None) -> None:
        arrives_at = trio.current_time() + self._links.delay_s(self._sender, self._receiver)
        self._last_due = max(self._last_due, arrives_at)  # no overtaking
        self._under_way.append((self._last_due, data))
        if self._reader is not None and len(self._under_way) == 1:
            self._reader.deadline = self._last_due

    # --- the receiver's end -----------------------------------------------------------------

    async def read(self, bytes_max: int) -> bytes:
        """What has arrived, at least one byte; `b""` at the end.

        Raises BrokenResourceError after a reset, ClosedResourceError after `abandon`.
        """
        while not self._has_arrived():
            if self._is_abandoned:
                raise trio.ClosedResourceError("we have closed this connection")
            await self._wait_arrival()
        return self._take(bytes_max)

    def abandon(self) -> None:
        """Read nothing more; who is reading stops, who waits to write goes on."""
        self._is_abandoned = True
        self._under_way.clear()
        self._bytes = 0
        self._writers.unpark_all()
        if self._reader is not None:
            self._reader.cancel()

    def _has_arrived(self) -> bool:
        return (
            bool(self._under_way)
            and self._under_way[0][0] <= trio.current_time()
            and self._links.is_open(self._sender, self._receiver)
        )

    async def _wait_arrival(self) -> None:
        assert self._reader is None, "one task reads a connection at a time"
        due = self._under_way[0][0] if self._under_way else float("inf")
        is_held = due <= trio.current_time()
        # The alarm is this scope's deadline, which the sender moves: one wake-up a chunk.
        self._reader = trio.CancelScope(deadline=float("inf") if is_held else due)
        try:
            with self._reader:
                if is_held:
                    await self._links.wait_open(self._sender, self._receiver)
                else:
                    await trio.sleep_forever()
        finally:
            self._reader = None

    def _take(self, bytes_max: int) -> bytes:
        now = trio.current_time()
        parts: list[bytes] = []
        room = bytes_max
        while room and self._under_way:
            due, data = self._under_way[0]
            if due > now or (not data and parts):
                break
            if data is RESET:
                raise trio.BrokenResourceError("reset by the peer")
            if data == END:
                break  # it stays: whoever reads again finds it again
            self._under_way.popleft()
            if len(data) > room:
                self._under_way.appendleft((due, data[room:]))
                data = data[:room]
            parts.append(data)
            room -= len(data)
        self._bytes -= bytes_max - room
        if self._bytes < UNDER_WAY_BYTES_MAX:
            self._writers.unpark_all()
        return parts[0] if len(parts) == 1 else b"".join(parts)
