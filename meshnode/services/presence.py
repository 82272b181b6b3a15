"""Presence: says that we are there, and keeps track of who else is."""

from collections.abc import Callable, Iterable

import trio

from meshnode.core.backoff import Rng
from meshnode.core.facts import (
    Fact,
    OutageEnded,
    OutageExtended,
    OutageStarted,
    ProviderDiscovered,
    ProviderLost,
    ProviderReturned,
)
from meshnode.core.outage import OutageClock
from meshnode.core.providers import Providers
from meshnode.ports import Observer, TaskStatus, WallClock
from meshnode.services.feed import Feed, OutageChanged, ProviderChanged
from meshnode.services.publish import Publisher
from protocols.messages import Presence as PresenceState
from protocols.messages import PresenceUpdate, PriceUpdate, Role

PROVIDER_INTERVAL_S = 5.0
# Consumers share a budget of one message in two seconds for the whole network, so that a node's
# work does not grow with the number of nodes.
CONSUMER_INTERVAL_MIN_S = 60.0
CONSUMER_INTERVAL_PER_NODE_S = 2.0
JITTER = 0.1
TTL_INTERVALS = 12
# Price updates say that a provider is there, but not where: so often it says that as well.
PRESENCE_EVERY_S = 60.0
PAUSE_MIN_S = 0.5
# What a node says when it starts finds few peers or none, so it says it again before it falls
# into its pace.
EARLY_INTERVALS_S = (2.0, 8.0)


class Presence:
    """The tracker of providers and the outage clock, fed with what is heard and what breaks."""

    def __init__(
        self,
        providers: Providers,
        outage: OutageClock,
        observer: Observer,
        feed: Feed,
        wall_clock: WallClock,
        *,
        own_id: str,
    ) -> None:
        self.providers = providers
        self.outage = outage
        self._observer = observer
        self._feed = feed
        self._wall_clock = wall_clock
        self._own_id = own_id

    def heard(self, author: bytes, payload: PriceUpdate | PresenceUpdate, issued_ns: int) -> None:
        """An accepted message, our own included."""
        now, now_ns = trio.current_time(), self._wall_clock.now_ns()
        facts = self.providers.heard(author, payload, issued_ns, now, now_ns)
        if facts or self.outage.since_ns is not None:  # else nothing has changed, for most messages
            self._tell(facts)

    def connection_lost(self, peer_id: str) -> None:
        """The last connection to a peer broke."""
        self._tell(self.providers.connection_lost(peer_id, trio.current_time()))

    def sweep(self) -> None:
        """Let time count: silence, and the length of an outage."""
        self._tell(self.providers.sweep(trio.current_time()))

    def _tell(self, facts: Iterable[Fact]) -> None:
        now, now_ns = trio.current_time(), self._wall_clock.now_ns()
        changes = self.outage.update(
            provider_active=bool(self.providers.active()),
            last_sign_at=self.providers.last_sign_at(),
            now=now,
            now_ns=now_ns,
        )
        for fact in (*facts, *changes):
            match fact:
                case ProviderDiscovered() | ProviderReturned() | ProviderLost():
                    if fact.provider_id == self._own_id:
                        continue  # that we are there is no news to us
                    self._feed.publish(ProviderChanged(fact))
                case OutageStarted() | OutageExtended() | OutageEnded():
                    self._feed.publish(OutageChanged(fact))
                case _:
                    pass
            self._observer.observe(fact)


class Announcer:
    """Says by gossip that this node is there, at its role's pace, and that it leaves."""

    def __init__(
        self,
        publisher: Publisher,
        providers: Providers,
        rng: Rng,
        *,
        role: Role,
        agent: str,
        addrs: Callable[[], tuple[str, ...]],
        assets: Callable[[], int],
    ) -> None:
        self._publisher = publisher
        self._providers = providers
        self._rng = rng
        self._role = role
        self._agent = agent
        self._addrs = addrs
        self._assets = assets

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Announce for ever; a provider's price updates count as announcements."""
        task_status.started()
        for early_s in EARLY_INTERVALS_S:
            await self._publisher.say(self._update(PresenceState.ACTIVE, self._interval_s()))
            await trio.sleep(early_s)
        said_at = -PRESENCE_EVERY_S
        while True:
            interval_s = self._interval_s()
            now = trio.current_time()
            spoke_at = self._publisher.spoke_at
            silent = spoke_at is None or now - spoke_at >= interval_s * (1 - JITTER)
            if silent or now - said_at >= PRESENCE_EVERY_S:
                await self._publisher.say(self._update(PresenceState.ACTIVE, interval_s))
                spoke_at = said_at = trio.current_time()
            assert spoke_at is not None
            jitter = 1 + JITTER * (2 * self._rng.random() - 1)
            await trio.sleep_until(max(spoke_at + interval_s * jitter, now + PAUSE_MIN_S))

    async def leave(self) -> None:
        """Tell everybody that this node goes on purpose."""
        await self._publisher.say(self._update(PresenceState.LEAVING, self._interval_s()))

    def _interval_s(self) -> float:
        if self._role is Role.PROVIDER:
            return PROVIDER_INTERVAL_S
        known = len(self._providers.present()) + 1
        return max(CONSUMER_INTERVAL_MIN_S, known * CONSUMER_INTERVAL_PER_NODE_S)

    def _update(self, state: PresenceState, interval_s: float) -> PresenceUpdate:
        interval_ms = int(interval_s * 1000)
        return PresenceUpdate(
            role=self._role,
            state=state,
            interval_ms=interval_ms,
            ttl_ms=interval_ms * TTL_INTERVALS,
            addrs=self._addrs(),
            agent=self._agent,
            assets=self._assets(),
        )
