"""Gossip of the model: GossipSub's mesh of degree D, message by message, without its frames.

What a node accepts it passes on to the peers in its mesh; once a second it tells some of the
others what it has (IHAVE), and they ask for what they miss. No queue overflows and nothing is
lost but with a connection.
"""

from collections import Counter, deque
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import outcome
import trio

from meshnode.core.verdicts import Accepted, Ignored, Reason, Rejected
from meshnode.errors import PublishRefused
from meshnode.ports import GossipStatistics, Judge
from protocols.ids import Topic
from simulations.model_wire import Connection
from simulations.virtual_time import SLOT_S

if TYPE_CHECKING:
    from simulations.model_mesh import ModelMesh
    from simulations.model_network import ModelNetwork

# As the product sets GossipSub (docs/decisions/0003).
DEGREE, DEGREE_LOW, DEGREE_HIGH = 4, 3, 8
LAZY_DEGREE = 6  # how many peers outside the mesh are told what we have
HISTORY_HEARTBEATS = 3  # for how long we tell of a message
INBOUND_MAX = 4_096  # accepted, waiting for `receive`; then new ones are refused as busy


@dataclass(eq=False, slots=True)
class GossipMessage:
    """A message on its way, the same for all of them; `sender` is a raw public key.

    `heard_by` are the numbers of those that accepted it. It stands here and not with each node: a
    message passes all nodes within a second, and each asks for several others whether they have it.
    """

    sender: bytes
    topic: Topic
    data: bytes
    heard_by: set[int] = field(default_factory=set)


