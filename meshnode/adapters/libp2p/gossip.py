"""The two topics of one network: what is taken in, and what is said."""

from collections import Counter, deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from meshnode.adapters.libp2p.settings import INTAKE_WAIT_S
from meshnode.adapters.libp2p.turn import Turn
from meshnode.adapters.waker import Waker
from meshnode.core.verdicts import Accepted, Ignored, Reason, Rejected, Verdict
from meshnode.errors import PublishRefused
from meshnode.ports import GossipStatistics, Judge
from protocols.ids import Topic

if TYPE_CHECKING:
    from meshnode.adapters.libp2p.pubsub import MeshPubsub


class Intake:
    """Judges gossip messages, queues the accepted, counts all.

    At most `inbound_max` accepted messages wait. Beyond, whoever reads from a peer waits for room
    for INTAKE_WAIT_S; then a message is ignored as busy, before it is judged, hence before its name
    is marked: it may come again.
    """

    def __init__(self, network: str, judge: Judge, inbound_max: int) -> None:
        self.topics = {topic.on(network): topic for topic in Topic}
        self._judge = judge
        self._inbound_max = inbound_max
        # The bound is kept by asking `is_full` before judging: a full queue would lose a message
        # whose name is marked already.
        self._queue: deque[Accepted] = deque()
        self._arrival = Waker()
        self._room = trio.lowlevel.ParkingLot()
        self._turn = Turn()
        self.accepted = 0
        self.ignored: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()

    def is_full(self) -> bool:
        """Whether no more may be accepted for now."""
        return self.queued() >= self._inbound_max

    def queued(self) -> int:
        """How many accepted messages wait."""
        return len(self._queue)

    def judge(self, topic: str, key: bytes, data: bytes) -> Verdict:
        """Judge a message of one of our topics; an accepted one is queued."""
        verdict = self._judge(self.topics[topic], key, data)
        if isinstance(verdict, Accepted):
            self._queue.append(verdict)
            self._arrival.wake()
        return self.count(verdict)

    def count(self, verdict: Verdict) -> Verdict:
        """Count a verdict and return it."""
        match verdict:
            case Accepted():
                self.accepted += 1
            case Ignored(reason=reason):
                self.ignored[reason.value] += 1
            case Rejected(reason=reason):
                self.rejected[reason.value] += 1
        return verdict

    async def wait_room(self) -> None:
        """Wait until one more may be accepted, but not for ever."""
        with trio.move_on_after(INTAKE_WAIT_S):
            while self.is_full():
                await self._room.park()

    async def receive(self) -> Accepted:
        """The next accepted message; one by one, yet not one for every round of the scheduler."""
        if self._queue and self._turn.is_over(len(self._queue[0].envelope.raw)):
            await trio.lowlevel.checkpoint()
        else:
            await trio.lowlevel.checkpoint_if_cancelled()
        while not self._queue:
            await self._arrival.wait()
        accepted = self._queue.popleft()
        if self._room:
            self._room.unpark_all()
        return accepted


class MeshGossip:
    """The port's Gossip over GossipSub."""

    def __init__(self, pubsub: "MeshPubsub", intake: Intake, network: str) -> None:
        self._pubsub = pubsub
        self._intake = intake
        self._network = network

    async def publish(self, topic: Topic, data: bytes) -> None:
        """Say something. Raises PublishRefused where we ourselves would not accept it."""
        match await self._pubsub.say(topic.on(self._network), data):
            case Accepted():
                return
            case Ignored(reason=reason) | Rejected(reason=reason):
                raise PublishRefused(reason.value)
            case None:
                raise PublishRefused(Reason.KNOWN.value)

    async def receive(self) -> Accepted:
        """The next accepted message of either topic, our own included."""
        return await self._intake.receive()

    async def deliver(self, take: Callable[[Accepted], None]) -> None:
        """See `Gossip.deliver`."""
        while True:
            take(await self._intake.receive())

    async def flush(self) -> None:
        """Wait until what was published has been handed to the network; the caller's deadline."""
        await self._pubsub.flush()

    def statistics(self) -> GossipStatistics:
        """What went through."""
        return GossipStatistics(
            accepted=self._intake.accepted,
            ignored=dict(self._intake.ignored),
            rejected=dict(self._intake.rejected),
            duplicates=self._pubsub.duplicates,
            dropped_inbound=self._intake.ignored[Reason.BUSY.value],
            dropped_outbound=self._pubsub.router.dropped_messages,
            queued=self._intake.queued(),
        )
