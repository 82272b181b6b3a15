"""Connections of the model: what is sent arrives in order, later, or when the link opens."""

import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import trio

from meshnode.ports import ConnectedPeer
from simulations.links import Links
from simulations.model_stream import ModelStream
from simulations.timeline import Call, Timeline

if TYPE_CHECKING:
    from simulations.model_gossip import ModelGossip
    from simulations.model_mesh import ModelMesh

HELD_MAX = 4_096  # what waits for a link to open, a direction; the newest is dropped and counted


class Wire:
    """One direction of one connection."""

    __slots__ = (
        "_free_at",
        "_held",
        "_links",
        "_nursery",
        "_receiver",
        "_sender",
        "_sent_at",
        "_timeline",
        "dropped",
    )

    def __init__(
        self, links: Links, timeline: Timeline, nursery: trio.Nursery, sender: str, receiver: str
    ) -> None:
        self._links = links
        self._timeline = timeline
        self._nursery = nursery
        self._sender = sender
        self._receiver = receiver
        self._sent_at = -math.inf
        self._free_at = 0.0
        self._held: deque[Call] | None = None
        self.dropped = 0

    def send(self, arrive: Callable[..., None], *args: Any) -> None:
        """Call `arrive` when what is sent now gets there: behind all that was sent before.

        What is sent in one moment travels together.
        """
        links, sender, receiver = self._links, self._sender, self._receiver
        # Asked at each message, and nearly always all is well.
        if self._held is not None or not (links.is_whole or links.is_open(sender, receiver)):
            self._hold(arrive, args)
            return
        now = trio.current_time()
        if now != self._sent_at:
            self._sent_at = now
            if (due := now + links.delay_s(sender, receiver)) > self._free_at:
                self._free_at = due
        self._timeline.call_at(self._free_at, self._arrive, arrive, args)

    def _arrive(self, arrive: Callable[..., None], args: tuple[Any, ...]) -> None:
        links = self._links
        if self._held is None and (links.is_whole or links.is_open(self._sender, self._receiver)):
            arrive(*args)
        else:
            self._hold(arrive, args)

    def _hold(self, arrive: Callable[..., None], args: tuple[Any, ...]) -> None:
        if self._held is None:
            self._held = deque()
            self._nursery.start_soon(self._release)
        if len(self._held) >= HELD_MAX:
            self.dropped += 1
        else:
            self._held.append((arrive, args))

    async def _release(self) -> None:
        await self._links.wait_open(self._sender, self._receiver)
        held, self._held = self._held, None
        for arrive, args in held or ():
            self.send(arrive, *args)


class Connection:
    """One node's end of a connection; the other node has one of its own.

    `gossip` is the peer's, and `number` is its.
    """

    __slots__ = (
        "_seen",
        "gossip",
        "is_open",
        "number",
        "partner",
        "peer",
        "rtt_ms",
        "streams",
        "wire",
    )

    def __init__(self, wire: Wire, peer: "ModelMesh") -> None:
        self.wire = wire
        self.peer = peer
        self.gossip: ModelGossip = peer.gossip
        # Here, too: with each message it is asked of all neighbours, who are far away in memory.
        self.number = peer.gossip.number
        self.partner: Connection | None = None
        self.rtt_ms: int | None = None
        self.streams: dict[ModelStream, None] = {}
        self.is_open = True
        self._seen = ConnectedPeer(peer.peer_id, peer.places, None)

    def seen(self) -> ConnectedPeer:
        """The peer as it is now: the same object for as long as nothing of it changes."""
        seen, places = self._seen, self.peer.places
        if seen.rtt_ms != self.rtt_ms or seen.addrs is not places:
            seen = self._seen = ConnectedPeer(seen.peer_id, places, self.rtt_ms)
        return seen

    def add(self, stream: ModelStream) -> None:
        """Keep a stream, to break it with the connection; those that are over are let go."""
        for over in [stream for stream in self.streams if stream.is_over]:
            del self.streams[over]
        self.streams[stream] = None
