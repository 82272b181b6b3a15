"""Ages, and what they make of a price."""

import pytest

from meshnode.core.freshness import STALE_AFTER_S, age_s, data_freshness, price_state
from meshnode.core.records import Said, StoredQuote
from protocols.status import DataFreshness
from simulations.clock import START_NS
from tests.cast import ALICE, EPOCH, NS_PER_S, key_of, quote

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400


def price(observed_s: float = 0, issued_s: float = 0, received_s: float = 0) -> StoredQuote:
    """Seconds after the start at which a price was seen, said and heard."""
    observed_ns, issued_ns, received_ns = (
        START_NS + round(at * NS_PER_S) for at in (observed_s, issued_s, received_s)
    )
    return StoredQuote(
        Said(key_of(ALICE), EPOCH, 1, issued_ns, received_ns), quote(observed_ns=observed_ns)
    )


@pytest.mark.parametrize(
    ("stored", "age"),
    [
        (price(0, 0, 0), 100),
        (price(0, 50, 60), 100),
        (price(99, 40, 60), 60),  # seen before it was said
        (price(500, 500, 70), 30),  # a clock that is ahead: held for so long at least
        (price(0.5, 1, 1), 99),  # whole seconds
        (price(200, 200, 200), 0),  # our clock went back
    ],
)
def test_a_price_is_as_old_as_the_earliest_that_is_known(stored: StoredQuote, age: int) -> None:
    assert age_s(stored, START_NS + 100 * NS_PER_S) == age


@pytest.mark.parametrize(
    ("after_s", "provider_active", "state"),
    [
        (0, True, "fresh"),
        (STALE_AFTER_S, True, "fresh"),
        (STALE_AFTER_S + 1, True, "stale"),
        (0, False, "cached"),
        (STALE_AFTER_S + 1, False, "cached"),
    ],
)
def test_the_state_of_a_price(after_s: int, provider_active: bool, state: str) -> None:
    now_ns = START_NS + after_s * NS_PER_S
    assert price_state(price(), now_ns, provider_active=provider_active) == state


@pytest.mark.parametrize(
    ("age", "state", "text"),
    [
        (-5, "just_now", "just now"),
        (0, "just_now", "just now"),
        (59, "just_now", "just now"),
        (MINUTE_S, "minutes_ago", "1 minute ago"),
        (5 * MINUTE_S + 59, "minutes_ago", "5 minutes ago"),
        (HOUR_S - 1, "minutes_ago", "59 minutes ago"),
        (HOUR_S, "hours_ago", "1 hour ago"),
        (DAY_S - 1, "hours_ago", "23 hours ago"),
        (DAY_S, "stale", "1 day ago"),
        (10 * DAY_S, "stale", "10 days ago"),
    ],
)
def test_the_freshness_of_the_data_in_words(age: int, state: str, text: str) -> None:
    now_ns = START_NS + age * NS_PER_S
    assert data_freshness(START_NS, now_ns) == DataFreshness(state, max(0, age), text)


def test_without_data_there_is_no_age() -> None:
    assert data_freshness(None, START_NS) == DataFreshness("none", None, "no data yet")
