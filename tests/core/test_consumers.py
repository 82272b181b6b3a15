"""Consumers in compact records: who is present, within a bound and at little cost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshnode.core import consumers as consumers_module
from meshnode.core.consumers import CONSUMER_INTERVALS, Consumers, consumer_interval_s
from protocols.ids import peer_id


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


def test_the_one_heard_longest_ago_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers_module, "CONSUMERS_MAX", 2)
    consumers = Consumers()
    for now, number in enumerate((1, 2, 1, 3)):
        consumers.heard(key(number), 60, now)
    assert set(consumers.peers()) == {peer_id(key(1)), peer_id(key(3))}
    assert consumers.dropped == 1


def test_nobody_is_present_for_ever() -> None:
    consumers = Consumers()
    consumers.heard(key(1), 10.0**12, 0)
    consumers.expire(CONSUMER_INTERVALS * 24 * 3600)
    assert len(consumers) == 0


def test_who_spoke_since_a_moment_is_counted() -> None:
    consumers = Consumers()
    for now, number in enumerate((1, 2, 3, 1)):
        consumers.heard(key(number), 60, now)
    assert [consumers.heard_since(at) for at in (-1, 0, 1, 2, 3)] == [3, 3, 2, 1, 0]


def test_a_large_network_s_consumers_speak_seldom() -> None:
    assert consumer_interval_s(1) == consumer_interval_s(30) == 60
    assert consumer_interval_s(1000) == 2000


def test_a_storm_of_identities_leaves_no_trace_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers_module, "CONSUMERS_MAX", 10)
    consumers = Consumers()
    for number in range(1000):
        consumers.heard(key(number), 60, number / 100)
    assert len(consumers._expiries) <= 2 * 10 + 1


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["heard", "gone", "time", "asked about now"]),
            st.integers(0, 5),
            st.integers(1, 100),
        ),
        max_size=60,
    )
)
def test_who_is_present_and_spoke_is_as_a_plain_map_says(steps: list[tuple[str, int, int]]) -> None:
    consumers, now, since = Consumers(), 0.0, -1.0
    # Of each: when it was last heard, until when it is present, when it was first heard.
    model = dict[bytes, tuple[float, float, float]]()
    for what, number, amount in steps:
        match what:
            case "heard":
                consumers.heard(key(number), amount, now)
                first_at = model[key(number)][2] if key(number) in model else now
                model[key(number)] = now, now + CONSUMER_INTERVALS * amount, first_at
            case "gone":
                consumers.gone(key(number))
                model.pop(key(number), None)
            case "asked about now":
                since = now
            case _:
                now += amount
                consumers.expire(now)
                model = {k: times for k, times in model.items() if times[1] > now}
        assert set(consumers.peers()) == set(map(peer_id, model))
        assert consumers.heard_since(since) == sum(at > since for at, _, _ in model.values())
        assert consumers.known_at(since) == sum(first <= since for _, _, first in model.values())
        again = sum(first <= since < at for at, _, first in model.values())
        assert consumers.heard_again(since) == again
