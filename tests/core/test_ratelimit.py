"""What peers may ask: each by count, all together by count and bytes, in bounded memory."""

import pytest

from meshnode.core import ratelimit
from meshnode.core.ratelimit import REPLY_BYTES_BURST, REPLY_BYTES_PER_S, QueryLimiter
from protocols.limits import (
    CURSOR_PAGES_MAX,
    REQUESTS_PER_NODE_MAX_PER_S,
    REQUESTS_PER_PEER_MAX,
    REQUESTS_PER_PEER_WINDOW_S,
)

NOW = 1000.0


def spent(limiter: QueryLimiter, peer: str = "alice", now: float = NOW) -> None:
    """Let a peer use up what it has."""
    for _ in range(REQUESTS_PER_PEER_MAX):
        assert limiter.admit(peer, now)


def test_five_requests_in_fifteen_seconds() -> None:
    limiter = QueryLimiter()
    for second in range(REQUESTS_PER_PEER_MAX):
        assert limiter.admit("alice", NOW + second)
    assert not limiter.admit("alice", NOW + 5)
    assert not limiter.admit("alice", NOW + REQUESTS_PER_PEER_WINDOW_S - 0.001)
    assert limiter.refused == 2
    assert limiter.admit("alice", NOW + REQUESTS_PER_PEER_WINDOW_S)  # the first is past
    assert not limiter.admit("alice", NOW + REQUESTS_PER_PEER_WINDOW_S)
    assert limiter.admit("alice", NOW + REQUESTS_PER_PEER_WINDOW_S + 1)


def test_what_is_refused_costs_nothing() -> None:
    limiter = QueryLimiter()
    spent(limiter)
    for second in range(REQUESTS_PER_PEER_WINDOW_S):
        assert not limiter.admit("alice", NOW + second)
    assert limiter.admit("alice", NOW + REQUESTS_PER_PEER_WINDOW_S)


def test_each_peer_has_its_own_budget() -> None:
    limiter = QueryLimiter()
    spent(limiter)
    assert limiter.admit("bob", NOW)


def test_the_pages_of_an_answer_are_free_up_to_their_number() -> None:
    limiter = QueryLimiter()
    spent(limiter)
    for page in range(CURSOR_PAGES_MAX):
        assert limiter.admit("alice", NOW + page / 10, follows_cursor=True)
    assert not limiter.admit("alice", NOW + 7, follows_cursor=True)


def test_a_cursor_without_an_answer_before_it_is_a_request() -> None:
    limiter = QueryLimiter()
    assert limiter.admit("alice", NOW, follows_cursor=True)
    for _ in range(REQUESTS_PER_PEER_MAX - 1):
        assert limiter.admit("alice", NOW)
    assert not limiter.admit("alice", NOW)


def test_the_node_answers_fifty_a_second_pages_included() -> None:
    limiter = QueryLimiter()
    for number in range(REQUESTS_PER_NODE_MAX_PER_S - 1):
        assert limiter.admit(f"peer {number}", NOW + number / 1000)
    assert limiter.admit("peer 0", NOW + 0.5, follows_cursor=True)
    assert not limiter.admit("bob", NOW + 0.9)
    assert not limiter.admit("peer 0", NOW + 0.9, follows_cursor=True)
    assert limiter.admit("bob", NOW + 1)  # a second after the first


def test_who_was_refused_for_the_node_s_sake_keeps_its_own_budget() -> None:
    limiter = QueryLimiter()
    for number in range(REQUESTS_PER_NODE_MAX_PER_S):
        limiter.admit(f"peer {number}", NOW)
    assert not limiter.admit("alice", NOW)
    spent(limiter, now=NOW + 2)


def test_bytes_are_a_budget_that_fills_again() -> None:
    limiter = QueryLimiter()
    assert limiter.admit("alice", NOW)
    limiter.replied(REPLY_BYTES_BURST - 1, NOW)
    assert limiter.admit("bob", NOW)
    limiter.replied(REPLY_BYTES_PER_S + 1, NOW)  # the last answer may overdraw it
    assert not limiter.admit("carol", NOW + 1)
    assert limiter.admit("carol", NOW + 1.001)


def test_rest_earns_no_more_than_the_burst() -> None:
    limiter = QueryLimiter()
    limiter.replied(0, NOW)
    limiter.replied(REPLY_BYTES_BURST, NOW + 10**6)
    assert not limiter.admit("alice", NOW + 10**6)


def test_a_thousand_peers_are_remembered_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratelimit, "PEERS_TRACKED_MAX", 3)
    limiter = QueryLimiter()
    spent(limiter, "alice")
    spent(limiter, "bob")
    for peer in ("carol", "alice", "dave"):  # bob is the one who asked longest ago
        limiter.admit(peer, NOW)
    assert not limiter.admit("alice", NOW)
    assert limiter.admit("bob", NOW)
