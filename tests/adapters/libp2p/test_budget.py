"""Token buckets, and whose they are."""

import pytest

from meshnode.adapters.libp2p.budget import (
    BLAME_MAX,
    COPY_COST,
    IGNORED_COST,
    MESSAGE_COST,
    REJECTED_BLAME,
    WORK_BURST,
    WORK_PER_S,
    Budgets,
    PeerBudget,
    TokenBucket,
)


def test_a_burst_is_free_and_what_is_beyond_waits() -> None:
    bucket = TokenBucket(10, 100)
    assert bucket.spend(100, now=0) == 0
    assert bucket.spend(5, now=0) == pytest.approx(0.5)
    assert bucket.in_debt(now=0.4)
    assert not bucket.in_debt(now=0.6)


def test_saved_tokens_have_a_bound() -> None:
    bucket = TokenBucket(10, 100)
    assert bucket.spend(0, now=0) == 0
    assert bucket.spend(150, now=1000) == pytest.approx(5)


def test_what_is_not_there_is_not_taken() -> None:
    bucket = TokenBucket(10, 100)
    assert bucket.try_spend(90, now=0)
    assert not bucket.try_spend(20, now=0)
    assert bucket.try_spend(10, now=0)


def test_an_honest_relay_of_a_busy_mesh_never_waits() -> None:
    """A thousand new messages a second, and as many copies, for a minute."""
    work = PeerBudget().work
    for tick in range(600):
        now = tick / 10
        assert work.spend(100 * (MESSAGE_COST + COPY_COST), now) == 0


def test_a_flood_of_what_is_ignored_is_over_the_budget_in_seconds() -> None:
    work = PeerBudget().work
    in_debt_at = next(
        tick / 10 for tick in range(600) if work.spend(100 * IGNORED_COST, tick / 10) > 0
    )
    assert in_debt_at <= 5
    assert WORK_BURST / WORK_PER_S <= 5


def test_blame_is_forgiven_slowly() -> None:
    blame = PeerBudget().blame
    now = 0.0
    for _ in range(int(BLAME_MAX / REJECTED_BLAME)):
        assert blame.try_spend(REJECTED_BLAME, now)
    assert not blame.try_spend(REJECTED_BLAME, now)
    assert blame.try_spend(REJECTED_BLAME, now + 1)


def test_a_budget_outlives_its_connection_and_memory_is_bounded() -> None:
    budgets = Budgets(peers_max=2)
    alice, bob = budgets.of("alice"), budgets.of("bob")
    assert budgets.of("alice") is alice
    budgets.of("carol")
    assert budgets.of("alice") is alice
    assert budgets.of("bob") is not bob
