"""Where Bob may reach others: what he was told, what he tried, and what he forgets."""

import math
import random

import pytest
from nacl.signing import SigningKey

from meshnode.core import address_book
from meshnode.core.address_book import (
    NEWCOMERS_A_PLACE,
    PROVEN_FAILURES_MAX,
    PROVEN_MAX,
    RETRY,
    RETRY_WHILE_FEW_S,
    UNPROVEN_FAILURES_MAX,
    UNPROVEN_MAX,
    Address,
    AddressBook,
    Origin,
)
from meshnode.core.dial_rules import DialRules
from meshnode.core.records import KnownAddr
from tests.cast import ALICE, BOB, CAROL, id_of, key_of

RULES = DialRules(id_of(BOB), ("/memory/0",))
NOBODY: frozenset[str] = frozenset()


def places(*numbers: int) -> list[str]:
    return [f"/memory/{number}" for number in numbers]


def at(number: int, who: SigningKey = ALICE) -> Address:
    return Address(id_of(who), f"/memory/{number}")


def someone(number: int) -> str:
    return id_of(SigningKey(number.to_bytes(32, "big")))


@pytest.fixture
def book() -> AddressBook:
    return AddressBook(RULES, random.Random(1))


# --- what is heard ----------------------------------------------------------------------------


def test_three_addresses_a_peer_are_read(book: AddressBook) -> None:
    book.told(id_of(ALICE), places(1, 2, 3, 4), Origin.AUTHOR)
    assert book.of(id_of(ALICE)) == (at(1), at(2), at(3))


def test_a_name_is_held_once_in_however_many_messages_it_came(book: AddressBook) -> None:
    as_it_came = "".join(list(id_of(ALICE)))
    assert as_it_came is not id_of(ALICE)
    book.told(as_it_came, places(1, 2), Origin.HEARSAY)
    assert all(address.peer_id is id_of(ALICE) for address in book.of(id_of(ALICE)))


def test_addresses_against_the_rules_are_not_taken_and_counted(book: AddressBook) -> None:
    book.told(id_of(ALICE), ["/ip4/127.0.0.1/tcp/22", "/dns4/x.org/tcp/1", "/memory/1"], Origin.LAN)
    book.told(id_of(BOB), places(1), Origin.AUTHOR)
    assert book.of(id_of(ALICE)) == (at(1),)
    assert len(book) == 1
    assert book.statistics() == {
        "addr_transport": 1,
        "addr_name": 1,
        "addr_own": 1,
        "addr_dropped": 0,
    }


def test_who_says_the_same_again_is_taken_again_where_it_was_given_up(book: AddressBook) -> None:
    said = (at(1).place, at(2).place)
    for _ in range(2):
        book.told(id_of(ALICE), said, Origin.AUTHOR)
        assert book.of(id_of(ALICE)) == (at(1), at(2))
    for _ in range(UNPROVEN_FAILURES_MAX):
        book.failed(at(1), 0.0, alone=False)
    assert book.of(id_of(ALICE)) == (at(2),)
    book.told(id_of(ALICE), said, Origin.AUTHOR)
    assert book.of(id_of(ALICE)) == (at(2), at(1))
    assert book.is_vouched(at(1))


def test_of_what_made_room_at_once_the_same_word_brings_it_again(
    monkeypatch: pytest.MonkeyPatch, book: AddressBook
) -> None:
    monkeypatch.setattr(address_book, "UNPROVEN_MAX", 1)
    for dropped in (1, 3):
        book.told(id_of(ALICE), (at(1).place, at(2).place), Origin.AUTHOR)
        assert book.of(id_of(ALICE)) == (at(2),)
        assert book.dropped == dropped


def test_hearsay_fills_places_and_displaces_nothing(book: AddressBook) -> None:
    book.told(id_of(ALICE), places(1, 2), Origin.HEARSAY)
    book.told(id_of(ALICE), places(3, 4), Origin.HEARSAY)
    assert book.of(id_of(ALICE)) == (at(1), at(2), at(3))
    assert book.statistics()["addr_too_many"] == 1


def test_a_node_s_own_word_displaces_hearsay_and_its_older_word(book: AddressBook) -> None:
    book.told(id_of(ALICE), places(1, 2, 3), Origin.HEARSAY)
    book.told(id_of(ALICE), places(4, 3), Origin.AUTHOR)
    assert set(book.of(id_of(ALICE))) == {at(2), at(3), at(4)}
    book.told(id_of(ALICE), places(5, 6, 7), Origin.AUTHOR)
    assert set(book.of(id_of(ALICE))) == {at(5), at(6), at(7)}
    book.told(id_of(ALICE), places(8), Origin.LAN)
    assert at(8) not in book


def test_what_worked_outlives_hearsay_but_not_its_node_s_word_that_it_moved(
    book: AddressBook,
) -> None:
    for number in (1, 2, 3):
        book.told(id_of(ALICE), places(number), Origin.AUTHOR)
        book.worked(at(number), now_ns=10 - number)
    book.told(id_of(ALICE), places(4), Origin.HEARSAY)
    assert at(4) not in book
    book.told(id_of(ALICE), places(3, 4), Origin.AUTHOR)
    assert set(book.of(id_of(ALICE))) == {at(1), at(3), at(4)}  # 2 worked longest ago


