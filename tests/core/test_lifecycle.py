"""The life of a provider: every transition of the table, and a story against a simple model."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from meshnode.core.facts import ProviderLost
from meshnode.core.lifecycle import LIVE, TRANSITIONS, LifeEvent, ProviderState
from meshnode.core.suspicion import Verdict
from tests.cast import ALICE, id_of, key_of
from tests.core.bobs_view import (
    ACTIVE,
    FLAPPING,
    LEAVING,
    LEFT,
    OFFLINE,
    SKEWED,
    SUSPECT,
    UNREACHABLE,
    Bob,
)

TABLE = {
    ACTIVE: {
        "SUSPECTED": SUSPECT,
        "LEAVES": LEFT,
        "CUT_OFF": UNREACHABLE,
        "SKEWED": SKEWED,
        "FLAPPED": FLAPPING,
    },
    SUSPECT: {
        "HEARD": ACTIVE,
        "RETURNED": ACTIVE,
        "CONFIRMED": OFFLINE,
        "LEAVES": LEFT,
        "CUT_OFF": UNREACHABLE,
        "SKEWED": SKEWED,
    },
    OFFLINE: {"RETURNED": ACTIVE, "LEAVES": LEFT, "SKEWED": SKEWED, "FLAPPED": FLAPPING},
    LEFT: {"RETURNED": ACTIVE, "SKEWED": SKEWED},
    UNREACHABLE: {
        "HEARD": ACTIVE,
        "RETURNED": ACTIVE,
        "CONFIRMED": OFFLINE,
        "LEAVES": LEFT,
        "SKEWED": SKEWED,
    },
    FLAPPING: {
        "RETURNED": ACTIVE,
        "CONFIRMED": OFFLINE,
        "LEAVES": LEFT,
        "CUT_OFF": UNREACHABLE,
    },
    SKEWED: {
        "HEARD": ACTIVE,
        "RETURNED": ACTIVE,
        "CONFIRMED": OFFLINE,
        "LEAVES": LEFT,
        "CUT_OFF": UNREACHABLE,
    },
}


@pytest.mark.parametrize("state", ProviderState)
@pytest.mark.parametrize("event", LifeEvent)
def test_every_transition(state: ProviderState, event: LifeEvent) -> None:
    assert TRANSITIONS[state][event] is TABLE[state].get(event.name, state)


class LifeOfAlice(RuleBasedStateMachine):
    """Bob hears, loses and is told things of alice, never cut off for long and never paused.

    The model knows three things: when she last spoke, when she was found lost, and how many
    messages came since. It leaves open when within its bounds a loss is found.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bob = Bob()
        self.now = 1000.0
        self.spoke_at = self.now
        self.returns = 0
        self.isolated = False
        self.broken = self.agreed = False

    @initialize()
    def discovered(self) -> None:
        self.bob.hears(self.now)

    @property
    def state(self) -> ProviderState:
        return self.bob.state

    def found(self, facts: list[Any]) -> None:
        for fact in facts:
            if not isinstance(fact, ProviderLost) or fact.cause in ("leaving", "flapping"):
                continue
            silent_s = self.now - self.spoke_at
            assert not self.isolated, "an isolated node accuses nobody"
            assert silent_s >= 60 or self.agreed, "nobody agreed"
            assert silent_s >= 30 or self.broken, "too early"

    @rule(step_s=st.sampled_from([0.5, 2.0, 5.0, 10.0]))
    def time_passes(self, step_s: float) -> None:
        self.now += step_s
        self.found(self.bob.sweeps(self.now, isolated=self.isolated))

    @rule()
    def she_speaks(self) -> None:
        before = self.state
        self.now += 0.1
        self.bob.hears(self.now)
        follows = self.now - self.spoke_at < 15
        self.returns = self.returns + 1 if self.returns and follows else 1
        self.spoke_at = self.now
        if before in (ACTIVE, SUSPECT, UNREACHABLE, SKEWED):
            assert self.state is ACTIVE
            self.returns = 0
        elif before is FLAPPING:
            assert self.state is FLAPPING
            self.returns = 0
        elif self.returns < 2:
            assert self.state is before
        else:
            assert self.state in (ACTIVE, FLAPPING)
            self.returns = 0
        self.broken = self.agreed = False

    @rule(late_s=st.sampled_from([16.0, 40.0]))
    def an_old_word_of_hers_arrives(self, late_s: float) -> None:
        before, self.now = self.state, self.now + 0.1
        self.bob.hears(self.now, late_s=late_s)
        assert self.state is before

    @rule()
    def she_leaves(self) -> None:
        self.now += 0.1
        before = self.state
        self.bob.hears(self.now, LEAVING)
        if before not in (OFFLINE, LEFT):
            self.spoke_at = self.now
        self.returns = 0 if before not in (OFFLINE, LEFT) else self.returns
        assert self.state is LEFT

    @rule(refused=st.booleans())
    def her_connection_breaks(self, refused: bool) -> None:
        self.now += 0.1
        if self.state in LIVE or self.state is UNREACHABLE:
            self.broken = True
        facts = self.bob.loses_connection(self.now)
        if refused:
            facts += self.bob.is_refused(self.now)
        self.found(facts)

    @rule(verdict=st.sampled_from([Verdict.GONE, Verdict.ALIVE]))
    def carol_is_asked(self, verdict: Verdict) -> None:
        self.agreed = self.state in (SUSPECT, UNREACHABLE) and verdict is Verdict.GONE
        self.found(self.bob.is_told(self.now, verdict))

    @precondition(lambda self: not self.isolated)
    @rule()
    def nobody_answers_bob(self) -> None:
        self.isolated = True
        self.found(self.bob.sweeps(self.now, isolated=True))

    @precondition(lambda self: self.isolated)
    @rule()
    def somebody_answers_bob(self) -> None:
        # What peers said of her then is forgotten; that a machine refused us for her stays so.
        self.isolated = self.agreed = False
        self.bob.providers.doubts.rearm(self.now)
        self.found(self.bob.sweeps(self.now))
        assert self.state is not SUSPECT or self.now - self.spoke_at >= 0

    @invariant()
    def live_are_those_that_are_active_or_suspect(self) -> None:
        live = self.bob.providers.active()
        assert (key_of(ALICE) in live) == (self.state in LIVE)
        assert self.bob.providers.any_active == bool(live)

    @invariant()
    def silence_is_noticed_in_time(self) -> None:
        if not self.isolated and self.state is ACTIVE:
            self.bob.sweeps(self.now)
            silent_s = self.now - self.spoke_at
            assert silent_s < 15 or self.state is SUSPECT or self.bob_was_deaf()

    def bob_was_deaf(self) -> bool:
        """Whether silence from before he was in touch again is held against nobody."""
        return self.bob.providers.doubts._listening_since > self.spoke_at

    @invariant()
    def the_counts_are_told_by_the_facts(self) -> None:
        counts = self.bob.providers.counts()
        assert counts["discovered"] == 1
        assert id_of(ALICE) == self.bob.providers.records()[key_of(ALICE)].peer_id


TestLifeOfAlice = LifeOfAlice.TestCase
TestLifeOfAlice.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
