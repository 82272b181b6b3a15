"""Real hosts over loopback TCP, for tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

import trio

from meshnode.adapters.libp2p.host import open_mesh
from meshnode.adapters.libp2p.settings import MeshSettings
from meshnode.core.facts import Fact, PeerMisbehaved
from meshnode.core.verdicts import Accepted, Verdict
from meshnode.ports import Judge, Mesh
from protocols.envelope import Envelope
from protocols.ids import Topic
from protocols.messages import Message, Reserved


def accept(topic: Topic, key: bytes, data: bytes) -> Verdict:
    """A judge who takes anything."""
    return Accepted(Envelope(data, b"", b"", Message("test", key, 1, 1, 0, Reserved(31, ()))))


def seed_of(name: str) -> bytes:
    """The key seed of a name, always the same."""
    return sha256(name.encode()).digest()


class Facts:
    """An observer that remembers, and can be waited for."""

    def __init__(self) -> None:
        self.seen: list[Fact] = []
        self._changed = trio.Event()

    def observe(self, fact: Fact) -> None:
        self.seen.append(fact)
        self._changed.set()

    @property
    def misbehaved(self) -> list[PeerMisbehaved]:
        """What was held against peers."""
        return [fact for fact in self.seen if isinstance(fact, PeerMisbehaved)]

    async def misbehaviour(self, peer_id: str) -> PeerMisbehaved:
        """The first time that a guard had to act on a peer's account."""
        with trio.fail_after(5):
            while True:
                for fact in self.seen:
                    if isinstance(fact, PeerMisbehaved) and fact.peer_id == peer_id:
                        return fact
                self._changed = trio.Event()
                await self._changed.wait()


class LibP2PWorld:
    """Nodes on 127.0.0.1, each on a port of its own."""

    def __init__(self) -> None:
        self.facts = Facts()

    @asynccontextmanager
    async def node(
        self, name: str, judge: Judge = accept, settings: MeshSettings | None = None
    ) -> AsyncIterator[Mesh]:
        """A node that listens; its key is its name's."""
        async with open_mesh(
            settings or MeshSettings(), key_seed=seed_of(name), judge=judge, observer=self.facts
        ) as mesh:
            await mesh.listen()
            yield mesh
