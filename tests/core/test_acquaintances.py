"""Whom Bob ever knew to provide."""

from hypothesis import given
from hypothesis import strategies as st

from meshnode.core.acquaintances import NOTED_EVERY_NS, Acquaintances
from meshnode.core.records import KnownNode

S = 10**9


def test_who_was_heard_is_known_by_its_last_word() -> None:
    known = Acquaintances()
    known.heard(b"alice", 5 * S)
    known.heard(b"alice", 3 * S)  # late
    assert known.last_seen_ns(b"alice") == 5 * S
    assert known.last_seen_ns(b"carol") is None
    assert known.take_changes() == ([KnownNode(b"alice", 5 * S)], [])
    assert known.take_changes() == ([], [])


def test_who_is_heard_all_the_time_is_written_now_and_then() -> None:
    known = Acquaintances()
    written = 0
    for second in range(0, 301, 5):
        known.heard(b"alice", second * S)
        written += len(known.take_changes()[0])
    assert written == 300 * S // NOTED_EVERY_NS + 1


def test_the_one_silent_longest_makes_room_the_pinned_last() -> None:
    known = Acquaintances(pinned=[b"alice"], nodes_max=2)
    for number, author in enumerate((b"alice", b"bob", b"carol", b"bob")):
        known.heard(author, number * S)
    known.take_changes()
    known.heard(b"dave", 9 * S)
    assert {node.author for node in known.newest(9)} == {b"alice", b"dave"}
    assert known.take_changes() == ([KnownNode(b"dave", 9 * S)], [b"bob"])
    assert known.dropped == 3


def test_where_all_are_pinned_the_oldest_goes_all_the_same() -> None:
    known = Acquaintances(pinned=[b"alice", b"bob"], nodes_max=1)
    known.heard(b"alice", 1)
    known.heard(b"bob", 2)
    assert len(known) == 1


def test_what_was_kept_comes_back_and_is_not_written_again() -> None:
    nodes = [KnownNode(b"alice", 7 * S), KnownNode(b"bob", 9 * S), KnownNode(b"carol", 8 * S)]
    known = Acquaintances(nodes_max=2)
    known.restore(nodes)
    assert known.newest(1) == [nodes[1]]
    assert known.newest(9) == [nodes[1], nodes[2]]
    assert known.take_changes() == ([], [b"alice"])  # there was no room for it
    known.change_everything()
    assert sorted(known.take_changes()[0]) == nodes[1:]


@given(st.lists(st.tuples(st.sampled_from([bytes([n]) for n in range(9)]), st.integers(0, 10**12))))
def test_a_disk_that_takes_every_change_holds_what_is_known(heard: list[tuple[bytes, int]]) -> None:
    known = Acquaintances(nodes_max=5)
    disk: dict[bytes, int] = {}
    for author, said_ns in heard:
        known.heard(author, said_ns)
        kept, gone = known.take_changes()
        disk.update(kept)
        for name in gone:
            disk.pop(name, None)
        assert len(known) <= 5
    assert disk.keys() == {node.author for node in known.newest(9)}
    for author, last_ns in disk.items():
        assert 0 <= (known.last_seen_ns(author) or 0) - last_ns < NOTED_EVERY_NS
