"""The bounds of memory: who makes room for whom."""

import pytest

from meshnode.core import provider_table
from meshnode.core.lifecycle import ProviderState
from meshnode.core.provider_table import PROVIDERS_MAX
from meshnode.core.providers import Providers
from protocols.ids import peer_id
from simulations.clock import START_NS
from tests.cast import NS_PER_S, presence


def author(number: int) -> bytes:
    return number.to_bytes(32, "big")


class Memory:
    """A tracker whose book holds prices of some."""

    def __init__(self, *, priced: frozenset[int] = frozenset(), kept: frozenset[int] = frozenset()):
        self.providers = Providers(
            has_prices=lambda key: int.from_bytes(key, "big") in priced,
            is_kept=lambda key: int.from_bytes(key, "big") in kept,
        )

    def hears(self, number: int, now: float) -> None:
        now_ns = START_NS + round(now * NS_PER_S)
        self.providers.heard(author(number), presence(), now_ns, now, now_ns)

    @property
    def known(self) -> set[int]:
        return {int.from_bytes(key, "big") for key in self.providers.records()}


@pytest.fixture
def _three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_table, "PROVIDERS_MAX", 3)


@pytest.mark.usefixtures("_three")
def test_the_one_heard_longest_ago_makes_room() -> None:
    memory = Memory()
    for now, number in enumerate((1, 2, 3, 1, 4)):
        memory.hears(number, now)
    assert memory.known == {1, 3, 4}
    assert memory.providers.active() == {author(n) for n in (1, 3, 4)}
    assert memory.providers.find(peer_id(author(2))) is None


@pytest.mark.usefixtures("_three")
def test_whoever_has_prices_or_is_named_goes_last() -> None:
    memory = Memory(priced=frozenset({1}), kept=frozenset({2}))
    for now, number in enumerate((1, 2, 3, 4, 5)):
        memory.hears(number, now)
    assert memory.known == {1, 2, 5}


@pytest.mark.usefixtures("_three")
def test_among_those_with_prices_one_that_is_gone_goes_first() -> None:
    memory = Memory(priced=frozenset(range(10)))
    for now, number in enumerate((1, 2, 3)):
        memory.hears(number, now)
    memory.providers.doubts.connection_lost(peer_id(author(2)), 4)
    memory.providers.doubts.nobody_to_ask(peer_id(author(2)), 4)
    memory.providers.doubts.dial_refused(peer_id(author(2)), 4)
    assert memory.providers.records()[author(2)].state is ProviderState.OFFLINE
    memory.hears(4, 5)
    assert memory.known == {1, 3, 4}
    memory.hears(5, 6)
    assert memory.known == {3, 4, 5}


def test_strangers_by_the_thousand_do_not_push_out_a_provider_with_prices() -> None:
    memory = Memory(priced=frozenset({1}))
    memory.hears(1, 0)
    for number in range(100, 100 + 2 * PROVIDERS_MAX):
        memory.hears(number, 1)
    assert 1 in memory.known
    assert len(memory.known) == PROVIDERS_MAX
    assert len(memory.providers.active()) == PROVIDERS_MAX
