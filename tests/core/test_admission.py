"""Verdicts: each rule decides alone, the earlier of two decides, and a name passes once."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from meshnode.core.admission import Admission
from meshnode.core.evidence import EVIDENCE_MAX, Evidence
from meshnode.core.names import FORGET_AFTER_NS, Names
from meshnode.core.verdicts import Accepted, Ignored, Reason, Rejected, Verdict
from protocols.envelope import Envelope
from protocols.ids import Topic
from protocols.limits import EPOCH_AHEAD_MAX_S, ISSUED_AHEAD_MAX_NS
from protocols.messages import Name, Payload, Reserved
from tests.core.sealed import (
    ALICE,
    BOB,
    EPOCH,
    NOW_NS,
    TOO_FAR_AHEAD_NS,
    TOO_LONG_AGO_NS,
    admission,
    forged,
    heard,
    key_of,
    presence,
    prices,
    said,
)

# --- the rules, two at a time: the earlier decides ------------------------------------------

BREAKS: dict[int, tuple[Callable[[Envelope], Envelope], Reason]] = {
    2: (lambda good: resealed(good, network="test"), Reason.WRONG_NETWORK),
    3: (lambda good: resealed(good, payload=Reserved(32, ())), Reason.UNKNOWN_KIND),
    4: (lambda good: resealed(good, epoch=EPOCH - 1), Reason.TOO_OLD),
    5: (lambda good: resealed(good, issued_ns=TOO_LONG_AGO_NS), Reason.EXPIRED),
    6: (lambda good: resealed(good, by=BOB), Reason.NOT_ALLOWED),
    7: (forged, Reason.BAD_SIGNATURE),
    8: (lambda good: resealed(good, payload=prices(9)), Reason.EQUIVOCATION),
}
EXCLUSIVE = {(3, 8), (4, 8), (6, 8), (4, 6)}  # no one envelope can break both


def resealed(
    envelope: Envelope,
    *,
    by: SigningKey | None = None,
    network: str | None = None,
    payload: Payload | None = None,
    epoch: int | None = None,
    issued_ns: int | None = None,
) -> Envelope:
    """The same message with some fields changed, signed anew."""
    message = envelope.message
    return said(
        payload or message.payload,
        by=by or (ALICE if message.author == key_of(ALICE) else BOB),
        network=network or message.network,
        epoch=epoch or message.epoch,
        seq=message.seq,
        issued_ns=issued_ns or message.issued_ns,
    )


def strict_node() -> Admission:
    """Knows alice's first update, and admits nobody else."""
    node = admission(allowlist=frozenset({key_of(ALICE)}))
    assert isinstance(heard(node, said()), Accepted)
    return node


def test_what_breaks_no_rule_is_accepted() -> None:
    assert isinstance(heard(strict_node(), said(seq=2)), Accepted)


@pytest.mark.parametrize("number", BREAKS)
def test_each_rule_decides_alone(number: int) -> None:
    broken, reason = BREAKS[number]
    good = said() if number == 8 else said(seq=2)
    assert reason_of(heard(strict_node(), broken(good))) is reason


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (first, second)
        for first in BREAKS
        for second in BREAKS
        if first < second and (first, second) not in EXCLUSIVE
    ],
)
def test_of_two_broken_rules_the_earlier_decides(first: int, second: int) -> None:
    good = said() if second == 8 else said(seq=2)
    breaks = sorted((first, second), key=lambda number: number == 7)  # forged comes last
    for number in breaks:
        good = BREAKS[number][0](good)
    assert reason_of(heard(strict_node(), good)) is BREAKS[first][1]


def reason_of(verdict: Verdict) -> Reason | None:
    return None if isinstance(verdict, Accepted) else verdict.reason


def test_only_rules_1_2_and_7_blame_the_sender() -> None:
    blaming = {Reason.WRONG_NETWORK, Reason.BAD_SIGNATURE}
    for number, (broken, reason) in BREAKS.items():
        verdict = heard(strict_node(), broken(said() if number == 8 else said(seq=2)))
        assert isinstance(verdict, Rejected if reason in blaming else Ignored)
    assert strict_node().judge(Topic.PRICES, b"", b"", NOW_NS) == Rejected(Reason.MALFORMED)


