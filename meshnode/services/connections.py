"""Connections: seeds dialled for ever, peers pinged, and word of who came and went."""

from collections.abc import Sequence

import trio

from meshnode.core.backoff import Backoff, Rng
from meshnode.core.facts import DialFailed, PeerJoined, PeerLost
from meshnode.core.links import LinkRecord
from meshnode.errors import PeerUnreachable
from meshnode.ports import (
    Mesh,
    Observer,
    PeerConnected,
    PeerDisconnected,
    TaskStatus,
    WallClock,
)
from meshnode.services.catchup import CatchUp
from meshnode.services.presence import Presence

PING_EVERY_S = 10.0
# A frozen peer keeps its connection open; only silence tells. The time is generous because a
# busy node answers late, and cutting a healthy peer costs more than keeping a dead one.
PING_TIMEOUT_S = 10.0
# One may be lost to a pause of our own process, in which every deadline passes at once.
PINGS_MISSED_MAX = 2
PEERS_MIN = 3  # below it seeds are dialled at this pace, whatever their back-off
RETRY_WHILE_FEW_S = 5.0
RETRY = Backoff(first_s=2.0, cap_s=60.0)
LINKS_MAX = 200  # records of peers; the one that changed longest ago makes room


class Connections:
    """Keeps our connections, and tells presence and catch-up what becomes of them."""

    def __init__(
        self,
        mesh: Mesh,
        seeds: Sequence[str],
        presence: Presence,
        catch_up: CatchUp,
        observer: Observer,
        wall_clock: WallClock,
        rng: Rng,
    ) -> None:
        self._mesh = mesh
        self._seeds = tuple(seeds)
        self._seed_ids = frozenset(addr.rpartition("/p2p/")[2] for addr in seeds)
        self._presence = presence
        self._catch_up = catch_up
        self._observer = observer
        self._wall_clock = wall_clock
        self._rng = rng
        self._links: dict[str, LinkRecord] = {}
        self._pinged: dict[str, trio.CancelScope] = {}
        self._went: dict[str, trio.Event] = {}  # of the seeds connected
        self._places: dict[str, str] = {}  # where each peer listened when it last answered

    def links(self) -> tuple[LinkRecord, ...]:
        """What became of each connection to a node, the latest last; askers are no nodes."""
        return tuple(link for link in self._links.values() if self.is_node(link.name))

    def is_node(self, peer_id: str) -> bool:
        """Whether a peer is a node: it said so, or the operator did; who only asks does not."""
        return peer_id in self._seed_ids or self._presence.providers.knows(peer_id)

    async def redial(self, peer: str) -> None:
        """Dial a peer where it last was, once. Raises PeerUnreachable, DialRefused."""
        addr = self._places.get(peer)
        if addr is None:
            raise PeerUnreachable(f"no address of {peer} is known")
        await self._mesh.connect(f"{addr}/p2p/{peer}")

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Dial, ping and follow, for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._follow, nursery)
            for addr in self._seeds:
                nursery.start_soon(self._keep_seed, addr)
            task_status.started()

    async def _follow(self, nursery: trio.Nursery) -> None:
        while True:
            match await self._mesh.next_connection_event():
                case PeerConnected(peer_id=peer):
                    self._link(peer).opened(self._wall_clock.now_ns())
                    self._observer.observe(PeerJoined(peer))
                    self._catch_up.offer(peer)
                    if peer not in self._pinged:
                        self._pinged[peer] = trio.CancelScope()
                        nursery.start_soon(self._ping, peer, self._pinged[peer])
                case PeerDisconnected(peer_id=peer):
                    if scope := self._pinged.pop(peer, None):
                        scope.cancel()
                    if (went := self._went.pop(peer, None)) is not None:
                        went.set()
                    self._link(peer).closed()
                    self._observer.observe(PeerLost(peer))
                    self._presence.connection_lost(peer)
                    if not self._mesh.peers():
                        self._catch_up.missed()

    async def _keep_seed(self, addr: str) -> None:
        peer = addr.rpartition("/p2p/")[2]
        if peer == self._mesh.peer_id:
            return  # a list of seeds shared by all nodes names us too
        attempt = 0
        while True:
            error = None if self._is_connected(peer) else await self._dial(addr, peer)
            began_at = trio.current_time()
            while self._is_connected(peer):
                await self._went.setdefault(peer, trio.Event()).wait()
            # A peer that hangs up on us at once is not dialled without a pause either.
            attempt = RETRY.next_attempt(attempt, trio.current_time() - began_at)
            delay_s = RETRY.delay_s(attempt, self._rng)
            if len(self._mesh.peers()) < PEERS_MIN:
                delay_s = min(delay_s, RETRY_WHILE_FEW_S)
            if error is not None:
                self._observer.observe(DialFailed(addr, error, attempt, delay_s))
            await trio.sleep(delay_s)

    async def _dial(self, addr: str, peer: str) -> str | None:
        """Connect to a seed; what went wrong, if anything."""
        link = self._link(peer)
        link.dialling()
        try:
            await self._mesh.connect(addr)
        except PeerUnreachable as error:
            link.failed(str(error))
            return str(error)
        return None

    def _is_connected(self, peer: str) -> bool:
        return any(connected.peer_id == peer for connected in self._mesh.peers())

    async def _ping(self, peer: str, scope: trio.CancelScope) -> None:
        with scope:
            missed = 0
            while missed < PINGS_MISSED_MAX:
                try:
                    with trio.fail_after(PING_TIMEOUT_S):
                        await self._mesh.ping(peer)
                except (PeerUnreachable, trio.TooSlowError):
                    missed += 1
                else:
                    missed = 0
                    self._answered(peer)
                    await trio.sleep(PING_EVERY_S)
            # A peer is a connection that answers, not one that is open.
            await self._mesh.disconnect(peer)

    def _answered(self, peer: str) -> None:
        self._presence.pinged(peer)
        addrs = next((p.addrs for p in self._mesh.peers() if p.peer_id == peer), ())
        if addrs:
            self._places.pop(peer, None)
            self._places[peer] = addrs[0]
            if len(self._places) > LINKS_MAX:
                del self._places[next(iter(self._places))]

    def _link(self, peer: str) -> LinkRecord:
        link = self._links.pop(peer, None) or LinkRecord("peer", peer)
        self._links[peer] = link  # the one that changed last stands last
        if len(self._links) > LINKS_MAX:
            del self._links[next(iter(self._links))]
        return link
