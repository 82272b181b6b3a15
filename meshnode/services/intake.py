"""Intake: accepted messages into the book, the outbox, the feed and the tracker of providers."""

import trio

from meshnode.core.book import Applied, Book
from meshnode.core.outbox import Outbox
from meshnode.core.verdicts import Accepted
from meshnode.ports import Gossip, TaskStatus, WallClock
from meshnode.services.feed import Feed, PricesChanged
from meshnode.services.presence import FIRST_PRICES, Presence
from meshnode.services.remember import Remember
from protocols.envelope import Envelope
from protocols.messages import PresenceUpdate, PriceUpdate, Reserved, Role

_NOTHING = Applied()


class Intake:
    """Takes messages in the order in which they were accepted; nothing it does can block it."""

    def __init__(
        self,
        gossip: Gossip,
        book: Book,
        outbox: Outbox,
        feed: Feed,
        presence: Presence,
        remember: Remember,
        wall_clock: WallClock,
    ) -> None:
        self._gossip = gossip
        self._book = book
        self._outbox = outbox
        self._feed = feed
        self._presence = presence
        self._remember = remember
        self._wall_clock = wall_clock
        self.updates = 0

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Take in whatever gossip accepts, for ever."""
        task_status.started()
        await self._gossip.deliver(self._take_accepted)

    def take(self, envelope: Envelope) -> None:
        """Apply one message that was heard live."""
        message = envelope.message
        payload, begins = message.payload, False
        match payload:
            case PriceUpdate():
                begins = message.seq <= FIRST_PRICES
                applied = self._book.apply(envelope, self._wall_clock.now_ns())
                self.updates += 1
                # The mark travels with what the message changed, in one batch: a mark on disk
                # without its quotes would make the quotes count as seen, and lose them.
                self._outbox.put(applied, message.name)
                if applied.changed:
                    self._feed.publish(PricesChanged(applied.changed))
            case PresenceUpdate(role=Role.CONSUMER):
                self._outbox.raise_mark(message.name)
            case PresenceUpdate():
                self._outbox.put(_NOTHING, message.name)
            case Reserved():
                self._outbox.put(_NOTHING, message.name)
                return  # relayed, not applied
        self._remember.heard(message.author, payload, message.issued_ns)
        self._presence.heard(message.author, payload, message.issued_ns, begins=begins)

    def take_held(self, envelope: Envelope) -> bool:
        """Apply one price update out of a peer's memory; returns whether it changed anything.

        It raises no mark and is no sign of life of its author.
        """
        applied = self._book.apply(envelope, self._wall_clock.now_ns(), live=False)
        self._outbox.put(applied)
        if applied.changed:
            self._feed.publish(PricesChanged(applied.changed))
        return bool(applied.changed)

    def _take_accepted(self, accepted: Accepted) -> None:
        self.take(accepted.envelope)
