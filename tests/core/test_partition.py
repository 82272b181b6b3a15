"""Did the network split? A few headcounts."""

import pytest

from meshnode.core.partition import COUNTED_AFTER_S, Headcount


def test_most_silent_together_are_a_split() -> None:
    count = Headcount(since=100.0, providers=2, consumers=10)
    soon, later = 100 + COUNTED_AFTER_S - 0.1, 100 + COUNTED_AFTER_S
    assert not count.is_split(3, soon)  # not all had their turn to speak
    assert count.is_split(5, later)
    assert not count.is_split(6, later)


def test_providers_alone_may_all_have_died() -> None:
    count = Headcount(since=0.0, providers=5, consumers=2)
    assert not count.is_split(2, COUNTED_AFTER_S)
    assert count.is_split(1, COUNTED_AFTER_S)


def test_of_few_nodes_most_going_is_no_sign() -> None:
    assert not Headcount(since=0.0, providers=1, consumers=1).is_split(0, 1000)


@pytest.mark.parametrize(("heard", "split"), [(45, False), (15, True)])
def test_a_large_network_s_consumers_have_not_all_spoken_yet(heard: int, split: bool) -> None:
    count = Headcount(since=0.0, providers=3, consumers=1000)
    assert count.is_split(heard, COUNTED_AFTER_S) is split
