"""The life of a connection, event by event."""

import pytest

from meshnode.core.links import (
    ERROR_CHARS_MAX,
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
