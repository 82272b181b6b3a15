"""Topology: asks our neighbours what they know of the network, a few of them a minute.

One query feeds four things: how far away each provider is, how many nodes there are, where others
may be reached, and what time it is elsewhere.
"""

import math
from collections.abc import Iterable, KeysView, Sequence
from dataclasses import dataclass, replace

import trio

from meshnode.core.address_book import AddressBook, Origin
from meshnode.core.facts import WrongNetwork
from meshnode.core.hops import Hops
from meshnode.core.own_clock import OwnClock, ahead_ns
from meshnode.core.rounds import EXPIRY_ROUNDS, Turns, round_s
from meshnode.errors import PeerUnreachable, QueryRefused, StreamBroken
from meshnode.ports import Mesh, Observer, TaskStatus, WallClock
from meshnode.services import ask
from meshnode.services.presence import Presence
from protocols.errors import Malformed, ProtocolError
from protocols.ids import key_from_peer_id
from protocols.status import StatusReply
from protocols.timestamps import ns_from_rfc3339

KEYS = ("node_id", "network", "time", "active_providers")
# A list of peers is most of an answer, and they change less than distances do: every second time.
KEYS_AND_PEERS = (*KEYS, "peers")
PEERS_EXPIRY_ROUNDS = EXPIRY_ROUNDS + 1
# Who is new here has to know at once whether the network is large.
FIRST_KEYS = (*KEYS_AND_PEERS, "total_network_size")
ASKED_MAX = 8  # at a time; the others wait their turn
# Of one neighbour's: a node has no more than fifty, and a liar counts for no more either.
PEERS_READ_MAX = 50
# A peer that never answers is somebody who only asks; after so long it may have become a node.
SILENT_AGAIN_S = 240.0


@dataclass(frozen=True, slots=True)
class _Neighbour:
    """Who its peers are, and until when that is so; `asked`: it said so when it was asked last."""

    peers: frozenset[str] = frozenset()
    until: float = 0.0
    asked: bool = False


_NOTHING_SAID = _Neighbour()


