"""Presence: keeps track of who is there, and of how long nobody is."""

import math
from collections.abc import Callable, Mapping, Sequence

import trio

from meshnode.core.facts import (
    Fact,
    IsolationEnded,
    IsolationStarted,
    OutageEnded,
    OutageFact,
    OutageStarted,
    ProcessPaused,
    ProviderFact,
    ProviderReturned,
    ProviderSuspected,
)
from meshnode.core.isolation import Isolation
from meshnode.core.outage import OutageCause, OutageClock, cause_of
from meshnode.core.partition import Headcount
from meshnode.core.providers import Providers
from meshnode.core.skew import Refusals
from meshnode.core.suspicion import INTERVAL_S, REARMED_INTERVALS, Verdict
from meshnode.ports import Observer, WallClock
from meshnode.services.feed import Feed, OutageChanged, ProviderChanged
from protocols.ids import key_from_peer_id
from protocols.messages import PresenceUpdate, PriceUpdate

# The last number of the prices that a process says as it starts, and repeats: who hears them has
# missed nothing of it.
FIRST_PRICES = 2
BEGAN_WITHIN_S = 30.0
# What was said longer ago may have been waiting behind a connection that hangs.
IN_TOUCH_NS = 15 * 10**9
# Gossip brings what we did not hear for a while; of one gone for longer, prices may be missing.
MISSED_AFTER_S = 20.0
# Who comes and goes does not make us say again and again that we are there, and all our prices.
MET_EVERY_S = 20.0
# Its cause changes with what becomes of providers, at once; with who falls silent, slowly.
EXPLAIN_EVERY_S = 5.0


