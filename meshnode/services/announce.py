"""Announcing: says by gossip that this node is there, at its role's pace, and that it leaves."""

from collections.abc import Awaitable, Callable

import trio

from meshnode.core.backoff import Rng
from meshnode.core.consumers import (
    CONSUMER_INTERVAL_MIN_S,
    CONSUMER_INTERVAL_PER_NODE_S,
    consumer_interval_s,
)
from meshnode.core.suspicion import INTERVAL_S
from meshnode.ports import TaskStatus
from meshnode.services.publish import Publisher
from protocols.messages import Presence as PresenceState
from protocols.messages import PresenceUpdate, Role

PROVIDER_INTERVAL_S = INTERVAL_S
JITTER = 0.1
TTL_INTERVALS = 12
# Price updates say that a provider is there, but not where: so often it says that as well.
PRESENCE_EVERY_S = 60.0
PAUSE_MIN_S = 0.5
# What a node says when it starts finds few peers or none, so it says it again before it falls
# into its pace; its prices, too, which would be due again only after a minute. A provider keeps to
# its interval meanwhile: where its connection breaks, nobody waits for longer.
EARLY_INTERVALS_S = {Role.PROVIDER: (2.0, 4.0, 4.0), Role.CONSUMER: (2.0, 8.0)}
# In a network so large that its consumers share a budget, a consumer waits its turn from the start,
# and as long as others use the budget up: where a thousand start together, nobody knows yet how
# many they are. Not for ever: strangers who use it up keep nobody from being known.
BUDGET_WINDOW_S = CONSUMER_INTERVAL_MIN_S
BUDGET_WORDS = int(BUDGET_WINDOW_S / CONSUMER_INTERVAL_PER_NODE_S)
WAIT_INTERVALS_MAX = 3
# A neighbour tells whether there are many; where none has answered yet, its word is waited for.
ANSWER_S = 1.0


class Announcer:
    """Says by gossip that this node is there, at its role's pace, and that it leaves.

    `nodes` gives how many nodes there are as far as we know, ourselves included, `told` as far as
    our neighbours say, and `heard_since(at)` how many consumers have spoken after a moment.
    """

    def __init__(
        self,
        publisher: Publisher,
        nodes: Callable[[], int],
        rng: Rng,
        *,
        role: Role,
        agent: str,
        told: Callable[[], int],
        heard_since: Callable[[float], int],
        addrs: Callable[[], tuple[str, ...]],
        assets: Callable[[], int],
        wait_back_in_touch: Callable[[], Awaitable[None]],
    ) -> None:
        self._publisher = publisher
        self._nodes = nodes
        self._rng = rng
        self._role = role
        self._agent = agent
        self._told = told
        self._heard_since = heard_since
        self._addrs = addrs
        self._assets = assets
        self._wait_back_in_touch = wait_back_in_touch
        self._said_at = -PRESENCE_EVERY_S

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Announce for ever; a provider's price updates count as announcements."""
        task_status.started()
        while True:
            if self._role is Role.PROVIDER:
                await self._begin()
            else:
                await self._join()
            await self._keep_pace()

    async def _begin(self) -> None:
        """A provider is to be known at once."""
        for number, early_s in enumerate(EARLY_INTERVALS_S[self._role]):
            await self._say()
            if number == 1:
                self._publisher.repeat()
            await trio.sleep(early_s)
        await self._say()

    async def _join(self) -> None:
        """A consumer says that it is there when it has peers, and to those who join after it."""
        for early_s in EARLY_INTERVALS_S[self._role]:
            await trio.sleep(early_s)
            if not self._told():  # it may be that there are many
                await trio.sleep(ANSWER_S)
            has_spoken = self._publisher.spoke_at is not None
            # Of a node that is new, a neighbour's word is enough: the worst is that it waits.
            if self._nodes() > BUDGET_WORDS or (not has_spoken and self._told() > BUDGET_WORDS):
                if not has_spoken:
                    await self._wait_for_turn()
                return
            await self._say()

    async def _wait_for_turn(self) -> None:
        began_at = trio.current_time()
        while True:
            interval_s = self._interval_s()
            await trio.sleep(interval_s * self._rng.random())
            now = trio.current_time()
            if self._heard_since(now - BUDGET_WINDOW_S) < BUDGET_WORDS:
                return
            if now - began_at >= WAIT_INTERVALS_MAX * interval_s:
                return

    async def _keep_pace(self) -> None:
        """Until nobody heard us for a while: then it is as when a node starts."""
        while True:
            interval_s = self._interval_s()
            now = trio.current_time()
            spoke_at = self._publisher.spoke_at
            silent = spoke_at is None or now - spoke_at >= interval_s * (1 - JITTER)
            is_due = self._role is Role.PROVIDER and now - self._said_at >= PRESENCE_EVERY_S
            if silent or is_due:
                await self._say()
                spoke_at = self._said_at
            assert spoke_at is not None
            # Never late after a word of this kind: two of a provider that is back are heard within
            # two intervals. Prices are given a little more time, or we would speak beside each.
            was_prices = spoke_at > self._said_at
            jitter = 1 + JITTER if was_prices else 1 - JITTER * self._rng.random()
            with trio.move_on_at(max(spoke_at + interval_s * jitter, now + PAUSE_MIN_S)):
                await self._wait_back_in_touch()
                return

    async def _say(self) -> None:
        await self._publisher.say(self._update(PresenceState.ACTIVE, self._interval_s()))
        self._said_at = trio.current_time()

    async def leave(self) -> None:
        """Tell everybody that this node goes on purpose."""
        await self._publisher.say(
            self._update(PresenceState.LEAVING, self._interval_s()), last=True
        )

    def _interval_s(self) -> float:
        if self._role is Role.PROVIDER:
            return PROVIDER_INTERVAL_S
        return consumer_interval_s(self._nodes())

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
