"""The feed: what changes, to whoever watches. A slow watcher loses its oldest, never delays us."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import trio

from meshnode.core.facts import OutageFact, ProviderFact
from meshnode.core.modes import Mode
from meshnode.core.records import StoredQuote

FEED_BUFFER_EVENTS_MAX = 256  # a watcher's; beyond it the oldest are dropped and counted


@dataclass(frozen=True, slots=True)
class PricesChanged:
    """Quotes that are now the newest of their provider."""

    quotes: Sequence[StoredQuote]


@dataclass(frozen=True, slots=True)
class ProviderChanged:
    """What became of a provider."""

    fact: ProviderFact


@dataclass(frozen=True, slots=True)
class OutageChanged:
    """An outage began, was explained, lasted ten minutes, or ended."""

    fact: OutageFact


@dataclass(frozen=True, slots=True)
class ModeChanged:
    """The node's mode is another."""

    mode: Mode


@dataclass(frozen=True, slots=True)
class WarningsChanged:
    """The warnings in force are others."""

    codes: tuple[str, ...]


FeedEvent: TypeAlias = (
    PricesChanged | ProviderChanged | OutageChanged | ModeChanged | WarningsChanged
)


class Subscription:
    """One watcher's buffer."""

    def __init__(self) -> None:
        self._events: deque[FeedEvent] = deque()
        self._arrived = trio.Event()
        self._missed = 0

    def push(self, event: FeedEvent) -> None:
        """Add an event; the oldest goes when the buffer is full."""
        if len(self._events) >= FEED_BUFFER_EVENTS_MAX:
            self._events.popleft()
            self._missed += 1
        self._events.append(event)
        self._arrived.set()

    async def wait_events(self) -> tuple[list[FeedEvent], int]:
        """All that has come since the last call, at least one, and how many were missed."""
        while not self._events:
            self._arrived = trio.Event()
            await self._arrived.wait()
        events, missed = list(self._events), self._missed
        self._events.clear()
        self._missed = 0
        return events, missed


class Feed:
    """Passes events to every subscription there is."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()
        # Called when somebody watches after nobody did.
        self.on_watched: Callable[[], None] = lambda: None

    def publish(self, event: FeedEvent) -> None:
        """Tell everybody; never blocks."""
        for subscription in self._subscriptions:
            subscription.push(event)

    @contextmanager
    def subscribe(self) -> Iterator[Subscription]:
        """A subscription for as long as the context lasts."""
        subscription = Subscription()
        if not self._subscriptions:
            self.on_watched()
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    @property
    def watchers(self) -> int:
        """How many subscriptions there are."""
        return len(self._subscriptions)
