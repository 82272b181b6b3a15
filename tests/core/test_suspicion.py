"""What the answer of a peer says of a suspect, and how many answers are kept."""

import pytest

from meshnode.core.suspicion import (
    VERDICTS_MAX,
    Suspicion,
    Verdict,
    interval_s,
    verdict_of,
)
from protocols.status import ProviderStatus
from protocols.timestamps import rfc3339
from simulations.clock import START_NS
from tests.cast import ALICE, id_of

S = 10**9


def entry(state: str, *, hops: int | None = None, newer_s: int = 0) -> ProviderStatus:
    return ProviderStatus(id_of(ALICE), state, rfc3339(START_NS + newer_s * S), hops, None)


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (None, Verdict.UNKNOWN),
        (entry("active", hops=1), Verdict.ALIVE),
        (entry("active", hops=2), Verdict.UNKNOWN),  # it knows what we know
        (entry("active"), Verdict.UNKNOWN),
        (entry("active", hops=2, newer_s=1), Verdict.HEARD),
        (entry("active", hops=1, newer_s=1), Verdict.ALIVE),
        (entry("suspect", newer_s=-1), Verdict.GONE),
        (entry("suspect", newer_s=1), Verdict.GONE),  # its connection broke as well
        (entry("offline"), Verdict.GONE),
        (entry("left"), Verdict.GONE),
        (entry("unreachable"), Verdict.UNKNOWN),
        (entry("flapping"), Verdict.UNKNOWN),
        (entry("skewed"), Verdict.SKEWED),
    ],
)
def test_what_an_answer_says(seen: ProviderStatus | None, verdict: Verdict) -> None:
    assert verdict_of(seen, START_NS) is verdict


def test_verdicts_are_bounded() -> None:
    suspicion = Suspicion(0.0)
    for number in range(100):
        suspicion.note(f"peer {number}", Verdict.ALIVE)
    suspicion.note("peer 1", Verdict.GONE)  # a known one may change its mind
    assert len(suspicion.verdicts) == VERDICTS_MAX
    assert suspicion.verdicts["peer 1"] is Verdict.GONE


def test_who_knows_nothing_makes_room_for_who_knows_more() -> None:
    suspicion = Suspicion(0.0, broken=True, refused=True)
    for number in range(VERDICTS_MAX + 1):
        suspicion.note(f"peer {number}", Verdict.UNKNOWN)
    assert not suspicion.is_confirmed(0.5, 0.5)
    suspicion.note("neighbour", Verdict.GONE)
    assert suspicion.is_confirmed(0.5, 0.5)
    assert len(suspicion.verdicts) == VERDICTS_MAX


@pytest.mark.parametrize(("announced_ms", "held_to_s"), [(1000, 5), (7000, 7), (10**9, 10)])
def test_the_interval_a_provider_is_held_to(announced_ms: int, held_to_s: float) -> None:
    assert interval_s(announced_ms) == held_to_s