class Topology:
    """What our neighbours tell. Nodes are named by their peer ids."""

    def __init__(
        self,
        mesh: Mesh,
        addresses: AddressBook,
        presence: Presence,
        own_clock: OwnClock,
        observer: Observer,
        wall_clock: WallClock,
        *,
        network: str,
        seeds: Iterable[str] = (),
    ) -> None:
        self._mesh = mesh
        self._addresses = addresses
        self._presence = presence
        self._own_clock = own_clock
        self._observer = observer
        self._wall_clock = wall_clock
        self._network = network
        self._seed_ids = frozenset(addr.rpartition("/p2p/")[2] for addr in seeds)
        self._strange_seeds: set[str] = set()  # of another network, and told
        self._hops = Hops()
        self._turns = Turns()
        self._ask_at: dict[str, float] = {}  # of the connected
        self._asked: set[str] = set()  # being asked now
        # Of whom we looked at last, the first whose turn it is.
        self._next_at = 0.0
        self._looked_at: tuple[str, ...] = ()
        self._neighbours: dict[str, _Neighbour] = {}
        self._size_told = 0
        self._asking: trio.Nursery | None = None

    # --- what is known ----------------------------------------------------------------------

    def answering(self) -> KeysView[str]:
        """The connected peers that answer like nodes of our network, at any time: a live view."""
        return self._neighbours.keys()

    def answered(self, peer: str) -> bool:
        """Whether a connected peer answers like a node of our network."""
        return peer in self._neighbours

    def hops(self, provider: str, *, asker: str | None = None) -> int | None:
        """How far away a provider is, on ways that don't lead through the asker."""
        if provider == self._mesh.peer_id:
            return 0
        return self._hops.to(provider, self._mesh.peer_ids(), trio.current_time(), asker=asker)

    def peers_of(self, peer: str) -> frozenset[str]:
        """Whom a neighbour said it is connected to; nobody where it did not say."""
        return self._neighbours.get(peer, _NOTHING_SAID).peers

    def degree(self, peer: str) -> int:
        """How many peers a neighbour said it has, 0 where it did not say."""
        return len(self.peers_of(peer))

    def size(self) -> int:
        """How many distinct nodes are there, ourselves included.

        Those that we hear or are connected to, and those that a neighbour is connected to and
        that we never heard ourselves.
        """
        providers = self._presence.providers
        own_id = self._mesh.peer_id
        now = trio.current_time()
        told = set(self._neighbours)
        for neighbour in self._neighbours.values():
            if now < neighbour.until:
                told |= neighbour.peers
        told.discard(own_id)
        # Of those whom we hear ourselves, our own judgement counts.
        unheard = providers.unknown_of(told)
        return providers.present_count + (not providers.is_present(own_id)) + unheard

    def size_told(self) -> int:
        """How many nodes there were when we met our last neighbour, by its word; 0 without one."""
        return self._size_told

    # --- what happens -----------------------------------------------------------------------

    def lost(self, peer: str) -> None:
        """The connection to a peer ended."""
        self._hops.lose(peer)
        self._neighbours.pop(peer, None)
        self._ask_at.pop(peer, None)
        self._next_at = 0.0  # it may be back before we look again

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Ask whoever is connected, for ever."""
        async with trio.open_nursery() as nursery:
            self._asking = nursery
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self._asking = None  # whoever looks now asks nobody any more

    def look(self) -> float:
        """To be called at every beat: ask whose turn it is."""
        now, peers = trio.current_time(), self._mesh.peer_ids()
        if now < self._next_at and peers == self._looked_at:
            return math.inf  # a turn is no appointment
        ask_at, asked = self._ask_at, self._asked
        for peer in peers:
            if len(asked) >= ASKED_MAX or self._asking is None:
                break
            if now >= ask_at.get(peer, 0.0) and peer not in asked:
                asked.add(peer)
                self._asking.start_soon(self._ask, peer)
        waiting = (ask_at.get(peer, 0.0) for peer in peers if peer not in asked)
        self._next_at = min(waiting, default=math.inf)
        self._looked_at = peers
        return self._next_at  # now, where some have to wait for those who are asked

    # --- inside -----------------------------------------------------------------------------

    async def _ask(self, name: str) -> None:
        sent_ns = self._wall_clock.now_ns()
        try:
            keys = self._keys(name)
            reply = await ask.status(self._mesh, name, keys)
        except (PeerUnreachable, StreamBroken, QueryRefused, ProtocolError):
            pass  # what it said before expires by itself
        else:
            await self._learn(name, keys, reply, sent_ns)
        finally:
            self._asked.discard(name)
        if name in self._mesh.peer_ids():
            is_node = self.answered(name) or self._presence.providers.knows(name)
            now = trio.current_time()
            again_at = now + SILENT_AGAIN_S
            if is_node:
                again_at = self._turns.next_at(len(self._neighbours), now)
            self._ask_at[name] = again_at
            self._next_at = min(self._next_at, again_at)

    def _keys(self, name: str) -> tuple[str, ...]:
        known = self._neighbours.get(name)
        if known is None:
            return FIRST_KEYS
        return KEYS if known.asked else KEYS_AND_PEERS

    async def _learn(
        self, peer: str, keys: Sequence[str], reply: StatusReply, sent_ns: int
    ) -> None:
        if reply["node_id"] != peer:
            return
        if reply["network"] != self._network:
            # It hears none of our topics, and holds a place that one of ours could have.
            self._addresses.forget(peer)
            if peer not in self._seed_ids:
                await self._mesh.disconnect(peer)
            elif peer not in self._strange_seeds:
                self._strange_seeds.add(peer)
                self._observer.observe(WrongNetwork(peer, reply["network"], self._network))
            return
        now = trio.current_time()
        if (said := reply["time"]) is not None:
            ahead = ahead_ns(sent_ns, self._wall_clock.now_ns(), ns_from_rfc3339(said))
            self._own_clock.told(peer, ahead, now)
        self._size_told = reply["total_network_size"] or self._size_told
        count = len(self._neighbours) + (peer not in self._neighbours)
        hops = {one.provider_id: one.hop_count for one in reply["active_providers"] or ()}
        self._hops.learn(peer, hops, now + EXPIRY_ROUNDS * round_s(count))
        if "peers" not in keys:
            known = self._neighbours.get(peer, _NOTHING_SAID)
            self._neighbours[peer] = replace(known, asked=False)
            return
        nodes = [one for one in (reply["peers"] or ())[:PEERS_READ_MAX] if _is_node_id(one.node_id)]
        names = frozenset([one.node_id for one in nodes])
        until = now + PEERS_EXPIRY_ROUNDS * round_s(count)
        self._neighbours[peer] = _Neighbour(names, until, asked=True)
        for one in nodes:
            self._addresses.told(one.node_id, one.addrs, Origin.HEARSAY)


def _is_node_id(text: str) -> bool:
    try:
        key_from_peer_id(text)
    except Malformed:
        return False
    return True
