"""A sweep passes over providers whose turn has not come: what it finds is found in time."""

import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from nacl.signing import SigningKey

from meshnode.core.doubts import Doubts
from meshnode.core.facts import Fact
from meshnode.core.skew import Refusals
from meshnode.core.suspicion import Verdict
from protocols.messages import Presence
from tests.cast import ALICE, CAROL, id_of, key_of, presence
from tests.core.bobs_view import Bob, wall

PROVIDERS = st.sampled_from([ALICE, CAROL])


def test_between_two_words_of_a_provider_nobody_is_looked_at() -> None:
    bob = Bob()
    bob.hears(100)
    assert not bob.sweeps(101)
    assert bob.providers.doubts.look_at == pytest.approx(115, abs=1)
    assert [s for s in range(102, 117) if bob.sweeps(s)] == [115]


def test_who_broke_off_is_looked_at_at_once() -> None:
    bob = Bob()
    bob.hears(100)
    assert not bob.sweeps(101)
    bob.loses_connection(101)
    bob.is_refused(101)
    bob.is_told(101, Verdict.UNKNOWN)
    assert [s for s in range(102, 110) if bob.sweeps(s)] == [106]


def test_who_speaks_puts_off_the_look_at_nobody_else() -> None:
    bob = Bob()
    bob.hears(100)
    found = []
    for s in range(101, 120):
        if s % 4 == 0:
            bob.hears(s, presence(), by=key_of(CAROL))
        found += [s for _ in bob.sweeps(s)]
    assert found == [115]


def test_who_is_remembered_is_looked_at() -> None:
    bob = Bob()
    assert not bob.sweeps(100)
    bob.providers.remember(key_of(ALICE), wall(90), 100, wall(100))
    assert [s for s in range(101, 170) if bob.sweeps(s)] == [160]


class Sweeps(RuleBasedStateMachine):
    """Whatever happens, who passes over providers says the same as who looks at all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.bobs = self.bob, self.restless = Bob(), Bob()
        self.now = 1000.0
        self.isolated = False
        self.refused: dict[bytes, Refusals] = {}

    @property
    def doubts(self) -> list[Doubts]:
        return [bob.providers.doubts for bob in self.bobs]

    def both(self, *found: list[Fact]) -> None:
        one, other = found
        assert one == other

    @rule(
        who=PROVIDERS,
        interval_s=st.sampled_from([5, 5, 10]),
        late_s=st.sampled_from([0, 0, 16]),
    )
    def one_speaks(self, who: SigningKey, interval_s: int, late_s: float) -> None:
        payload = presence(interval_s=interval_s)
        self.both(*(b.hears(self.now, payload, by=key_of(who), late_s=late_s) for b in self.bobs))

    @rule(who=PROVIDERS)
    def one_leaves(self, who: SigningKey) -> None:
        payload = presence(state=Presence.LEAVING)
        self.both(*(bob.hears(self.now, payload, by=key_of(who)) for bob in self.bobs))

    @rule(who=PROVIDERS)
    def one_is_remembered(self, who: SigningKey) -> None:
        for bob in self.bobs:
            if not bob.providers.remembers(key_of(who)):
                bob.providers.remember(key_of(who), wall(self.now - 30), self.now, wall(self.now))

    @rule(who=PROVIDERS, refused=st.booleans())
    def a_connection_breaks(self, who: SigningKey, refused: bool) -> None:
        self.both(*(one.connection_lost(id_of(who), self.now) for one in self.doubts))
        if refused:
            self.both(*(one.dial_refused(id_of(who), self.now) for one in self.doubts))

    @rule(who=PROVIDERS, verdict=st.sampled_from(Verdict))
    def a_peer_is_asked(self, who: SigningKey, verdict: Verdict) -> None:
        if verdict is Verdict.SKEWED:
            seen = (id_of(who), self.now - 1, wall(self.now - 1), self.now)
            self.both(*(one.refused_elsewhere(*seen) for one in self.doubts))
        else:
            self.both(*(one.asked("peer", id_of(who), verdict, 0, self.now) for one in self.doubts))

    @rule()
    def bob_could_not_listen(self) -> None:
        for one in self.doubts:
            one.rearm(self.now)

    @rule(isolated=st.booleans())
    def bob_is_alone_or_not(self, isolated: bool) -> None:
        self.isolated = isolated

    @rule(who=PROVIDERS, lasting=st.booleans())
    def one_is_refused_for_its_time(self, who: SigningKey, lasting: bool) -> None:
        first = self.now - (20 if lasting else 0)
        self.refused = {key_of(who): Refusals(wall(first), wall(self.now), provides=True)}

    @rule()
    def nobody_is_refused(self) -> None:
        self.refused = {}

    @rule(step_s=st.sampled_from([0.5, 1.0, 4.5, 8.0, 15.0, 70.0]))
    def time_passes(self, step_s: float) -> None:
        self.now += step_s

    @invariant()
    def they_find_the_same(self) -> None:
        self.now += 0.5
        self.restless.providers.doubts.look_at = -math.inf
        time = self.now, wall(self.now)
        refused, isolated = self.refused, self.isolated
        told = [one.sweep(*time, isolated=isolated, refused=refused) for one in self.doubts]
        self.both(*told)


TestSweeps = Sweeps.TestCase
TestSweeps.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