def test_an_update_comes_from_its_author_on_its_topic() -> None:
    node, update = admission(), said()
    verdict = node.judge(Topic.PRICES, key_of(BOB), update.raw, NOW_NS)
    assert verdict == Rejected(Reason.WRONG_AUTHOR)
    verdict = node.judge(Topic.PRESENCE, key_of(ALICE), update.raw, NOW_NS)
    assert verdict == Rejected(Reason.WRONG_TOPIC)
    assert heard(node, update) == Accepted(update)


@pytest.mark.parametrize(
    ("late", "reason"),
    [
        (said(epoch=NOW_NS // 10**9 + 61), Reason.FUTURE_EPOCH),
        (said(issued_ns=TOO_FAR_AHEAD_NS), Reason.FUTURE),
        (said(issued_ns=TOO_LONG_AGO_NS), Reason.EXPIRED),
    ],
)
def test_each_time_is_bounded(late: Envelope, reason: Reason) -> None:
    assert heard(admission(), late) == Ignored(reason)


@pytest.mark.parametrize(
    "just",
    [
        said(epoch=NOW_NS // 10**9 + EPOCH_AHEAD_MAX_S),
        said(issued_ns=TOO_FAR_AHEAD_NS - 1),
        said(issued_ns=TOO_LONG_AGO_NS + 1),
    ],
)
def test_exactly_at_the_bound_is_in_time(just: Envelope) -> None:
    assert isinstance(heard(admission(), just), Accepted)


# --- names ----------------------------------------------------------------------------------


def test_of_two_copies_one_passes() -> None:
    node, update = admission(), said()
    assert isinstance(heard(node, update), Accepted)
    assert heard(node, update) == Ignored(Reason.KNOWN)


def test_a_forgery_does_not_block_the_original() -> None:
    node, update = admission(), said()
    assert heard(node, forged(update)) == Rejected(Reason.BAD_SIGNATURE)
    far = said(seq=2**64 - 1)
    assert heard(node, forged(far)) == Rejected(Reason.BAD_SIGNATURE)
    assert isinstance(heard(node, update), Accepted)


def test_nothing_refused_leaves_a_mark() -> None:
    node = admission(allowlist=frozenset({key_of(ALICE)}))
    for refused in (
        said(issued_ns=TOO_LONG_AGO_NS, seq=9),
        said(epoch=2**64 - 1, seq=9),
        said(by=BOB),
    ):
        assert not isinstance(heard(node, refused), Accepted)
    assert isinstance(heard(node, said()), Accepted)


def test_a_replay_is_refused_after_a_restart_too() -> None:
    before, update = Names(is_kept=lambda _: False), said()
    heard(admission(names=before), update)
    after = Names(is_kept=lambda _: False)
    for mark in before.marks():
        after.restore(mark, NOW_NS)
    assert heard(admission(names=after), update) == Ignored(Reason.TOO_OLD)


def test_by_the_time_an_author_is_forgotten_its_replays_have_expired() -> None:
    names = Names(is_kept=lambda _: False, authors_max=1)
    node = admission(names=names)
    # Issued as far ahead as can be, it stays acceptable for longest.
    update = said(issued_ns=NOW_NS + ISSUED_AHEAD_MAX_NS)
    assert isinstance(heard(node, update), Accepted)
    later_ns = NOW_NS + FORGET_AFTER_NS + 1
    assert isinstance(heard(node, said(by=BOB, issued_ns=later_ns), later_ns), Accepted)
    assert names.statistics().forgotten == 1
    assert heard(node, update, later_ns) == Ignored(Reason.EXPIRED)


def test_one_author_too_many_is_refused() -> None:
    names = Names(is_kept=lambda _: False, authors_max=1)
    node = admission(names=names)
    assert isinstance(heard(node, said()), Accepted)
    assert heard(node, forged(said(by=BOB))) == Rejected(Reason.BAD_SIGNATURE)
    assert names.statistics().refused == 0, "a forgery does not even ask for room"
    assert heard(node, said(by=BOB)) == Ignored(Reason.TOO_MANY_AUTHORS)
    assert isinstance(heard(node, said(seq=2)), Accepted)


# --- equivocation ---------------------------------------------------------------------------


def test_an_equivocation_is_kept_as_evidence() -> None:
    update, other = said(), said(prices(9))
    node = admission(held={update.message.name: update.raw})
    heard(node, update)
    assert heard(node, forged(other)) == Rejected(Reason.BAD_SIGNATURE)
    assert node.evidence() == ()
    assert heard(node, other) == Ignored(Reason.EQUIVOCATION)
    assert node.evidence() == (Evidence(update.message.name, update.raw, other.raw),)


def test_complete_evidence_replaces_a_half() -> None:
    held: dict[Name, bytes] = {}
    node = Admission(
        "main", allowlist=None, names=Names(is_kept=lambda _: False), find_held=held.get
    )
    update, other, third = said(), said(prices(9)), said(prices(11))
    heard(node, update)
    heard(node, other)
    assert node.evidence()[0].first is None
    held[update.message.name] = update.raw
    heard(node, third)
    heard(node, other)
    assert node.evidence() == (Evidence(update.message.name, update.raw, third.raw),)


def test_evidence_is_bounded_and_the_oldest_stands() -> None:
    node = admission()
    for number in range(EVIDENCE_MAX + 1):
        author = SigningKey(number.to_bytes(32, "big"))
        heard(node, said(by=author))
        assert heard(node, said(prices(9), by=author)) == Ignored(Reason.EQUIVOCATION)
    assert len(node.evidence()) == EVIDENCE_MAX
    assert node.evidence()[0].name.author == key_of(SigningKey(bytes(32)))
    assert node.statistics().evidence_dropped == 1


# --- snapshots ------------------------------------------------------------------------------


def test_a_snapshot_may_be_old_and_behind() -> None:
    node = admission()
    heard(node, said(seq=5000))
    for held in (said(seq=3, issued_ns=TOO_LONG_AGO_NS), said(epoch=EPOCH - 1), said(epoch=0)):
        assert node.judge_held(held.raw, NOW_NS) == Accepted(held)


def test_a_snapshot_raises_no_mark() -> None:
    names = Names(is_kept=lambda _: False)
    node, update = admission(names=names), said(seq=9)
    assert isinstance(node.judge_held(update.raw, NOW_NS), Accepted)
    assert list(names.marks()) == []
    assert isinstance(heard(node, said(seq=1)), Accepted)
    assert isinstance(heard(node, update), Accepted)


@pytest.mark.parametrize(
    ("held", "verdict"),
    [
        (said(network="test"), Rejected(Reason.WRONG_NETWORK)),
        (said(presence()), Rejected(Reason.WRONG_TOPIC)),
        (said(), Ignored(Reason.KNOWN)),
        (said(epoch=NOW_NS // 10**9 + 61), Ignored(Reason.FUTURE_EPOCH)),
        (said(seq=2, issued_ns=TOO_FAR_AHEAD_NS), Ignored(Reason.FUTURE)),
        (said(by=BOB), Ignored(Reason.NOT_ALLOWED)),
        (forged(said(seq=2)), Rejected(Reason.BAD_SIGNATURE)),
        (said(prices(9)), Ignored(Reason.EQUIVOCATION)),
    ],
)
def test_all_else_counts_in_a_snapshot_too(held: Envelope, verdict: Verdict) -> None:
    node = strict_node()
    assert node.judge_held(held.raw, NOW_NS) == verdict
    assert (reason_of(verdict) is Reason.EQUIVOCATION) == bool(node.evidence())


# --- totality -------------------------------------------------------------------------------


@given(
    data=st.binary(max_size=200),
    sender=st.binary(max_size=40),
    topic=st.sampled_from(Topic),
    now_ns=st.integers(0, 2**64),
)
def test_no_bytes_make_it_raise(data: bytes, sender: bytes, topic: Topic, now_ns: int) -> None:
    node = admission()
    assert node.judge(topic, sender, data, now_ns) == Rejected(Reason.MALFORMED)
    assert node.judge_held(data, now_ns) == Rejected(Reason.MALFORMED)


def test_what_went_through_is_counted_by_reason() -> None:
    node = admission()
    heard(node, said())
    heard(node, said())
    node.judge_held(said(seq=2).raw, NOW_NS)
    node.judge_held(b"", NOW_NS)
    statistics = node.statistics()
    assert statistics.accepted == 2
    assert statistics.refused == {Reason.KNOWN: 1, Reason.MALFORMED: 1}


def test_what_we_sealed_ourselves_covers_no_forgery_of_it() -> None:
    node, ours = admission(), said()
    node.vouch(ours)
    assert heard(node, forged(ours)) == Rejected(Reason.BAD_SIGNATURE)
    assert isinstance(heard(node, ours), Accepted)