def test_a_flood_of_made_up_addresses_costs_none_that_worked(book: AddressBook) -> None:
    book.worked(at(1), now_ns=1)
    for number in range(UNPROVEN_MAX + 10 * NEWCOMERS_A_PLACE):
        book.told(someone(number + 10), places(number + 10), Origin.AUTHOR)
    assert len(book) == UNPROVEN_MAX + 1
    assert at(1) in book
    assert book.dropped > 0
    for number in range(book.dropped):  # the first heard went first
        assert not book.of(someone(number + 10))
    assert book.of(someone(book.dropped + 10))


def fill(book: AddressBook) -> int:
    """All places of what did not work yet; returns the number of the next newcomer."""
    for number in range(UNPROVEN_MAX):
        book.told(someone(number + 10), places(number + 10), Origin.AUTHOR)
    book.take_changes()
    return UNPROVEN_MAX + 10


def test_where_all_places_are_taken_few_newcomers_get_one(book: AddressBook) -> None:
    first = fill(book)
    newcomers = range(first, first + 10 * NEWCOMERS_A_PLACE)
    for number in newcomers:
        book.told(someone(number), places(number), Origin.AUTHOR)
    taken = [number for number in newcomers if book.of(someone(number))]
    assert 5 <= len(taken) <= 15
    kept, gone = book.take_changes()
    assert len(kept) == len(gone) == book.dropped == len(taken)
    passed_over = len(newcomers) - len(taken)
    assert book.statistics()["addr_no_room"] == passed_over
    book.told(id_of(ALICE), (), Origin.AUTHOR)  # who names no address wants no place
    assert book.statistics()["addr_no_room"] == passed_over
    last = taken[-1]
    book.told(someone(last), places(last, 1), Origin.AUTHOR)  # who has a place is no newcomer
    assert len(book.of(someone(last))) == 2


@pytest.mark.parametrize("origin", [Origin.AUTHOR, Origin.HEARSAY])
def test_nobody_can_make_sure_that_others_get_no_place(origin: Origin) -> None:
    """Chance decides: neither made-up newcomers nor refused addresses use anybody's turn up."""
    taken = []
    for seed in range(40):
        book = AddressBook(RULES, random.Random(seed))
        first = fill(book)
        for number in range(first, first + NEWCOMERS_A_PLACE - 1):
            book.told(someone(number), ["/ip4/127.0.0.1/tcp/1"], origin)
        book.told(id_of(ALICE), places(1), origin)
        taken.append(at(1) in book)
    assert 1 <= sum(taken) <= 12


def test_a_provider_always_gets_a_place_and_so_does_who_is_on_the_local_network(
    book: AddressBook,
) -> None:
    fill(book)
    book.told(id_of(ALICE), places(1), Origin.AUTHOR, provides=True)
    book.told(id_of(CAROL), places(2), Origin.LAN)
    assert at(1) in book
    assert at(2, CAROL) in book
    assert len(book) == UNPROVEN_MAX
    assert book.statistics() == {"addr_dropped": 2}


def test_of_what_worked_the_longest_ago_makes_room(book: AddressBook) -> None:
    for number in range(PROVEN_MAX):
        book.worked(Address(someone(number + 10), f"/memory/{number + 10}"), now_ns=number)
    first = Address(someone(10), "/memory/10")
    book.worked(first, now_ns=PROVEN_MAX)
    book.worked(at(1), now_ns=PROVEN_MAX + 1)
    assert first in book
    assert Address(someone(11), "/memory/11") not in book
    assert len(book) == PROVEN_MAX


def test_a_seed_that_worked_is_taken_unless_only_the_operator_may_name_it(
    book: AddressBook,
) -> None:
    book.worked(at(1), now_ns=1)
    book.worked(Address(id_of(CAROL), "/dns4/carol.example/tcp/1"), now_ns=1)
    assert len(book) == 1


def test_only_a_node_s_own_address_or_one_that_worked_proves_anything(book: AddressBook) -> None:
    book.told(id_of(ALICE), places(1), Origin.HEARSAY)
    book.told(id_of(ALICE), places(2), Origin.AUTHOR)
    assert [book.is_vouched(at(number)) for number in (1, 2, 3)] == [False, True, False]
    book.worked(at(1), now_ns=1)
    assert book.is_vouched(at(1))


# --- what is dialled --------------------------------------------------------------------------


def test_what_worked_is_dialled_first_and_what_held_before_what_did_not(book: AddressBook) -> None:
    dave, erin = someone(5), someone(6)
    book.told(id_of(ALICE), places(1), Origin.AUTHOR)
    assert book.choose(NOBODY, 0) == at(1)
    for number, (peer, lasted_s) in enumerate([(dave, 5.0), (erin, RETRY.stable_s)], start=2):
        book.worked(Address(peer, f"/memory/{number}"), now_ns=number)
        book.lost(peer, 0.0, lasted_s)
    assert book.choose(NOBODY, 0.1) == at(1)  # the others wait a little
    assert book.choose(NOBODY, 10) == Address(erin, "/memory/3")
    assert book.choose(frozenset({erin}), 10) == Address(dave, "/memory/2")
    assert book.choose(frozenset({erin, dave, id_of(ALICE)}), 10) is None


