"""What peers did wrong, and who is told how often."""

import trio
from trio.testing import MockClock

from meshnode.adapters.libp2p.bans import BAN_S
from meshnode.adapters.libp2p.conduct import (
    ERROR_CHARS_MAX,
    TELL_EVERY_S,
    Conduct,
    is_blameworthy,
)
from meshnode.core.verdicts import Reason
from tests.adapters.libp2p.world import Facts


async def test_a_flood_is_told_of_once_in_a_while(autojump_clock: MockClock) -> None:
    facts = Facts()
    conduct = Conduct(facts)
    for _ in range(100):
        conduct.misbehaved("mallory", "gossip", ValueError("again"))
    conduct.misbehaved("trudy", "gossip", ValueError("too"))
    assert [(fact.peer_id, fact.count) for fact in facts.misbehaved] == [
        ("mallory", 1),
        ("trudy", 1),
    ]
    await trio.sleep(TELL_EVERY_S)
    conduct.misbehaved("mallory", "gossip", ValueError("again"))
    assert facts.misbehaved[-1].count == 100
    assert conduct.refused["gossip"] == 102


async def test_an_error_is_one_short_line() -> None:
    facts = Facts()
    Conduct(facts).misbehaved("mallory", "gossip", ValueError("\x1b[2J\r\nfake\u202e" * 500))
    [fact] = facts.misbehaved
    assert fact.error.isprintable()
    assert len(fact.error) <= ERROR_CHARS_MAX


async def test_who_is_condemned_is_kept_out_for_a_while(autojump_clock: MockClock) -> None:
    conduct = Conduct(Facts())
    assert conduct.kept_out_s("mallory") == 0
    conduct.condemn("mallory", "yamux", ValueError("a flood"))
    assert conduct.kept_out_s("mallory") == BAN_S
    await trio.sleep(BAN_S)
    assert conduct.kept_out_s("mallory") == 0


def test_an_honest_relay_is_not_blamed_for_our_clock_or_our_list() -> None:
    for reason in (Reason.FUTURE, Reason.EXPIRED, Reason.FUTURE_EPOCH):
        assert not is_blameworthy(reason, is_own=True, clocks_agree=False)
        assert is_blameworthy(reason, is_own=False, clocks_agree=True)
    for reason in (Reason.NOT_ALLOWED, Reason.OVER_BUDGET, Reason.TOO_MANY_AUTHORS):
        assert not is_blameworthy(reason, is_own=False, clocks_agree=True)
        assert is_blameworthy(reason, is_own=True, clocks_agree=True)
    assert is_blameworthy(Reason.KNOWN, is_own=False, clocks_agree=False)
