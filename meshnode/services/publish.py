"""Publishing: seals what this node says, in order, and says the prices that are due."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import trio
from nacl.signing import SigningKey

from meshnode.core.publication import Publication
from meshnode.errors import MeshnodeError
from meshnode.ports import Gossip, TaskStatus, WallClock
from protocols.envelope import Envelope, seal
from protocols.ids import Topic
from protocols.messages import Message, Payload, PriceUpdate
from protocols.quotes import Quote


@dataclass(frozen=True, slots=True)
class PublisherStatistics:
    """Counts since the start: messages said, those gossip refused, and offers without room."""

    said: int
    failed: int
    assets_refused: int


class Publisher:
    """The one voice of this node: everything it says on either topic is said here.

    `epoch` must be new (`Store.begin_epoch`); numbers start at 1 on each topic. `vouch` is told of
    each envelope before gossip gets it.
    """

    def __init__(
        self,
        publication: Publication,
        gossip: Gossip,
        wall_clock: WallClock,
        *,
        key: SigningKey,
        network: str,
        epoch: int,
        vouch: Callable[[Envelope], None],
    ) -> None:
        self._publication = publication
        self._gossip = gossip
        self._wall_clock = wall_clock
        self._key = key
        self._author = bytes(key.verify_key)
        self._network = network
        self._epoch = epoch
        self._vouch = vouch
        self._seqs = dict.fromkeys(Topic, 0)
        self._turn = trio.Lock()
        self._due_changed = trio.Event()
        self._spoke_at: float | None = None
        self._has_said_last = False
        self._said = 0
        self._failed = 0

    @property
    def spoke_at(self) -> float | None:
        """When, by trio's clock, this node last said anything; None before the first time."""
        return self._spoke_at

    @property
    def assets(self) -> int:
        """How many assets this node provides."""
        return self._publication.assets

    def statistics(self) -> PublisherStatistics:
        """What was said so far."""
        return PublisherStatistics(self._said, self._failed, self._publication.refused)

    def newest(self, asset: str) -> Quote | None:
        """The newest quote that was offered of an asset."""
        return self._publication.newest(asset)

    def offer(self, quote: Quote) -> bool:
        """Have a checked quote published when it is due; False without room for its asset."""
        window_ends_at = self._publication.window_ends_at
        has_room = self._publication.offer(quote, trio.current_time())
        # Nothing else becomes due earlier by an offer; what becomes due later is found out then.
        if self._publication.window_ends_at != window_ends_at:
            self._due_changed.set()
        return has_room

    def repeat(self) -> None:
        """Have every price said again soon: when it was said, perhaps nobody could hear it."""
        self._publication.repeat(trio.current_time())
        self._due_changed.set()

    async def say(self, payload: Payload, *, last: bool = False) -> Envelope:
        """Seal a payload under the next number and hand it to gossip.

        A message that gossip could not take is counted; its number is not used again, because
        somebody may have got it. After the `last` word nothing is said: who would speak waits to be
        cancelled, for prices behind a farewell would bring the author back.
        Raises Malformed for a payload that no receiver would take.
        """
        async with self._turn:  # numbers are given in the order of sending
            if self._has_said_last:
                await trio.sleep_forever()
            self._has_said_last = last
            envelope = self._sealed(payload)
            self._vouch(envelope)
            try:
                await self._gossip.publish(envelope.message.topic, envelope.raw)
            except MeshnodeError:
                # Presence is said again within seconds, prices within a minute.
                self._failed += 1
            else:
                self._said += 1
                self._spoke_at = trio.current_time()
        return envelope

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Say prices as they become due, for ever."""
        task_status.started()
        while True:
            for quotes in self._publication.take(trio.current_time()):
                await self.say(PriceUpdate(quotes))
            due_at = self._publication.due_at()
            self._due_changed = trio.Event()
            with trio.move_on_at(math.inf if due_at is None else due_at):
                await self._due_changed.wait()

    def _sealed(self, payload: Payload) -> Envelope:
        message = Message(
            self._network,
            self._author,
            self._epoch,
            seq=0,
            issued_ns=self._wall_clock.now_ns(),
            payload=payload,
        )
        self._seqs[message.topic] += 1
        return seal(replace(message, seq=self._seqs[message.topic]), self._key)
