"""The address book against a simple model: whatever happens, it holds what it should."""

import math
import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from nacl.signing import SigningKey

from meshnode.core.address_book import (
    PEER_ADDRS_MAX,
    PROVEN_FAILURES_MAX,
    RETRY_WHILE_FEW_S,
    UNPROVEN_FAILURES_MAX,
    Address,
    AddressBook,
    Origin,
)
from meshnode.core.dial_rules import DialRules
from meshnode.core.records import KnownAddr
from protocols.ids import peer_id
from tests.cast import BOB, id_of

KEYS = [bytes(SigningKey(bytes([number]) * 32).verify_key) for number in range(11, 16)]
PEERS = [peer_id(key) for key in KEYS]
SEED = f"/memory/1/p2p/{PEERS[0]}"
POISON = ("/ip4/127.0.0.1/tcp/22", "/dns4/localhost/tcp/1", "/ip4/10.0.0.1/tcp/1", "/memory/0")
PLACES = st.sampled_from([f"/memory/{number}" for number in range(1, 8)])
PEER = st.sampled_from(PEERS)


class Dialling(RuleBasedStateMachine):
    """Bob hears, dials, loses and restarts; the model knows failures, successes and the disk."""

    def __init__(self) -> None:
        super().__init__()
        self.dial_rules = DialRules(id_of(BOB), ("/memory/0",))
        self.rng = random.Random(1)
        self.book = AddressBook(self.dial_rules, self.rng, [SEED])
        self.now = 0.0
        self.told: set[Address] = set()  # whatever anybody ever said that may be dialled
        self.worked: set[Address] = set()
        self.vouched: set[Address] = set()  # they worked, or the peer said them itself
        self.failures: dict[Address, int] = {}
        self.ended_at: dict[Address, float] = {}
        self.disk: dict[tuple[bytes, str], KnownAddr] = {}

    def held(self) -> set[Address]:
        return {address for peer in PEERS for address in self.book.of(peer)}

    def forget_the_gone(self) -> None:
        for address in {*self.failures, *self.ended_at, *self.worked} - self.held():
            self.failures.pop(address, None)
            self.ended_at.pop(address, None)
            self.worked.discard(address)
        self.vouched &= self.held()

    @rule(
        peer=PEER,
        addrs=st.lists(st.one_of(PLACES, st.sampled_from(POISON)), max_size=5),
        origin=st.sampled_from(Origin),
    )
    def hear(self, peer: str, addrs: list[str], origin: Origin) -> None:
        before = self.held()
        self.book.told(peer, addrs, origin)
        said = {Address(peer, addr) for addr in addrs[:PEER_ADDRS_MAX] if addr not in POISON}
        self.told |= said
        assert self.held() - before <= said
        if origin is Origin.AUTHOR:
            assert said <= self.held()
            self.vouched |= said
        if origin is Origin.HEARSAY:
            assert before <= self.held()
        self.forget_the_gone()

    @rule(few=st.booleans(), away=st.sets(PEER), works=st.booleans(), alone=st.booleans())
    def dial(self, *, few: bool, away: set[str], works: bool, alone: bool) -> None:
        address = self.book.choose(
            away, self.now, wait_max_s=RETRY_WHILE_FEW_S if few else math.inf
        )
        if address is None:
            return
        assert address in self.held()
        assert address.peer_id not in away
        assert str(address) != SEED
        if works:
            self.book.worked(address, round(self.now * 1e9) + 1)
            self.worked.add(address)
            self.vouched.add(address)
            self.failures.pop(address, None)
            return
        self.book.failed(address, self.now, alone=alone)
        self.ended_at[address] = self.now
        if not alone:
            self.failures[address] = self.failures.get(address, 0) + 1
            limit = PROVEN_FAILURES_MAX if address in self.worked else UNPROVEN_FAILURES_MAX
            assert (address in self.held()) == (self.failures[address] < limit)
        self.forget_the_gone()

    @rule(few=st.booleans())
    def nothing_due_is_left_waiting(self, *, few: bool) -> None:
        chosen = self.book.choose(
            frozenset(), self.now, wait_max_s=RETRY_WHILE_FEW_S if few else math.inf
        )
        rested = [
            address
            for address in self.held()
            if str(address) != SEED
            and self.now - self.ended_at.get(address, -1e9) >= (RETRY_WHILE_FEW_S if few else 60)
        ]
        if rested:
            assert chosen is not None

    @rule(peer=PEER, lasted_s=st.sampled_from([0.0, 10.0, 600.0]))
    def lose(self, peer: str, lasted_s: float) -> None:
        self.book.lost(peer, self.now, lasted_s)
        for address in self.book.of(peer):
            self.ended_at[address] = self.now

    @rule(peer=PEER)
    def forget(self, peer: str) -> None:
        self.book.forget(peer)
        assert not self.book.of(peer)
        self.forget_the_gone()

    @rule(seconds=st.sampled_from([0.5, 3.0, 70.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def keep(self) -> None:
        kept, gone = self.book.take_changes()
        self.disk.update({(addr.author, addr.addr): addr for addr in kept})
        for place in gone:
            self.disk.pop(place, None)
        assert {Address(peer_id(author), addr) for author, addr in self.disk} == self.vouched

    @rule()
    def restart(self) -> None:
        self.keep()
        self.book = AddressBook(self.dial_rules, self.rng, [SEED])
        self.book.restore(self.disk.values())
        self.ended_at.clear()
        assert self.held() == self.vouched
        self.forget_the_gone()

    @invariant()
    def only_what_may_be_dialled_is_held(self) -> None:
        assert self.held() <= self.told
        assert len(self.book) == len(self.held())
        assert self.vouched == {address for address in self.held() if self.book.is_vouched(address)}

    @invariant()
    def three_a_peer_are_held(self) -> None:
        assert all(len(self.book.of(peer)) <= PEER_ADDRS_MAX for peer in PEERS)


TestDialling = Dialling.TestCase
TestDialling.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