def test_seeds_are_left_to_whoever_keeps_them() -> None:
    book = AddressBook(RULES, random.Random(1), seeds=[str(at(1))])
    book.told(id_of(ALICE), places(1), Origin.AUTHOR)
    assert book.choose(NOBODY, 0, wait_max_s=RETRY_WHILE_FEW_S) is None
    book.told(id_of(ALICE), places(2), Origin.AUTHOR)  # it moved
    assert book.choose(NOBODY, 0, wait_max_s=RETRY_WHILE_FEW_S) == at(2)


def test_chance_decides_among_equals_and_the_same_chance_the_same_way() -> None:
    def choose(seed: int) -> Address | None:
        book = AddressBook(RULES, random.Random(seed))
        for number in range(20):
            book.told(someone(number + 10), places(number + 10), Origin.AUTHOR)
        return book.choose(NOBODY, 0)

    chosen = [choose(seed) for seed in range(20)]
    assert chosen == [choose(seed) for seed in range(20)]
    assert len(set(chosen)) > 5


def test_what_fails_waits_longer_and_longer_but_five_seconds_while_peers_are_few(
    book: AddressBook,
) -> None:
    book.worked(at(1), now_ns=1)
    now = 0.0
    waits: list[float] = []
    waits_while_few: list[float] = []
    for _ in range(8):
        book.failed(at(1), now, alone=False)
        for few, found in ((False, waits), (True, waits_while_few)):
            found.append(
                next(
                    wait_s / 10
                    for wait_s in range(1000)
                    if book.choose(
                        NOBODY,
                        now + wait_s / 10,
                        wait_max_s=RETRY_WHILE_FEW_S if few else math.inf,
                    )
                )
            )
        now += 100
    assert waits == pytest.approx([2, 4, 8, 16, 32, 60, 60, 60], rel=RETRY.jitter + 0.05)
    assert max(waits_while_few) <= RETRY_WHILE_FEW_S


def test_only_what_once_worked_may_be_tried_again_sooner_on_its_own(book: AddressBook) -> None:
    dave = Address(someone(5), "/memory/5")
    book.worked(at(1), now_ns=1)
    book.told(dave.peer_id, [dave.place], Origin.AUTHOR)
    for address in (at(1), dave):
        for _ in range(UNPROVEN_FAILURES_MAX - 1):
            book.failed(address, 0.0, alone=False)
    for besides, found in ((NOBODY, at(1)), (frozenset({id_of(ALICE)}), None)):
        assert book.choose(besides, 5) is None
        assert book.choose(besides, 5, proven_wait_max_s=5) == found
    assert book.choose(frozenset({id_of(ALICE)}), 5, wait_max_s=5) == dave


@pytest.mark.parametrize(
    ("worked", "failures_max"), [(False, UNPROVEN_FAILURES_MAX), (True, PROVEN_FAILURES_MAX)]
)
def test_what_never_answers_is_forgotten_what_once_did_much_later(
    book: AddressBook, *, worked: bool, failures_max: int
) -> None:
    book.told(id_of(ALICE), places(1), Origin.AUTHOR)
    if worked:
        book.worked(at(1), now_ns=1)
    for _ in range(failures_max - 1):
        book.failed(at(1), 0, alone=False)
    assert at(1) in book
    book.failed(at(1), 0, alone=False)
    assert at(1) not in book
    book.failed(at(1), 0, alone=False)  # a dial that was under way
    assert len(book) == 0


def test_who_reaches_nobody_forgets_nobody(book: AddressBook) -> None:
    book.told(id_of(ALICE), places(1), Origin.AUTHOR)
    for _ in range(10 * UNPROVEN_FAILURES_MAX):
        book.failed(at(1), 0, alone=True)
    assert at(1) in book
    assert book.choose(NOBODY, 1, wait_max_s=RETRY_WHILE_FEW_S) is None  # it waits all the same


def test_a_success_forgives_every_failure(book: AddressBook) -> None:
    book.told(id_of(ALICE), places(1), Origin.AUTHOR)
    for _ in range(UNPROVEN_FAILURES_MAX - 1):
        book.failed(at(1), 0, alone=False)
    book.worked(at(1), now_ns=5)
    for _ in range(UNPROVEN_FAILURES_MAX):
        book.failed(at(1), 0, alone=False)
    assert book.take_changes()[0] == [
        KnownAddr(key_of(ALICE), "/memory/1", 5, UNPROVEN_FAILURES_MAX)
    ]


def test_who_is_none_of_ours_is_forgotten(book: AddressBook) -> None:
    book.told(id_of(ALICE), places(1, 2), Origin.AUTHOR)
    book.told(id_of(CAROL), places(3), Origin.AUTHOR)
    book.forget(id_of(ALICE))
    book.forget(id_of(ALICE))
    assert len(book) == 1
