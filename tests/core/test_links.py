"""The life of a connection, event by event."""

import pytest

from meshnode.core.links import (
    ERROR_CHARS_MAX,
    RECONNECTIONS_KEPT,
    TRANSITIONS,
    LinkEvent,
    LinkKind,
    LinkRecord,
    LinkState,
)


def test_a_link_is_dialled_fails_and_recovers() -> None:
    link = LinkRecord("peer", "bob")
    assert (link.state, link.attempts) == (LinkState.DISCONNECTED, 0)

    link.dialling(7)
    link.failed("connection refused", 7)
    link.dialling(7)
    assert (link.state, link.attempts) == (LinkState.CONNECTING, 2)
    assert (link.last_error, link.last_success_ns) == ("connection refused", None)

    link.opened(7)
    assert (link.state, link.attempts, link.last_success_ns) == (LinkState.CONNECTED, 0, 7)
    assert link.last_error == "connection refused", "what went wrong last stays known"

    link.opened(9)
    assert link.last_success_ns == 9


def test_a_connected_link_stays_connected_while_a_second_dial_is_under_way() -> None:
    link = LinkRecord("peer", "bob")
    link.opened(1)
    link.dialling(7)
    assert (link.state, link.attempts) == (LinkState.CONNECTED, 0)


def test_a_close_does_not_hide_the_error_before_it() -> None:
    link = LinkRecord("store", "sqlite")
    link.failed("disk full", 7)
    link.closed(7)
    assert link.state is LinkState.ERROR


def test_late_events_do_not_bring_back_what_was_stopped() -> None:
    link = LinkRecord("upstream", "walk")
    link.opened(1)
    link.stopped(7)
    link.opened(2)
    link.failed("too late", 7)
    link.closed(7)
    assert (link.state, link.last_success_ns) == (LinkState.STOPPED, 1)
    link.dialling(7)
    assert link.state is LinkState.CONNECTING


@pytest.mark.parametrize("kind", ["peer", "upstream", "store"])
def test_an_error_is_one_line_of_bounded_length(kind: LinkKind) -> None:
    link = LinkRecord(kind, "x")
    link.failed("first\nsecond\x1b[31m" + "!" * 10_000, 7)
    assert link.last_error is not None
    assert link.last_error.startswith("first\\nsecond\\x1b[31m!")
    assert len(link.last_error) == ERROR_CHARS_MAX


def test_every_event_is_defined_in_every_state() -> None:
    assert set(TRANSITIONS) == set(LinkState)
    assert all(set(row) == set(LinkEvent) for row in TRANSITIONS.values())


S = 10**9


def test_a_link_tells_how_much_of_the_time_it_worked_and_how_long_it_took_to_come_back() -> None:
    link = LinkRecord("peer", "bob")
    assert link.uptime_percent(0) is None
    link.dialling(0)
    link.opened(10 * S)
    assert (link.reconnects, link.reconnect_last_s, link.reconnect_median_s) == (0, None, None)
    for lost_s, back_s in ((20, 22), (30, 38), (50, 54)):
        link.closed(lost_s * S)
        link.dialling((lost_s + 1) * S)
        link.failed("refused", (lost_s + 1) * S)
        link.opened(back_s * S)
    link.opened(90 * S)  # works still
    assert (link.reconnects, link.reconnect_last_s, link.reconnect_median_s) == (3, 4, 4)
    assert link.uptime_percent(100 * S) == 100 - 10 - 2 - 8 - 4


def test_a_wall_clock_set_back_counts_nothing() -> None:
    link = LinkRecord("peer", "bob")
    link.opened(100 * S)
    link.closed(50 * S)
    link.opened(60 * S)
    assert link.uptime_percent(70 * S) == 50
    assert link.reconnect_last_s == 10


def test_the_median_is_of_the_last_reconnections() -> None:
    link = LinkRecord("peer", "bob")
    link.opened(0)
    now_s = 0
    for took_s in [100] * 10 + [1] * RECONNECTIONS_KEPT:
        link.closed(now_s * S)
        now_s += took_s
        link.opened(now_s * S)
    assert link.reconnect_median_s == 1
    assert link.reconnects == 10 + RECONNECTIONS_KEPT