class ModelGossip:
    """One node's part in the gossip of a network."""

    def __init__(
        self, owner: "ModelMesh", network: "ModelNetwork", key: bytes, judge: Judge | None
    ) -> None:
        self._owner = owner
        self.peer_id = owner.peer_id
        self._network = network
        self._key = key
        self._judge = judge
        self.judges = judge is not None  # else it is a client: it hears nothing, in no mesh
        self.number = network.enrol()  # after a restart, another
        # What came between two heartbeats, with the number of the later one.
        self._history: deque[tuple[int, list[GossipMessage]]] = deque(maxlen=HISTORY_HEARTBEATS)
        self._accepted: deque[Accepted] = deque()
        self._receiving: trio.lowlevel.Task | None = None  # waits for the next, …
        self._take: Callable[[Accepted], None] | None = None  # … or has all handed over to this
        self._accepted_count = 0
        self._ignored: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self.mesh: dict[str, Connection] = {}

    # --- the port ---------------------------------------------------------------------------

    async def publish(self, topic: Topic, data: bytes) -> None:
        """See `Gossip.publish`."""
        await trio.lowlevel.checkpoint()
        refusal = self.hear(GossipMessage(self._key, topic, data), forwarder=None)
        if refusal is not None:
            raise PublishRefused(refusal)

    async def receive(self) -> Accepted:
        """See `Gossip.receive`."""
        if self._accepted:
            await trio.lowlevel.checkpoint()
        while not self._accepted:
            assert self._receiving is None, "one task at a time receives"
            self._receiving = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._stop_receiving)
        return self._accepted.popleft()

    async def deliver(self, take: Callable[[Accepted], None]) -> None:
        """See `Gossip.deliver`."""
        await trio.lowlevel.checkpoint()
        assert self._receiving is None, "one task at a time receives"
        while self._accepted:
            take(self._accepted.popleft())
        self._take, self._receiving = take, trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._stop_receiving)

    async def flush(self) -> None:
        """See `Gossip.flush`."""
        here, links = self.peer_id, self._network.links
        delays_s = [links.delay_s(here, p) for p in self.mesh if links.is_open(here, p)]
        await trio.sleep(max(delays_s, default=0.0) + SLOT_S)

    def statistics(self) -> GossipStatistics:
        """See `Gossip.statistics`."""
        return GossipStatistics(
            accepted=self._accepted_count,
            ignored=dict(self._ignored),
            rejected=dict(self._rejected),
            duplicates=self._network.copies[self.number],
            dropped_inbound=0,
            dropped_outbound=sum(c.wire.dropped for c in self._owner.connections.values()),
            queued=len(self._accepted),
        )

    # --- messages ---------------------------------------------------------------------------

    def inject(self, message: GossipMessage) -> None:
        """Send a message to every peer as if it had come to us, as only an attacker does."""
        for connection in list(self._owner.connections.values()):
            self._send(connection, message)

    def hear(self, message: GossipMessage, forwarder: str | None) -> str | None:
        """A message came that we have not, or is our own; why it was refused, if it was."""
        if self._judge is None:
            return None
        if len(self._accepted) >= INBOUND_MAX:
            self._ignored[Reason.BUSY.value] += 1
            return Reason.BUSY.value
        match self._judge(message.topic, message.sender, message.data):
            case Accepted() as accepted:
                self._accepted_count += 1
            case Ignored(reason=reason):
                self._ignored[reason.value] += 1
                return reason.value
            case Rejected(reason=reason):
                self._rejected[reason.value] += 1
                return reason.value
        self._note(message)
        self._pass_on(message, forwarder)
        if self._take is not None:
            self._hand_over(accepted, self._take)
        else:
            self._accepted.append(accepted)
            self._wake(outcome.Value(None))
        return None

    def _hand_over(self, accepted: Accepted, take: Callable[[Accepted], None]) -> None:
        try:
            take(accepted)
        except Exception as error:  # noqa: BLE001 - a bug of the node's, not of the network's
            self._take = None
            self._wake(outcome.Error(error))

    def _wake(self, how: "outcome.Outcome[None]") -> None:
        if self._receiving is not None:
            trio.lowlevel.reschedule(self._receiving, how)
            self._receiving = None

    def _stop_receiving(self, _: object) -> trio.lowlevel.Abort:
        # At once, not when the task runs again: till then nobody would learn what a taker raises.
        self._receiving = self._take = None
        return trio.lowlevel.Abort.SUCCEEDED

    def _note(self, message: GossipMessage) -> None:
        message.heard_by.add(self.number)
        network, history = self._network, self._history
        network.recent[-1][message] = None
        if history and history[-1][0] == network.heartbeats:
            history[-1][1].append(message)
        else:
            history.append((network.heartbeats, [message]))

    def _pass_on(self, message: GossipMessage, forwarder: str | None) -> None:
        if self.peer_id in self._network.muted:
            return
        mesh = self.mesh
        if not mesh and forwarder is None:  # GossipSub's fanout
            mesh = dict(list(self._owner.connections.items())[:DEGREE])
        hop_s, heard_by, copies = self._network.hop_s, message.heard_by, self._network.copies
        for name, connection in mesh.items():
            if name == forwarder:
                continue
            # What the peer has already is a duplicate, whenever it arrives: no need to send it.
            if (number := connection.number) in heard_by:
                copies[number] += 1
            elif hop_s:
                self._network.timeline.call_at(
                    trio.current_time() + hop_s, self._send, connection, message
                )
            else:  # as `_send` does: it is done for every message and neighbour
                arrived = connection.gossip.arrived
                connection.wire.send(arrived, connection.partner, message, self.peer_id)

    def _send(self, connection: Connection, message: GossipMessage) -> None:
        connection.wire.send(connection.gossip.arrived, connection.partner, message, self.peer_id)

    def arrived(self, connection: Connection, message: GossipMessage, forwarder: str) -> None:
        """A message came over our end of a connection."""
        if not connection.is_open:
            return
        if self.number in message.heard_by:  # as most
            self._network.copies[self.number] += 1
        else:
            self.hear(message, forwarder)

    # --- the mesh ---------------------------------------------------------------------------

    def tell(self, missed: AbstractSet[GossipMessage]) -> None:
        """Tell some of those outside the mesh what we have of what anybody misses: IHAVE."""
        since = self._network.heartbeats - HISTORY_HEARTBEATS
        history = [heard for beat, heard in self._history if beat > since]
        recent = [message for heard in history for message in heard if message in missed]
        if not recent or self.peer_id in self._network.muted:
            return
        outside = [c for name, c in self._owner.connections.items() if name not in self.mesh]
        for connection in self._network.rng.sample(outside, min(LAZY_DEGREE, len(outside))):
            gossip = connection.gossip
            missing = [m for m in recent if connection.number not in m.heard_by]
            if missing and gossip.judges:
                connection.wire.send(gossip.told, connection.partner, missing)

    def told(self, connection: Connection, messages: list[GossipMessage]) -> None:
        """IHAVE: ask for what we miss (IWANT); it is sent when that arrives."""
        wanted = [m for m in messages if self.number not in m.heard_by]
        if connection.is_open and wanted:
            connection.wire.send(connection.gossip.asked, connection.partner, wanted)

    def asked(self, connection: Connection, messages: list[GossipMessage]) -> None:
        """IWANT: send it."""
        if connection.is_open:
            for message in messages:
                self._send(connection, message)

    def joined(self, connection: Connection) -> None:
        """A connection opened: into the mesh with it, where there is room."""
        if len(self.mesh) < DEGREE or len(connection.gossip.mesh) < DEGREE:
            self._graft(connection)
        self._look_at_degree()
        connection.gossip._look_at_degree()

    def left(self, name: str) -> None:
        """A connection closed."""
        if self.mesh.pop(name, None) is not None:
            self._look_at_degree()

    def _look_at_degree(self) -> None:
        if not DEGREE_LOW <= len(self.mesh) <= DEGREE_HIGH:
            self._network.off_degree[self.peer_id] = None

    def keep_degree(self) -> None:
        """At a heartbeat: take others into the mesh, or out of it, until it has the degree."""
        if len(self.mesh) < DEGREE_LOW:
            outside = [c for name, c in self._owner.connections.items() if name not in self.mesh]
            self._network.rng.shuffle(outside)
            for connection in outside:
                if len(self.mesh) >= DEGREE:
                    break
                self._graft(connection)
        elif len(self.mesh) > DEGREE_HIGH:
            for name in self._network.rng.sample(list(self.mesh), len(self.mesh) - DEGREE):
                pruned = self.mesh.pop(name)
                pruned.gossip.mesh.pop(self.peer_id, None)
                pruned.gossip._look_at_degree()
        self._look_at_degree()

    def _graft(self, connection: Connection) -> None:
        # GRAFT travels in no time, as what matters is who ends up in whose mesh. Nobody refuses it:
        # whose mesh it makes too large prunes at its next heartbeat, as the library does.
        other, partner = connection.gossip, connection.partner
        reachable = self._network.links.is_open(self.peer_id, connection.peer.peer_id)
        if not (self.judges and other.judges and reachable) or partner is None:
            return
        if partner.is_open:
            self.mesh[connection.peer.peer_id] = connection
            other.mesh[self.peer_id] = partner
            other._look_at_degree()
