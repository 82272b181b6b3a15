"""Mallory: a peer like any other to look at, who forges, alters, replays, pretends and poisons.

On the model stack she also sends gossip in others' names, as if the signature of gossip itself were
no hindrance: the envelope's must be enough. What she can do under her own name she does on both.
"""

import hashlib
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import trio
from nacl.signing import SigningKey

from meshnode.config import NodeConfig
from meshnode.core.facts import Fact
from meshnode.core.verdicts import Accepted, Ignored, Reason, Verdict
from meshnode.errors import MeshnodeError
from meshnode.ports import Mesh, Stream
from meshnode.services.frames import Frames
from protocols.envelope import Envelope, open_envelope, seal
from protocols.errors import Malformed
from protocols.ids import PRICES_PROTOCOL, STATUS_PROTOCOL, Topic
from protocols.limits import PRICES_PAGE_BYTES_MAX, STATUS_REPLY_BYTES_MAX
from protocols.messages import PriceUpdate
from protocols.queries import ProofsHeader
from protocols.status import StatusReply
from protocols.timestamps import rfc3339
from simulations.clock import VirtualClock
from simulations.forgeries import Forgeries
from simulations.model_gossip import GossipMessage, ModelGossip
from simulations.poison import Poison
from simulations.stage import Stage
from simulations.world_node import WorldNode

FORGED_MAX = 8  # envelopes in a made-up snapshot
NEIGHBOURS = 50  # made up, in each status: as many as are read


class Adversary:
    """Mallory, connected to some of the nodes. `addr` is where she is reached."""

    def __init__(self, stage: Stage, seed: bytes) -> None:
        self._stage = stage
        self._poison = Poison(random.Random(seed), [node.place for node in stage.nodes])
        self._key = SigningKey(seed)
        self._clock = VirtualClock()
        self._forgeries = Forgeries(stage.rng, self._key)
        self._mesh: Mesh | None = None
        self._saying: Envelope | None = None

    @property
    def addr(self) -> str:
        """Where she is reached."""
        assert self._mesh is not None, "she is there"
        return self._mesh.addrs()[0]

    def judge(self, _topic: Topic, _sender: bytes, data: bytes) -> Verdict:
        """She passes everything on, and remembers what she may use."""
        if self._saying is not None and self._saying.raw == data:
            return Accepted(self._saying)  # whether it can be read or not
        try:
            envelope = open_envelope(data)
        except Malformed:
            return Ignored(Reason.MALFORMED)
        if isinstance(envelope.message.payload, PriceUpdate):
            self._forgeries.hear(envelope)
        return Accepted(envelope)

    async def live(self, mesh: Mesh, victims: Iterable[WorldNode]) -> None:
        """Join, and connect to whoever is there."""
        self._mesh = mesh
        mesh.serve(PRICES_PROTOCOL, self._serve_snapshot)
        mesh.serve(STATUS_PROTOCOL, self._serve_status)
        await mesh.listen()
        for victim in victims:
            try:
                await mesh.connect(victim.addr)
            except MeshnodeError:
                continue  # it is down just now

    async def drain(self, mesh: Mesh) -> None:
        """Take whatever gossip brings, or its queue would be full."""
        while True:
            await mesh.gossip.receive()

    async def attack(self) -> None:
        """One attack, drawn by chance; none before she has heard anything."""
        assert self._mesh is not None, "she is there"
        make = self._forgeries
        if not make.have_heard:
            return
        gossip = self._mesh.gossip
        if isinstance(gossip, ModelGossip):
            attacks: tuple[Callable[[], Envelope], ...] = (
                make.forged,
                make.altered,
                make.replayed,
                make.old,
                make.from_the_future,
            )
            self._inject(gossip, self._stage.rng.choice(attacks)())
            return
        await gossip.publish(Topic.PRICES, make.from_the_future().raw)

    async def attack_openly(self) -> None:
        """One attack in gossip of her own, on either stack; none before she has heard anything.

        Whoever has no allowlist is right to take her prices, where nothing else is wrong with them.
        """
        assert self._mesh is not None, "she is there"
        make = self._forgeries
        if not make.have_heard:
            return
        attacks: tuple[Callable[[], Envelope], ...] = (
            make.own,
            make.own_again,
            make.in_another_form,
            make.forged,
            make.recent,  # it is genuine, but she is not its author
        )
        self._saying = self._stage.rng.choice(attacks)()
        await self._mesh.gossip.publish(Topic.PRICES, self._saying.raw)

    async def poison(self) -> None:
        """Say of a node that there is not, or of herself, that it is where nobody should knock."""
        assert self._mesh is not None, "she is there"
        gossip, presence = self._mesh.gossip, self._poison.presence()
        if isinstance(gossip, ModelGossip):
            nobody = self._poison.nobody()
            self._inject(gossip, seal(self._forgeries.message(nobody, presence), nobody))
            return
        await gossip.publish(
            Topic.PRESENCE, seal(self._forgeries.message(self._key, presence), self._key).raw
        )

    def _inject(self, gossip: ModelGossip, envelope: Envelope) -> None:
        message = envelope.message
        gossip.inject(GossipMessage(message.author, message.topic, envelope.raw))

    async def _serve_status(self, stream: Stream) -> None:
        """What a node answers its neighbours, but for the neighbours of its own."""
        assert self._mesh is not None, "she is there"
        frames = Frames(stream, STATUS_REPLY_BYTES_MAX)
        await frames.receive()
        values = {
            "node_id": self._mesh.peer_id,
            "network": "main",
            "time": rfc3339(self._clock.now_ns()),
            "active_providers": (),
            "peers": tuple(self._poison.peer() for _ in range(NEIGHBOURS)),
        }
        await frames.send(StatusReply(values).to_bytes())

    async def _serve_snapshot(self, stream: Stream) -> None:
        """Forged prices for whoever joins and asks."""
        frames = Frames(stream, PRICES_PAGE_BYTES_MAX)
        await frames.receive()
        make = self._forgeries
        forged = [make.forged().raw for _ in range(FORGED_MAX)] if make.have_heard else []
        await frames.send(ProofsHeader(len(forged), None).to_bytes())
        for raw in forged:
            await frames.send(raw)


class _Deaf:
    def observe(self, fact: Fact) -> None:
        """What befalls mallory is not looked at."""


@asynccontextmanager
async def open_adversary(stage: Stage, victims: Iterable[WorldNode]) -> AsyncIterator[Adversary]:
    """Mallory among the peers of these nodes, until this is left."""
    seed = hashlib.sha256(f"mallory {stage.rng.getrandbits(64)}".encode()).digest()
    mallory = Adversary(stage, seed)
    stage.faults.tell("mallory joins")
    async with (
        stage.world.network.open_mesh(
            NodeConfig(), key_seed=seed, judge=mallory.judge, observer=_Deaf()
        ) as mesh,
        trio.open_nursery() as nursery,
    ):
        stage.faults.strangers += 1
        await mallory.live(mesh, victims)
        nursery.start_soon(mallory.drain, mesh)
        yield mallory
        nursery.cancel_scope.cancel()
    stage.faults.strangers -= 1
    stage.faults.tell("mallory is gone")
