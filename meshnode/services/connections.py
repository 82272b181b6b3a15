"""Connections: seeds dialled for ever, peers pinged, and word of who came and went."""

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import trio

from meshnode.core.address_book import (
    RETRY,
    RETRY_WHILE_FEW_S,
    Address,
    AddressBook,
    retry_while_missing_s,
)
from meshnode.core.backoff import Rng
from meshnode.core.facts import DialFailed, PeerJoined, PeerLost
from meshnode.core.link_table import LinkTable
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
from meshnode.services.dialling import Dialler
from meshnode.services.discovery import Discovery
from meshnode.services.pings import Pings
from meshnode.services.presence import Presence
from meshnode.services.topology import Topology

PEERS_MIN = 3
PEERS_AIM = 6
PEERS_MAX = 50
# The rest of the places is for newcomers: they learn here where others are, and move on.
PLACES_FOR_FRIENDS = 0.6
# Who doubts that we are there dials us, and goes if it has enough others. We may doubt it for that
# and look, too; if it did the same for our look, we would dial each other for ever. Who only looks
# is gone before our first ping gets there: one that answered it did not go of its own accord.
GLANCE_S = 1.0
LOOK_BACK_S = 10.0  # suspects are dialled one a second: it may not be the first
VISIT_S = 3.0  # long enough to ask us for prices and peers
TRIM_EVERY_S = 1.0


