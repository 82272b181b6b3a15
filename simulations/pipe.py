"""Bytes on their way between two nodes: one direction of a connection in memory.

What a kernel and a network do for a TCP connection, in virtual time: bytes arrive in order, after
the link's delay, and not while it is closed.
"""

from collections import deque

import trio

from meshnode.adapters.waker import Waker
from simulations.links import Links
from simulations.timeline import Timeline

UNDER_WAY_BYTES_MAX = 256 * 1024  # sent and not read yet; then who writes waits

END = b""  # what arrives last when the sender closes
RESET = None  # what arrives last when the sender dies


class Pipe:
    """One direction, from `sender` to `receiver` (peer ids); one task reads at a time."""

    def __init__(self, links: Links, timeline: Timeline, sender: str, receiver: str) -> None:
        self._links = links
        self._timeline = timeline
        self._sender = sender
        self._receiver = receiver
        self._under_way: deque[bytes | None] = deque()
        self._arrived = 0  # how many of them
        self._bytes = 0
        self._last_due = 0.0
        self._is_ended = False  # nothing more is sent
        self._is_abandoned = False  # nobody reads what is sent
        self._reader = Waker()  # waits for what arrives next
        self._held = trio.CancelScope()  # around a reader's wait for the link
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
        due = trio.current_time() + self._links.delay_s(self._sender, self._receiver)
        self._last_due = max(self._last_due, due)  # no overtaking
        self._under_way.append(data)
        self._timeline.call_at(self._last_due, self._arrive)

    # --- the receiver's end -----------------------------------------------------------------

    async def read(self, bytes_max: int) -> bytes:
        """What has arrived, at least one byte; `b""` at the end.

        Raises BrokenResourceError after a reset, ClosedResourceError after `abandon`.
        """
        while True:
            if self._is_abandoned:
                raise trio.ClosedResourceError("we have closed this connection")
            if not self._links.is_open(self._sender, self._receiver):
                with trio.CancelScope() as self._held:
                    await self._links.wait_open(self._sender, self._receiver)
            elif self._arrived:
                return self._take(bytes_max)
            else:
                await self._reader.wait()

    def abandon(self) -> None:
        """Read nothing more; who is reading stops, who waits to write goes on."""
        self._is_abandoned = True
        self._under_way.clear()
        self._arrived = self._bytes = 0
        self._writers.unpark_all()
        self._reader.wake()
        self._held.cancel()

    def _arrive(self) -> None:
        if not self._is_abandoned:
            self._arrived += 1
            self._reader.wake()

    def _take(self, bytes_max: int) -> bytes:
        parts: list[bytes] = []
        room = bytes_max
        while room and self._arrived:
            data = self._under_way[0]
            if not data:
                break  # it stays: whoever reads again finds it again
            self._under_way.popleft()
            if len(data) > room:
                self._under_way.appendleft(data[room:])
                data = data[:room]
            else:
                self._arrived -= 1
            parts.append(data)
            room -= len(data)
        if not parts and self._under_way[0] is RESET:
            raise trio.BrokenResourceError("reset by the peer")
        self._bytes -= bytes_max - room
        if self._writers and self._bytes < UNDER_WAY_BYTES_MAX:
            self._writers.unpark_all()
        return parts[0] if len(parts) == 1 else b"".join(parts)