class Presence:
    """The tracker of providers and the outage clock, fed with what is heard and what breaks.

    `wall_clock` is what messages are judged by; `skewed` tells, at a Unix time, which authors are
    refused for their time, and `any_skewed` whether any may be. Everything here is synchronous:
    others may rely on it at once.
    """

    def __init__(
        self,
        providers: Providers,
        outage: OutageClock,
        observer: Observer,
        feed: Feed,
        wall_clock: WallClock,
        *,
        own_id: str,
        skewed: Callable[[int], Mapping[bytes, Refusals]],
        any_skewed: Callable[[], bool],
    ) -> None:
        self.providers = providers
        self.outage = outage
        self.isolation = Isolation(trio.current_time())
        self._observer = observer
        self._feed = feed
        self._wall_clock = wall_clock
        self._own_id = own_id
        self._own_key = key_from_peer_id(own_id)
        self._skewed = skewed
        self._any_skewed = any_skewed
        self._was_isolated = False  # when time was last let count
        self._headcount: Headcount | None = None
        self._suspected = trio.Event()
        self._back_in_touch = trio.Event()
        self._returned = trio.Event()
        self._met_at = -math.inf  # somebody whom we may have missed
        self._explain_at = -math.inf  # until then, time alone makes nothing else of an outage
        self._extends_at = math.inf  # when it counts as extended

    # --- what happens -----------------------------------------------------------------------

    def heard(
        self,
        author: bytes,
        payload: PriceUpdate | PresenceUpdate,
        issued_ns: int,
        *,
        begins: bool = False,
    ) -> None:
        """An accepted message, our own included; `begins`: it has the first prices of a process."""
        now, now_ns = trio.current_time(), self._wall_clock.now_ns()
        if author == self._own_key:
            issued_ns = now_ns  # our own clock may be wrong, but we are there
        elif now_ns - issued_ns < IN_TOUCH_NS:
            self._in_touch(now)
        facts = self.providers.heard(author, payload, issued_ns, now, now_ns, begins=begins)
        if facts:  # of most messages nothing follows
            self._tell(facts, now, now_ns)

    def node_connected(self) -> None:
        """A node connected. While we miss a provider, it may be of those who miss us."""
        now = trio.current_time()
        if now >= self._met_at + MET_EVERY_S and self.providers.misses_any(now):
            self._met_at = now
            self._back_in_touch.set()

    def connection_lost(self, peer_id: str) -> None:
        """The last connection to a peer broke, and we did not close it to have fewer."""
        now = trio.current_time()
        self._tell_now(self.providers.doubts.connection_lost(peer_id, now))
        if self.suspect_since(peer_id) >= now:
            self._suspected.set()  # it may have been so before: what was found then is of then

    def dial_refused(self, peer_id: str) -> None:
        """A fresh dial of a peer after its connection broke was refused, not just unanswered."""
        self._tell_now(self.providers.doubts.dial_refused(peer_id, trio.current_time()))

    def node_answered(self) -> None:
        """A node answered a ping: we are not cut off."""
        self._in_touch(trio.current_time())

    def paused(self, late_s: float) -> None:
        """Our own process did not run for so long."""
        now = trio.current_time()
        self.providers.doubts.rearm(now)
        self.isolation.paused(now, REARMED_INTERVALS * INTERVAL_S)
        self._back_in_touch.set()
        self._tell_now([ProcessPaused(late_s)])

    def sweep(self) -> float:
        """Let time count: silence, and the length of an outage.

        When it may count next, but for what need not be seen to the second: what an outage comes
        of, and that a consumer says no more.
        """
        now = trio.current_time()
        until = self._presses_at()
        if now < until and now < self._can_wait_till() and self._is_calm():
            return until  # as nearly always: it is asked at every beat
        now_ns = self._wall_clock.now_ns()
        facts: list[Fact] = []
        if self.isolation.check(now):
            facts.append(IsolationStarted(self.isolation.silent_s(now)))
        refused = self._skewed(now_ns)
        facts += self.providers.doubts.sweep(
            now, now_ns, isolated=self.isolation.is_isolated, refused=refused
        )
        self._was_isolated = self.isolation.is_isolated
        self.providers.expire(now)
        self._tell(facts, now, now_ns)
        return now if refused else self._presses_at()

    def _is_calm(self) -> bool:
        """Whether nothing has happened that a sweep has to see, so that time alone counts."""
        is_isolated = self.isolation.is_isolated
        return is_isolated == self._was_isolated and not self._any_skewed()

    def _presses_at(self) -> float:
        return min(self.isolation.begins_at, self.providers.doubts.look_at, self._extends_at)

    def _can_wait_till(self) -> float:
        return min(self._explain_at, self.providers.expires_at)

    # --- suspects ---------------------------------------------------------------------------

    def suspects(self) -> Mapping[str, int]:
        """About whom others should be asked: peer id → Unix ns of its last sign of life to us."""
        return {record.peer_id: record.last_seen_ns for record in self.providers.doubts.suspects()}

    def suspect_since(self, peer_id: str) -> float:
        """When one of these became suspect, or its connection last broke, if that was later."""
        record = self.providers.find(peer_id)
        return -math.inf if record is None or not record.suspicion else record.suspicion.since

    def any_broken_off(self) -> bool:
        """Whether any of them is suspect because a connection to it broke."""
        return any(record.is_broken_off for record in self.providers.doubts.suspects())

    def asked(self, peer_id: str, about: str, verdict: Verdict, seen_ns: int = 0) -> None:
        """A peer was asked about a suspect, which it saw last at `seen_ns` (Unix time)."""
        now = trio.current_time()
        if verdict is Verdict.SKEWED:
            seen_at = now - (self._wall_clock.now_ns() - seen_ns) / 1e9
            self._tell_now(self.providers.doubts.refused_elsewhere(about, seen_at, seen_ns, now))
        else:
            self._tell_now(self.providers.doubts.asked(peer_id, about, verdict, seen_ns, now))

    def nobody_to_ask(self, about: str) -> None:
        """No peer is connected that could be asked about a suspect."""
        self._tell_now(self.providers.doubts.nobody_to_ask(about, trio.current_time()))

    async def wait_suspected(self) -> None:
        """Wait until somebody becomes suspect."""
        self._suspected = trio.Event()
        await self._suspected.wait()

    async def wait_returned(self) -> None:
        """Wait until a provider is back of which we missed prices.

        It was silent for long, and did not just start again: that we would have heard.
        """
        await self._returned.wait()
        self._returned = trio.Event()

    async def wait_back_in_touch(self) -> None:
        """Wait until others may hear us again who did not for a while.

        Somebody answers after nobody did, we run again after a pause, or a node connects while we
        miss a provider. One at a time; what happened since the last call counts, too.
        """
        await self._back_in_touch.wait()
        self._back_in_touch = trio.Event()

    # --- inside -----------------------------------------------------------------------------

    def _tell_now(self, facts: Sequence[Fact]) -> None:
        self._tell(facts, trio.current_time(), self._wall_clock.now_ns())

    def _tell(self, facts: Sequence[Fact], now: float, now_ns: int) -> None:
        is_there, is_out = self.providers.any_active, self.outage.since is not None
        if not facts and is_there != is_out and (is_there or now < self._explain_at):
            return  # as nearly always: nothing that time could change either
        changes = self.outage.update(
            provider_active=is_there,
            last_sign_at=self.providers.last_sign_at(),
            now=now,
            now_ns=now_ns,
            cause=OutageCause.UNKNOWN if is_there else self._cause(now),
        )
        left_s = self.outage.extends_in_s(now)
        self._extends_at = math.inf if left_s is None else now + left_s
        self._explain_at = math.inf if is_there else min(now + EXPLAIN_EVERY_S, self._extends_at)
        for fact in (*facts, *changes):
            self._note(fact)
            if isinstance(fact, ProviderFact):
                if fact.provider_id == self._own_id:
                    continue  # that we are there is no news to us
                self._feed.publish(ProviderChanged(fact))
            elif isinstance(fact, OutageFact):
                self._feed.publish(OutageChanged(fact))
            self._observer.observe(fact)

    def _in_touch(self, now: float) -> None:
        relief = self.isolation.answered(now)
        if relief is None:
            return  # as nearly always
        self._back_in_touch.set()
        if relief.isolated_s is not None:
            self.providers.doubts.rearm(now)
            self._tell_now([IsolationEnded(relief.isolated_s)])

    def _cause(self, now: float) -> OutageCause:
        since, split = self.outage.since, False
        if self._headcount is not None and since is not None:
            heard = self.providers.consumers_heard_again(since)
            split = self._headcount.is_split(heard, now)
        return cause_of(self.providers.states(), isolated=self.isolation.is_isolated, split=split)

    def _was_missed(self, back: ProviderReturned) -> bool:
        record = self.providers.find(back.provider_id)
        began_at = None if record is None else record.began_at
        has_begun = began_at is not None and trio.current_time() - began_at < BEGAN_WITHIN_S
        return back.gone_s >= MISSED_AFTER_S and not has_begun

    def _note(self, fact: Fact) -> None:
        match fact:
            case ProviderSuspected() | IsolationEnded():
                self._suspected.set()
            case ProviderReturned() if self._was_missed(fact):
                self._returned.set()
            case OutageStarted() if self.outage.since is not None:
                since = self.outage.since
                self._headcount = Headcount(
                    since,
                    self.providers.heard_until(since),
                    self.providers.consumers_known_at(since),
                )
            case OutageEnded():
                self._headcount = None
            case _:
                pass
