"""What an upstream says is refused or kept exactly; nothing in between."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshnode.core.sanity import OBSERVED_AHEAD_MAX_NS, Refusal, Refused, check
from meshnode.ports import Observation
from protocols.codec import decode_body, encode_body
from protocols.messages import Message, PriceUpdate
from protocols.quotes import Quote, quote_of

NOW_NS = 1_700_000_000 * 10**9
BTC = Observation("BTC-USD", Decimal("39432.48"), NOW_NS)


def seen(
    asset: str = "BTC-USD",
    price: str = "39432.48",
    observed_ns: int = NOW_NS,
    half_width: str | None = None,
    tags: tuple[tuple[str, str], ...] = (),
) -> Observation:
    width = None if half_width is None else Decimal(half_width)
    return Observation(asset, Decimal(price), observed_ns, width, tags)


def encodes(quote: Quote) -> bool:
    message = Message("main", bytes(32), 1, 1, NOW_NS, PriceUpdate((quote,)))
    return decode_body(encode_body(message)).payload == PriceUpdate((quote,))


def test_a_good_observation_becomes_a_quote_exactly() -> None:
    observation = seen(half_width="0.005", tags=(("recorded", "2021-01-08"),))
    quote = check(observation, NOW_NS, None)
    assert isinstance(quote, Quote)
    assert quote.price == Decimal("39432.48")
    assert quote.half_width == Decimal("0.005")
    assert quote.tags == {"recorded": "2021-01-08"}
    assert (quote.observed_ns, quote.sources) == (NOW_NS, 1)
    assert encodes(quote)


@pytest.mark.parametrize(
    ("observation", "reason"),
    [
        (seen(price="NaN"), Refusal.NOT_POSITIVE),
        (seen(price="sNaN"), Refusal.NOT_POSITIVE),
        (seen(price="Infinity"), Refusal.NOT_POSITIVE),
        (seen(price="-Infinity"), Refusal.NOT_POSITIVE),
        (seen(price="0"), Refusal.NOT_POSITIVE),
        (seen(price="-0"), Refusal.NOT_POSITIVE),
        (seen(price="0E+99"), Refusal.NOT_POSITIVE),
        (seen(price="-1"), Refusal.NOT_POSITIVE),
        (seen(price="1e308"), Refusal.TOO_MANY_DIGITS),
        (seen(price="1e-308"), Refusal.TOO_MANY_DIGITS),
        (seen(price="1e999999"), Refusal.TOO_MANY_DIGITS),
        (seen(price="123456789012345678901234567890"), Refusal.TOO_MANY_DIGITS),
        (seen(price="1.00000000000000000000000000001"), Refusal.TOO_MANY_DIGITS),
        (seen(price="9223372036854775809"), Refusal.TOO_MANY_DIGITS),
        (seen(asset="btc"), Refusal.BAD_ASSET),
        (seen(asset="BTC\n"), Refusal.BAD_ASSET),
        (seen(asset=""), Refusal.BAD_ASSET),
        (seen(asset="-BTC"), Refusal.BAD_ASSET),
        (seen(asset="B" * 33), Refusal.BAD_ASSET),
        (seen(asset="\x1b[31mBTC"), Refusal.BAD_ASSET),
        (seen(asset="\ud800"), Refusal.BAD_ASSET),
        (seen(half_width="NaN"), Refusal.BAD_HALF_WIDTH),
        (seen(half_width="-0.01"), Refusal.BAD_HALF_WIDTH),
        (seen(half_width="1e300"), Refusal.TOO_MANY_DIGITS),
        (seen(half_width="1e999999"), Refusal.TOO_MANY_DIGITS),
        (seen(half_width="1e-19"), Refusal.TOO_MANY_DIGITS),
        # Written out, these would not fit into any memory.
        (seen(price="1e999999999999"), Refusal.TOO_MANY_DIGITS),
        (seen(half_width="1e999999999999"), Refusal.TOO_MANY_DIGITS),
        (seen(half_width="1e-999999999999"), Refusal.TOO_MANY_DIGITS),
        (seen(observed_ns=-1), Refusal.BAD_TIME),
        (seen(observed_ns=NOW_NS + OBSERVED_AHEAD_MAX_NS + 1), Refusal.FUTURE),
        (seen(observed_ns=2**64), Refusal.FUTURE),
        (seen(tags=tuple((f"k{i}", "v") for i in range(9))), Refusal.BAD_TAGS),
        (seen(tags=(("k", "v" * 33),)), Refusal.BAD_TAGS),
        (seen(tags=(("k" * 33, "v"),)), Refusal.BAD_TAGS),
        (seen(tags=(("k", "é"),)), Refusal.BAD_TAGS),
        (seen(tags=(("k", "a\nb"),)), Refusal.BAD_TAGS),
        (seen(tags=(("", "v"),)), Refusal.BAD_TAGS),
        (seen(tags=(("k", "v"), ("k", "w"))), Refusal.BAD_TAGS),
    ],
)
def test_a_bad_observation_is_refused(observation: Observation, reason: Refusal) -> None:
    assert check(observation, NOW_NS, None) == Refused(reason)


@pytest.mark.parametrize(
    "observation",
    [
        seen(price="9223372036854775807"),
        seen(price="1E-18"),
        seen(price="1E+36"),
        seen(price="1." + "0" * 40),
        seen(asset="A" * 32),
        seen(half_width="0"),
        seen(observed_ns=0),
        seen(observed_ns=NOW_NS + OBSERVED_AHEAD_MAX_NS),
        seen(tags=tuple((f"k{i}" + "k" * 30, "v" * 32) for i in range(8))),
    ],
)
def test_what_is_just_within_the_limits_passes(observation: Observation) -> None:
    quote = check(observation, NOW_NS, None)
    assert isinstance(quote, Quote)
    assert quote.price == observation.price
    assert encodes(quote)


def test_an_observation_older_than_what_is_known_is_refused() -> None:
    known = quote_of("BTC-USD", Decimal(1), observed_ns=NOW_NS)
    assert check(seen(observed_ns=NOW_NS - 1), NOW_NS, known) == Refused(Refusal.OLDER)
    assert isinstance(check(seen(observed_ns=NOW_NS), NOW_NS, known), Quote)


def test_what_was_observed_before_our_clock_was_set_back_does_not_bind() -> None:
    from_before = quote_of("BTC-USD", Decimal(1), observed_ns=NOW_NS + 3600 * 10**9)
    assert isinstance(check(seen(), NOW_NS, from_before), Quote)


@given(
    asset=st.text(max_size=40) | st.sampled_from(["BTC-USD", "btc", "X\n"]),
    price=st.decimals(),
    half_width=st.none() | st.decimals(),
    observed_ns=st.integers(-(2**65), 2**65) | st.just(NOW_NS),
    tags=st.lists(st.tuples(st.text(max_size=40), st.text(max_size=40)), max_size=10),
)
def test_check_never_raises_and_never_rounds(
    asset: str,
    price: Decimal,
    half_width: Decimal | None,
    observed_ns: int,
    tags: list[tuple[str, str]],
) -> None:
    observation = Observation(asset, price, observed_ns, half_width, tuple(tags))
    outcome = check(observation, NOW_NS, None)
    if isinstance(outcome, Quote):
        assert outcome.price == price
        assert (outcome.half_width or 0) == (half_width or 0)
        assert encodes(outcome)