class Connections:
    """Keeps our connections, and tells presence, topology and catch-up what becomes of them.

    At least `peers_min` nodes, `peers_aim` if there are so many, and never more than `peers_max`
    peers, which the mesh itself sees to.
    """

    def __init__(
        self,
        mesh: Mesh,
        seeds: Sequence[str],
        addresses: AddressBook,
        presence: Presence,
        topology: Topology,
        catch_up: CatchUp,
        observer: Observer,
        wall_clock: WallClock,
        rng: Rng,
        *,
        peers_min: int = PEERS_MIN,
        peers_aim: int = PEERS_AIM,
        peers_max: int = PEERS_MAX,
    ) -> None:
        self._mesh = mesh
        self._seeds = tuple(seeds)
        self._seed_ids = frozenset(addr.rpartition("/p2p/")[2] for addr in seeds)
        self._addresses = addresses
        self._presence = presence
        self._topology = topology
        self._answering = topology.answering()
        self._catch_up = catch_up
        self._observer = observer
        self._wall_clock = wall_clock
        self._rng = rng
        self._peers_min = peers_min
        self._peers_aim = min(peers_aim, peers_max)
        self._friends_max = max(self._peers_aim, int(PLACES_FOR_FRIENDS * peers_max))
        self._since: dict[str, float] = {}  # of the connected
        self._looked_at: dict[str, float] = {}  # when: whom we had doubted, found and left
        self._links = LinkTable()
        self._dialler = Dialler(mesh, self._links, addresses, wall_clock)
        self._discovery = Discovery(
            self._dialler,
            addresses,
            self._since.keys,
            self._company,
            self._heard,
            lambda: presence.outage.since is not None,
            peers_min=peers_min,
            peers_aim=self._peers_aim,
        )
        self._pings = Pings(mesh, self._answered, self._give_up)
        self._work: trio.Nursery | None = None
        self._went: dict[str, trio.Event] = {}  # of the seeds connected
        self._crowded = trio.Event()
        self._trimmed: set[str] = set()  # whose connections we are ending, of our own accord

    def links(self) -> tuple[LinkRecord, ...]:
        """What became of each connection to a node, the latest last; askers are no nodes."""
        return tuple(link for link in self._links.all() if self.is_node(link.name))

    def is_node(self, peer_id: str) -> bool:
        """Whether a peer is a node: it said so, it answers like one, or the operator said so."""
        return (
            peer_id in self._answering
            or peer_id in self._seed_ids
            or self._presence.providers.knows(peer_id)
        )

    def nodes(self) -> frozenset[str]:
        """The nodes connected now."""
        return frozenset(filter(self.is_node, self._mesh.peer_ids()))

    def _company(self) -> int:
        """How many of the nodes connected there are; asked at every beat, and nearly all answer."""
        peers, answering = self._mesh.peer_ids(), self._answering
        silent = [peer for peer in peers if peer not in answering]
        return len(peers) - len(silent) + sum(map(self.is_node, silent))

    async def redial(self, peer: str) -> None:
        """Dial a peer where it says that it is or where it last was, once: is it still there?

        Raises PeerUnreachable; of these DialRefused where nothing listens there.
        """
        places = [address for address in self._known_places(peer) if not self._is_connected(peer)]
        if not places:
            raise PeerUnreachable(f"no address of {peer} is known")
        await self._dialler.dial(places[-1])
        if self._company() > self._peers_aim:
            # It may have ended our connection because it has too many; we have others.
            now = trio.current_time()
            lately = {one: at for one, at in self._looked_at.items() if now - at < LOOK_BACK_S}
            self._looked_at = lately | {peer: now}
            await self._end(peer)

    def _heard(self) -> AbstractSet[str] | None:
        """The nodes that we hear, while we miss a provider; else None."""
        providers = self._presence.providers
        return providers.present() if providers.misses_any(trio.current_time()) else None

    def _known_places(self, peer: str) -> list[Address]:
        """Of hearsay a refusal would prove nothing."""
        seeds = [Address(peer, addr.partition("/p2p/")[0]) for addr in self._seeds_of(peer)]
        return seeds + [one for one in self._addresses.of(peer) if self._addresses.is_vouched(one)]

    def _seeds_of(self, peer: str) -> list[str]:
        return [addr for addr in self._seeds if addr.endswith(f"/p2p/{peer}")]

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Dial, ping, follow and trim, for ever."""
        async with trio.open_nursery() as nursery:
            self._work = nursery
            nursery.start_soon(self._follow)
            nursery.start_soon(self._trim)
            for addr in self._seeds:
                nursery.start_soon(self._keep_seed, addr)
            await nursery.start(self._discovery.run)
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                # An answer to a ping may come while the tasks here end, and begins none any more.
                self._work = None
                self._pings.end_all()

    def look(self) -> float:
        """To be called at every beat: ping, and dial one node more if there are too few."""
        self._pings.look()
        return self._discovery.look()

    # --- who comes and goes -----------------------------------------------------------------

    async def _follow(self) -> None:
        while True:
            match await self._mesh.next_connection_event():
                case PeerConnected(peer_id=peer):
                    self._came(peer)
                case PeerDisconnected(peer_id=peer, displaced=displaced):
                    self._gone(peer, wanted=displaced or peer in self._trimmed)

    def _came(self, peer: str) -> None:
        self._since[peer] = trio.current_time()
        if len(self._since) > self._friends_max:
            self._crowded.set()
            self._crowded = trio.Event()
        self._links.of(peer).opened(self._wall_clock.now_ns())
        self._observer.observe(PeerJoined(peer))
        if self.is_node(peer) or self._addresses.of(peer):  # who only asks has none
            self._presence.node_connected()
        self._catch_up.offer(peer)
        self._pings.begin(peer)

    def _gone(self, peer: str, *, wanted: bool) -> None:
        now = trio.current_time()
        lasted_s = now - self._since.pop(peer, now)
        looked_at = self._looked_at.get(peer, -math.inf)
        glanced = lasted_s < GLANCE_S and not self._pings.has_answered(peer)
        looked_back = glanced and now - looked_at < LOOK_BACK_S
        self._trimmed.discard(peer)
        self._pings.end(peer)
        if (went := self._went.pop(peer, None)) is not None:
            went.set()
        self._links.of(peer).closed(self._wall_clock.now_ns())
        self._addresses.lost(peer, now, lasted_s)
        self._topology.lost(peer)
        self._observer.observe(PeerLost(peer))
        # Else it is there as before, only not with us.
        if not (wanted or looked_back):
            self._presence.connection_lost(peer)
        if not self._mesh.peer_ids():
            self._catch_up.missed()

    # --- seeds ------------------------------------------------------------------------------

    async def _keep_seed(self, addr: str) -> None:
        place, _, peer = addr.rpartition("/p2p/")
        if peer == self._mesh.peer_id:
            return  # a list of seeds shared by all nodes names us too
        attempt = 0
        while True:
            error: str | None = None
            if not self._is_connected(peer):
                try:
                    await self._dialler.dial(Address(peer, place))
                except PeerUnreachable as failure:
                    error = str(failure)
            began_at = trio.current_time()
            while self._is_connected(peer):
                await self._went.setdefault(peer, trio.Event()).wait()
            # A peer that hangs up on us at once is not dialled without a pause either.
            attempt = RETRY.next_attempt(attempt, trio.current_time() - began_at)
            delay_s = self._seed_delay_s(attempt, hung_up=error is None)
            if error is not None:
                self._observer.observe(DialFailed(addr, error, attempt, delay_s))
            await trio.sleep(delay_s)

    def _seed_delay_s(self, attempt: int, *, hung_up: bool) -> float:
        connected = self._company()
        if hung_up and connected >= self._peers_aim > 0:
            # A seed of many has no place for all of them: those who have others let it be.
            return RETRY.cap_s * (1 - RETRY.jitter * self._rng.random())
        delay_s = RETRY.delay_s(attempt, self._rng)
        if connected < self._peers_min:
            return min(delay_s, RETRY_WHILE_FEW_S)
        if (heard := self._heard()) is not None:
            return min(delay_s, retry_while_missing_s(len(heard)))
        return delay_s

    def _is_connected(self, peer: str) -> bool:
        return peer in self._mesh.peer_ids()

    # --- who answers, and who does not ------------------------------------------------------

    def _answered(self, peer: str) -> None:
        """Who only asks may be on this machine, which shows nothing.

        Of the nodes of a large network we have heard few yet: they speak twice an hour.
        """
        if self.is_node(peer):
            self._presence.node_answered()

    def _give_up(self, peer: str) -> None:
        """A peer is a connection that answers, not one that is open."""
        if self._work is not None:
            self._work.start_soon(self._mesh.disconnect, peer)

    # --- too many ---------------------------------------------------------------------------

    async def _trim(self) -> None:
        """Keep places for newcomers: of the nodes, those with most peers of their own can go."""
        while True:
            while len(self._since) <= self._friends_max:
                await self._crowded.wait()
            await trio.sleep(TRIM_EVERY_S)
            before = trio.current_time() - VISIT_S
            nodes = sorted(self.nodes() - self._seed_ids)
            excess = len(nodes) - self._friends_max
            if excess <= 0:
                continue
            visited = [peer for peer in nodes if self._since.get(peer, before) <= before]
            ranked = sorted(
                (-min(self._topology.degree(peer), self._peers_aim), self._rng.random(), peer)
                for peer in visited
            )
            for _, _, peer in ranked[:excess]:
                await self._end(peer)

    async def _end(self, peer: str) -> None:
        """End a connection because we have enough; that is nobody's loss."""
        self._trimmed.add(peer)
        await self._mesh.disconnect(peer)
