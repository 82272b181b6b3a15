"""What waits for a peer: RPCs as bytes, serialised once for all peers, many to one write."""

from collections import deque
from collections.abc import Callable
from typing import Any

import trio
from libp2p.pubsub.rpc_queue import RpcQueue

from meshnode.adapters.libp2p.frames import framed
from meshnode.adapters.libp2p.settings import (
    HOLD_BACK_S,
    OUTBOUND_BYTES_PER_PEER_MAX,
    OUTBOUND_RPCS_PER_PEER_MAX,
)
from meshnode.adapters.waker import Waker

BATCH_BYTES = 64 * 1024  # of one write; what is left waits behind what is urgent


class PeerQueue(RpcQueue):  # type: ignore[misc]  # the library is untyped to mypy
    """One peer's queue, in the place of the library's.

    When it is full, the newest is refused, for the router to drop and count; a publisher may wait
    for room first.
    """

    def __init__(
        self,
        rpcs_max: int = OUTBOUND_RPCS_PER_PEER_MAX,
        bytes_max: int = OUTBOUND_BYTES_PER_PEER_MAX,
    ) -> None:
        super().__init__()
        self.replaces: Any = None
        # Writes a frame at once, or says that it would have to wait; set while somebody sends.
        self.write_nowait: Callable[[bytes], bool] = _not_now
        self._rpcs_max = rpcs_max
        self._bytes_max = bytes_max
        self._urgent: deque[bytes] = deque()  # control
        self._messages: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._is_writing = False
        self._is_lagging = False
        self._sender = Waker()
        self._publishers = trio.lowlevel.ParkingLot()

    def __len__(self) -> int:
        return len(self._urgent) + len(self._messages)

    def has_room(self) -> bool:
        """Whether one more would be taken."""
        return len(self) < self._rpcs_max and self._waiting_bytes < self._bytes_max

    def push(self, rpc: Any, priority: bool = False) -> bool:  # noqa: FBT001, FBT002 - the library's
        """Take an RPC; False where there is no room."""
        return self.push_frame(framed(rpc), urgent=priority)

    def push_frame(self, frame: bytes, *, urgent: bool = False) -> bool:
        """Take an RPC with its length before it; False where there is no room."""
        if self._closed or not self.has_room():
            return False
        if not (len(self) or self._is_writing) and self.write_nowait(frame):
            return True  # nothing waits, nor does this: no task is woken for it
        (self._urgent if urgent else self._messages).append(frame)
        self._waiting_bytes += len(frame)
        self._sender.wake()
        return True

    def split_rpc(self, rpc: Any) -> list[Any]:
        """An RPC in parts that fit; one that does is not copied twice first to find that out."""
        fits = 0 < rpc.ByteSize() <= self.max_message_size  # of an empty one nothing is sent
        return [rpc] if fits else super().split_rpc(rpc)

    async def take(self) -> bytes:
        """What is to be written next, one RPC at least; empty once the queue was closed.

        Until the next call it counts as being written.
        """
        self._is_writing = False
        while not len(self) and not self._closed:
            self._is_lagging = False
            if self._publishers:
                self._publishers.unpark_all()
            await self._sender.wait()
        batch: list[bytes] = []
        size = 0
        while len(self) and size < BATCH_BYTES:
            frame = (self._urgent or self._messages).popleft()
            batch.append(frame)
            size += len(frame)
        self._waiting_bytes -= size
        self._is_writing = bool(batch)
        if self._publishers and self.has_room():
            self._publishers.unpark_all()
        return b"".join(batch)

    async def wait_room(self) -> None:
        """Wait for room, but not for long, and not again until the peer has caught up.

        An honest peer is worth waiting for; one that does not read must not silence us.
        """
        if self._is_lagging:
            return
        with trio.move_on_after(HOLD_BACK_S) as patience:
            while not self.has_room() and not self._closed:
                await self._publishers.park()
        self._is_lagging = patience.cancelled_caught

    async def wait_drained(self) -> None:
        """Wait until everything has been written, or the peer is gone."""
        while (len(self) or self._is_writing) and not self._closed:
            await self._publishers.park()

    def close(self) -> None:
        """The peer is gone: nobody waits for it any more."""
        super().close()
        self._sender.wake()
        self._publishers.unpark_all()


def _not_now(_frame: bytes) -> bool:
    return False


class PeerQueues(dict[Any, PeerQueue]):
    """The queue of each peer; the library makes one of its own, whose place ours takes."""

    def __setitem__(self, peer: Any, queue: Any) -> None:
        ours = PeerQueue()
        ours.replaces = queue
        super().__setitem__(peer, ours)
