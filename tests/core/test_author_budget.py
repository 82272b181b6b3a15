"""The budget of an author: who keeps within it is accepted everywhere, who does not is bounded."""

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from meshnode.core.admission import Admission
from meshnode.core.author_budget import (
    BUDGET_QUOTES_MAX,
    BUDGET_WINDOW_NS,
    MESSAGE_QUOTES,
    QUOTE_BYTES,
    AuthorBudget,
    weight,
)
from meshnode.core.names import Names
from meshnode.core.verdicts import Accepted, Ignored, Reason, Rejected
from protocols.envelope import Envelope
from protocols.limits import ISSUED_AHEAD_MAX_NS, ISSUED_BEHIND_MAX_NS
from protocols.messages import PriceUpdate, Reserved
from protocols.quotes import Quote
from tests.core.sealed import ALICE, BOB, NOW_NS, forged, heard, key_of, prices, said

UPDATE = said(PriceUpdate(tuple(Quote(f"A{n}", 1, 0, NOW_NS, 0, 1, None) for n in range(1000))))
UPDATES_MAX = BUDGET_QUOTES_MAX // weight(UPDATE)


def update(seq: int, issued_ns: int = NOW_NS, author: bytes = key_of(ALICE)) -> Envelope:
    """An update of a thousand quotes; the budget does not look at its signature."""
    message = replace(UPDATE.message, author=author, seq=seq, issued_ns=issued_ns)
    return replace(UPDATE, message=message)


def accepted(budget: AuthorBudget, *updates: Envelope) -> list[int]:
    return [one.message.seq for one in updates if budget.spend(one, NOW_NS)]


def open_node() -> Admission:
    return Admission(
        "main",
        allowlist=None,
        names=Names(is_kept=lambda _: False),
        find_held=lambda _: None,
        budget=AuthorBudget(),
    )


def test_a_message_weighs_its_quotes_or_its_bytes_besides_itself() -> None:
    assert weight(UPDATE) == MESSAGE_QUOTES + 1000
    assert weight(said()) == MESSAGE_QUOTES + 1
    letter = said(Reserved(9, (b"x" * 100_000,)))
    assert weight(letter) == MESSAGE_QUOTES + len(letter.raw) // QUOTE_BYTES > 800


def test_a_window_is_spent_and_the_next_one_is_new() -> None:
    budget = AuthorBudget()
    assert len(accepted(budget, *map(update, range(100)))) == UPDATES_MAX
    assert accepted(budget, update(101, NOW_NS - BUDGET_WINDOW_NS)) == [101]
    assert accepted(budget, update(102)) == []
    assert accepted(budget, update(103, author=key_of(BOB))) == [103]


@given(
    rates=st.lists(st.integers(0, UPDATES_MAX), min_size=1, max_size=7),
    seed=st.integers(0, 2**32),
)
def test_who_keeps_within_it_is_accepted_in_any_order_at_any_time(
    rates: list[int], seed: int
) -> None:
    """However the network delays and reorders: no two honest nodes differ."""
    dice = random.Random(seed)
    first = (NOW_NS - ISSUED_BEHIND_MAX_NS) // BUDGET_WINDOW_NS + 1
    said_by_alice = [
        update(seq, (first + window) * BUDGET_WINDOW_NS + dice.randrange(BUDGET_WINDOW_NS))
        for window, rate in enumerate(rates)
        for seq in range(rate)
    ]
    dice.shuffle(said_by_alice)
    in_time = [u for u in said_by_alice if u.message.issued_ns <= NOW_NS + ISSUED_AHEAD_MAX_NS]
    assert len(accepted(AuthorBudget(), *in_time)) == len(in_time)


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 30), st.integers(-60, 10), st.integers(1, 60)), max_size=30
    )
)
def test_nobody_gets_more_than_the_windows_that_are_open(
    steps: list[tuple[int, int, int]],
) -> None:
    budget = AuthorBudget()
    now_ns, spent, seq = NOW_NS, 0, 0
    for wait_s, lead_s, count in steps:
        now_ns += wait_s * 10**9
        for _ in range(count):
            seq += 1
            said_now = update(seq, now_ns + lead_s * 10**9)
            spent += weight(said_now) if budget.spend(said_now, now_ns) else 0
        assert budget.windows <= 9
    windows = (now_ns - NOW_NS + 70 * 10**9) // BUDGET_WINDOW_NS + 2
    assert spent <= windows * BUDGET_QUOTES_MAX


def test_windows_are_forgotten_when_they_are_out_of_time() -> None:
    budget = AuthorBudget()
    for second in range(0, 3600, 5):
        now_ns = NOW_NS + second * 10**9
        assert budget.spend(update(second, now_ns), now_ns)
    assert budget.windows <= 8
    # A clock set back by an hour leaves nothing behind either.
    assert budget.spend(update(9999), NOW_NS)
    assert budget.windows == 1


# --- its place among the rules --------------------------------------------------------------


def spend_all(node: Admission) -> int:
    """The number of alice's first update that the node does not take."""
    for seq in range(1, 2 * UPDATES_MAX):
        if not isinstance(heard(node, said(UPDATE.message.payload, seq=seq)), Accepted):
            return seq
    raise AssertionError("there is no end to what it takes")


def test_over_its_budget_an_author_is_ignored_and_its_name_not_marked() -> None:
    node = open_node()
    seq = spend_all(node)
    assert seq == UPDATES_MAX + 1
    assert heard(node, said(UPDATE.message.payload, seq=seq)) == Ignored(Reason.OVER_BUDGET)
    later_ns = NOW_NS + BUDGET_WINDOW_NS
    again = said(UPDATE.message.payload, seq=seq, issued_ns=later_ns)
    assert isinstance(heard(node, again, later_ns), Accepted)
    assert node.statistics().refused[Reason.OVER_BUDGET] == 2


def test_the_messages_of_others_and_forgeries_spend_nothing() -> None:
    node = open_node()
    for seq in range(1, 2 * UPDATES_MAX):
        fake = forged(said(UPDATE.message.payload, seq=seq))
        assert heard(node, fake) == Rejected(Reason.BAD_SIGNATURE)
    assert spend_all(node) == UPDATES_MAX + 1
    assert isinstance(heard(node, said(by=BOB)), Accepted)


def test_copies_spend_nothing() -> None:
    node, once = open_node(), said(UPDATE.message.payload)
    assert isinstance(heard(node, once), Accepted)
    for _ in range(2 * UPDATES_MAX):
        assert heard(node, once) == Ignored(Reason.KNOWN)
    assert isinstance(heard(node, said(prices(), seq=2)), Accepted)


def test_a_snapshot_is_not_counted() -> None:
    node = open_node()
    seq = spend_all(node)
    assert isinstance(node.judge_held(said(UPDATE.message.payload, seq=seq).raw, NOW_NS), Accepted)
