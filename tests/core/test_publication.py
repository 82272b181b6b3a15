"""Changes at once, everything once a minute, nothing for ever."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshnode.core.publication import Publication, encoded_bytes_max
from protocols.codec import encode_body
from protocols.limits import ENVELOPE_BYTES_MAX, MANTISSA_MAX, QUOTES_MAX, UINT64_MAX
from protocols.messages import Message, PriceUpdate
from protocols.quotes import Quote, quote_of


def quote(asset: str = "BTC-USD", price: int = 100, observed_ns: int = 1) -> Quote:
    return quote_of(asset, Decimal(price), observed_ns=observed_ns)


def largest(number: int) -> Quote:
    tags = {f"{number:08}-{tag}".ljust(32, "k"): "v" * 32 for tag in range(8)}
    asset = f"A{number}".ljust(32, "Z")
    return Quote(asset, MANTISSA_MAX, -18, UINT64_MAX, MANTISSA_MAX, 255, tags)


def drain(publication: Publication, until: float) -> list[tuple[float, Quote]]:
    """Do what a punctual publisher does; returns what it published, and when."""
    said: list[tuple[float, Quote]] = []
    while (due_at := publication.due_at()) is not None and due_at <= until:
        said += [(due_at, one) for update in publication.take(due_at) for one in update]
    return said


def test_the_first_change_opens_a_window_and_the_newest_of_an_asset_wins() -> None:
    publication = Publication(window_s=0.1)
    publication.offer(quote(price=1, observed_ns=1), now=10.0)
    publication.offer(quote("ETH-USD"), now=10.05)
    publication.offer(quote(price=2, observed_ns=2), now=10.09)
    assert publication.due_at() == 10.1
    assert publication.take(10.09) == []
    assert publication.take(10.1) == [(quote(price=2, observed_ns=2), quote("ETH-USD"))]
    assert publication.take(10.1) == []


@pytest.mark.parametrize(
    "change",
    [
        quote(price=101),
        quote()._replace(confidence=5),
        quote()._replace(sources=2),
        quote()._replace(tags={"chain": "eth"}),
    ],
)
def test_a_change_of_any_part_is_published_at_once(change: Quote) -> None:
    publication = Publication(window_s=0.1)
    publication.offer(quote(), now=0.0)
    publication.take(0.1)
    publication.offer(change._replace(observed_ns=2), now=1.0)
    assert publication.take(1.1) == [(change._replace(observed_ns=2),)]


def test_an_unchanged_quote_waits_for_the_heartbeat_which_carries_the_newest_time() -> None:
    publication = Publication(window_s=0.1, heartbeat_s=60)
    publication.offer(quote(observed_ns=1), now=0.0)
    publication.take(0.1)
    for second in range(1, 50):
        publication.offer(quote(observed_ns=1 + second), now=float(second))
    due_at = publication.due_at()
    assert due_at is not None
    assert 58 < due_at <= 60.1
    assert publication.take(due_at) == [(quote(observed_ns=50),)]


def test_what_nobody_may_have_heard_is_said_again_once() -> None:
    publication = Publication(window_s=0.1, heartbeat_s=60)
    publication.offer(quote(), now=0.0)
    publication.take(0.1)
    publication.offer(quote("ETH-USD"), now=1.95)
    publication.repeat(2.0)
    # Together with what is new, and not a second time before the heartbeat.
    assert drain(publication, 50.0) == [(2.05, quote("ETH-USD")), (2.05, quote())]


def test_heartbeats_gather_instead_of_trickling() -> None:
    publication = Publication(heartbeat_s=60)
    for number in range(40):
        publication.offer(quote(f"A{number}"), now=number * 0.1)
        publication.take(number * 0.1 + 0.1)
    due_at = publication.due_at()
    assert due_at is not None
    assert len(publication.take(due_at)[0]) == 40


def test_a_change_takes_along_the_heartbeats_that_are_almost_due() -> None:
    publication = Publication(heartbeat_s=60)
    publication.offer(quote("BTC-USD"), now=0.0)
    publication.take(0.1)
    publication.offer(quote("ETH-USD"), now=55.0)
    assert publication.take(55.1) == [(quote("ETH-USD"), quote("BTC-USD"))]


def test_what_its_source_forgot_is_not_kept_alive() -> None:
    publication = Publication(heartbeat_s=60, stale_s=3600)
    publication.offer(quote("OLD", observed_ns=5), now=0.0)
    said = drain(publication, until=10_000.0)
    assert {one.observed_ns for _, one in said} == {5}, "its age stays honest"
    assert 3540 < said[-1][0] < 3600
    assert publication.due_at() is None
    assert publication.assets == 0


def test_the_same_observation_again_is_no_sign_of_life() -> None:
    publication = Publication(heartbeat_s=60, stale_s=3600)
    last = 0.0
    for minute in range(120):
        publication.offer(quote("FROZEN", observed_ns=5), now=minute * 60.0)
        last = max([last, *(at for at, _ in drain(publication, until=minute * 60.0 + 59))])
    assert last < 3600


def test_a_silent_asset_that_returns_is_published_at_once_even_at_its_old_price() -> None:
    publication = Publication(window_s=0.1)
    publication.offer(quote(observed_ns=5), now=0.0)
    drain(publication, until=5000.0)
    publication.offer(quote(observed_ns=6), now=5000.0)
    assert publication.assets == 1
    assert publication.take(5000.1) == [(quote(observed_ns=6),)]


def test_assets_are_bounded_and_the_refused_counted() -> None:
    publication = Publication(assets_max=2)
    assert publication.offer(quote("A"), now=0.0)
    assert publication.offer(quote("B"), now=0.0)
    assert not publication.offer(quote("C"), now=0.0)
    assert publication.offer(quote("A", price=5), now=0.0), "a known one may go on"
    assert (publication.assets, publication.refused) == (2, 1)
    assert publication.newest("C") is None


def test_an_asset_gone_silent_makes_room_for_another() -> None:
    publication = Publication(assets_max=1)
    publication.offer(quote("A"), now=0.0)
    drain(publication, until=5000.0)
    assert publication.offer(quote("B"), now=5000.0)
    assert publication.newest("A") is None
    assert drain(publication, until=5001.0) == [(5000.1, quote("B"))]


def test_updates_are_split_by_number() -> None:
    publication = Publication()
    for number in range(2500):
        publication.offer(quote(f"A{number}"), now=0.0)
    assert [len(update) for update in publication.take(1.0)] == [1000, 1000, 500]


def test_updates_are_split_by_size_so_that_every_one_fits_an_envelope() -> None:
    publication = Publication()
    for number in range(1000):
        publication.offer(largest(number), now=0.0)
    updates = publication.take(1.0)
    assert sum(len(update) for update in updates) == 1000
    sizes = [envelope_bytes(update) for update in updates]
    assert max(sizes) <= ENVELOPE_BYTES_MAX
    assert max(sizes) > 0.9 * ENVELOPE_BYTES_MAX, "and none is much smaller than it may be"


def test_the_estimate_covers_the_largest_quote() -> None:
    alone = envelope_bytes((largest(0),))
    assert envelope_bytes((largest(0), largest(1))) - alone <= encoded_bytes_max(largest(1))


def envelope_bytes(update: tuple[Quote, ...]) -> int:
    message = Message("n" * 32, bytes(32), UINT64_MAX, UINT64_MAX, UINT64_MAX, PriceUpdate(update))
    # A head each for the envelope, its body and its signature, and the signature.
    return 1 + 5 + len(encode_body(message)) + 2 + 64


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.03, 1.0, 20.0, 59.0, 400.0]),  # seconds until the offer
            st.sampled_from(["A", "B", "C", "D", "E"]),
            st.integers(1, 3),  # price
            st.booleans(),  # observed anew
        ),
        max_size=40,
    )
)
def test_against_a_model(steps: list[tuple[float, str, int, bool]]) -> None:
    window_s, heartbeat_s, stale_s, late_s = 0.1, 60.0, 600.0, 0.001
    publication = Publication(
        window_s=window_s, heartbeat_s=heartbeat_s, stale_s=stale_s, quotes_max=2, assets_max=4
    )
    offered: dict[str, Quote] = {}
    published: dict[str, tuple[float, Quote]] = {}
    observed_at: dict[str, float] = {}
    waiting_since: dict[str, float] = {}
    now, observed_ns = 0.0, 0

    def advance(until: float) -> None:
        while (due_at := publication.due_at()) is not None and due_at <= until:
            updates = publication.take(due_at)
            assert all(1 <= len(update) <= 2 for update in updates)
            said = [one for update in updates for one in update]
            assert len({one.asset for one in said}) == len(said)
            for one in said:
                assert one == offered[one.asset], "nothing is invented, and nothing outdated"
                published[one.asset] = (due_at, one)
                waiting_since.pop(one.asset, None)
            check_promises(due_at)
        check_promises(until)

    def check_promises(at: float) -> None:
        for since in waiting_since.values():
            assert at <= since + window_s + late_s, "every change is said within the window"
        for asset, (said_at, _) in published.items():
            if asset not in waiting_since and at < observed_at[asset] + stale_s - late_s:
                assert at <= said_at + heartbeat_s + late_s, "and everything once a minute"

    for pause_s, asset, price, anew in steps:
        advance(now + pause_s)
        now += pause_s
        observed_ns += 1
        known = offered.get(asset)
        seen_ns = observed_ns if anew or known is None else known.observed_ns
        one = quote(asset, price, seen_ns)
        if not publication.offer(one, now):
            assert len(offered) >= 4
            continue
        if one != known:
            observed_at[asset] = now
        offered[asset] = one
        said_at, said = published.get(asset, (now, None))
        changed = said is None or said._replace(observed_ns=0) != one._replace(observed_ns=0)
        revived = one != known and now > said_at + heartbeat_s
        if changed or revived:
            waiting_since.setdefault(asset, now)
    advance(now + 2 * stale_s)
    assert publication.due_at() is None, "in the end all is silent"
    assert publication.assets == 0


def test_quotes_max_is_the_wire_limit() -> None:
    publication = Publication()
    for number in range(QUOTES_MAX + 1):
        publication.offer(quote(f"A{number}"), now=0.0)
    assert max(len(update) for update in publication.take(1.0)) == QUOTES_MAX
