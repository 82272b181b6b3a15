"""What Bob keeps on disk of where others are, and what he takes up of it again."""

import random

import pytest
from nacl.signing import SigningKey

from meshnode.core.address_book import (
    CHANGES_MAX,
    PEER_ADDRS_MAX,
    UNPROVEN_FAILURES_MAX,
    Address,
    AddressBook,
    Origin,
)
from meshnode.core.dial_rules import DialRules
from meshnode.core.records import KnownAddr
from tests.cast import ALICE, BOB, CAROL, id_of, key_of

NOBODY: frozenset[str] = frozenset()


def places(*numbers: int) -> list[str]:
    return [f"/memory/{number}" for number in numbers]


def at(number: int) -> Address:
    return Address(id_of(ALICE), f"/memory/{number}")


@pytest.fixture
def book() -> AddressBook:
    return AddressBook(DialRules(id_of(BOB), ("/memory/0",)), random.Random(1))


def test_changes_are_told_once(book: AddressBook) -> None:
    book.told(id_of(ALICE), places(1, 2), Origin.AUTHOR)
    alice = key_of(ALICE)
    kept, gone = book.take_changes()
    assert kept == [KnownAddr(alice, "/memory/1", None, 0), KnownAddr(alice, "/memory/2", None, 0)]
    assert (gone, book.take_changes()) == ([], ([], []))
    book.worked(at(1), now_ns=7)
    book.failed(at(2), 0, alone=False)
    assert book.take_changes()[0] == [
        KnownAddr(alice, "/memory/1", 7, 0),
        KnownAddr(alice, "/memory/2", None, 1),
    ]
    book.forget(id_of(ALICE))
    kept, gone = book.take_changes()
    assert (kept, sorted(gone)) == ([], [(alice, "/memory/1"), (alice, "/memory/2")])


def test_hearsay_is_kept_once_the_node_says_it_or_it_worked(book: AddressBook) -> None:
    alice = key_of(ALICE)
    book.told(id_of(ALICE), places(1, 2, 3), Origin.HEARSAY)
    book.failed(at(1), 0, alone=False)
    assert book.take_changes() == ([], [])
    book.told(id_of(ALICE), places(1), Origin.AUTHOR)
    book.worked(at(2), now_ns=7)
    assert book.take_changes()[0] == [
        KnownAddr(alice, "/memory/1", None, 1),
        KnownAddr(alice, "/memory/2", 7, 0),
    ]
    book.forget(id_of(ALICE))
    assert sorted(book.take_changes()[1]) == [(alice, "/memory/1"), (alice, "/memory/2")]


def test_what_is_only_hearsay_again_is_gone_from_the_disk(book: AddressBook) -> None:
    book.told(id_of(ALICE), places(1), Origin.AUTHOR)
    book.take_changes()
    book.forget(id_of(ALICE))
    book.told(id_of(ALICE), places(1), Origin.HEARSAY)
    assert book.take_changes() == ([], [(key_of(ALICE), "/memory/1")])


def test_what_was_kept_is_as_good_as_before(book: AddressBook) -> None:
    book.restore([KnownAddr(key_of(ALICE), "/memory/1", None, 0)])
    book.told(id_of(CAROL), places(2), Origin.HEARSAY)
    assert book.is_vouched(at(1))
    assert not book.is_vouched(Address(id_of(CAROL), "/memory/2"))


def test_what_was_kept_comes_back_and_is_judged_anew(book: AddressBook) -> None:
    alice, carol = key_of(ALICE), key_of(CAROL)
    book.restore(
        [
            KnownAddr(carol, "/memory/5", None, UNPROVEN_FAILURES_MAX - 1),
            KnownAddr(alice, "/memory/1", 7, 3),
            KnownAddr(alice, "/ip4/127.0.0.1/tcp/1", 8, 0),  # from when we listened there
        ]
    )
    assert len(book) == 2
    kept, gone = book.take_changes()
    assert gone == [(alice, "/ip4/127.0.0.1/tcp/1")]
    assert sorted(kept)[0] == min(
        KnownAddr(alice, "/memory/1", 7, 3),
        KnownAddr(carol, "/memory/5", None, UNPROVEN_FAILURES_MAX - 1),
    )
    assert book.choose(NOBODY, 0) == at(1)
    book.failed(Address(id_of(CAROL), "/memory/5"), 0, alone=False)
    assert len(book) == 1


def test_more_than_has_room_is_not_taken_up_again_and_forgotten(book: AddressBook) -> None:
    alice = key_of(ALICE)
    book.restore([KnownAddr(alice, place, n, 0) for n, place in enumerate(places(1, 2, 3, 4))])
    assert len(book) == PEER_ADDRS_MAX
    assert book.take_changes()[1] == [(alice, "/memory/1")]


def test_a_store_that_lost_everything_is_given_everything(book: AddressBook) -> None:
    book.told(id_of(ALICE), places(1), Origin.AUTHOR)
    book.worked(at(2), now_ns=1)
    book.take_changes()
    book.change_everything()
    assert len(book.take_changes()[0]) == 2


def test_changes_that_nobody_takes_are_bounded(book: AddressBook) -> None:
    for number in range(CHANGES_MAX // PEER_ADDRS_MAX + 10):
        numbers = range(3 * number + 1, 3 * number + 4)
        newcomer = id_of(SigningKey((number + 1).to_bytes(32, "big")))
        book.told(newcomer, places(*numbers), Origin.AUTHOR)
        book.forget(newcomer)
    kept, gone = book.take_changes()
    assert len(kept) + len(gone) == CHANGES_MAX
