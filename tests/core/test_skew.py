"""Who is shown as skewed: an author whose own new messages are refused for their time."""

from nacl.signing import SigningKey

from meshnode.core.skew import SKEW_RECHECK_NS, SKEW_REMEMBERED_NS, SKEWED_MAX, Refusals
from meshnode.core.verdicts import Accepted, Ignored, Reason
from protocols.messages import Presence, PresenceUpdate, Role
from tests.core.sealed import (
    ALICE,
    BOB,
    NOW_NS,
    TOO_FAR_AHEAD_NS,
    TOO_LONG_AGO_NS,
    admission,
    forged,
    heard,
    key_of,
    presence,
    said,
)


def test_an_author_refused_for_its_time_shows_as_skewed_until_accepted() -> None:
    node, alice = admission(), key_of(ALICE)
    heard(node, said(issued_ns=TOO_FAR_AHEAD_NS))
    assert node.skewed(NOW_NS) == {alice: Refusals(NOW_NS, NOW_NS, provides=True)}
    assert node.skewed(NOW_NS + SKEW_REMEMBERED_NS).keys() == {alice}
    assert node.skewed(NOW_NS + SKEW_REMEMBERED_NS + 1) == {}
    heard(node, said(seq=2))
    assert node.skewed(NOW_NS) == {}


def test_a_forgery_makes_nobody_look_skewed_and_hides_nobody() -> None:
    node, late = admission(), said(issued_ns=TOO_LONG_AGO_NS)
    assert heard(node, forged(late)) == Ignored(Reason.EXPIRED)
    assert node.skewed(NOW_NS) == {}
    heard(node, late)
    assert node.skewed(NOW_NS).keys() == {key_of(ALICE)}


def test_a_replay_makes_nobody_look_skewed() -> None:
    node = admission()
    heard(node, said(seq=100))
    withheld = said(seq=99, issued_ns=TOO_LONG_AGO_NS)
    assert heard(node, withheld) == Ignored(Reason.EXPIRED)
    assert node.skewed(NOW_NS) == {}


def test_a_stranger_is_not_shown_as_skewed() -> None:
    node = admission(allowlist=frozenset({key_of(ALICE)}))
    heard(node, said(by=BOB, issued_ns=TOO_LONG_AGO_NS))
    assert node.skewed(NOW_NS) == {}


def test_a_skewed_author_costs_one_verification_in_ten_seconds() -> None:
    node = admission()
    heard(node, said(issued_ns=TOO_FAR_AHEAD_NS + 10**12))
    soon_ns, later_ns = NOW_NS + SKEW_RECHECK_NS - 1, NOW_NS + SKEW_RECHECK_NS
    heard(node, said(seq=2, issued_ns=TOO_FAR_AHEAD_NS + 10**12), soon_ns)
    assert node.skewed(soon_ns)[key_of(ALICE)].last_ns == NOW_NS, "not looked at again"
    heard(node, said(seq=3, issued_ns=TOO_FAR_AHEAD_NS + 10**12), later_ns)
    assert node.skewed(later_ns)[key_of(ALICE)] == Refusals(NOW_NS, later_ns, provides=True)


def test_the_skewed_are_bounded_and_the_longest_refused_goes() -> None:
    node = admission()
    authors = [SigningKey(number.to_bytes(32, "big")) for number in range(SKEWED_MAX + 1)]
    for author in authors[:-1]:
        heard(node, said(by=author, issued_ns=TOO_LONG_AGO_NS))
    later_ns = NOW_NS + SKEW_RECHECK_NS
    for author in (authors[0], authors[-1]):
        heard(node, said(by=author, seq=2, issued_ns=TOO_LONG_AGO_NS), later_ns)
    assert node.skewed(later_ns).keys() == {key_of(author) for author in authors} - {
        key_of(authors[1])
    }
    assert node.statistics().skewed_dropped == 1


def test_one_refusal_may_be_a_message_held_up_two_apart_are_a_clock() -> None:
    node = admission()
    later_ns = NOW_NS + SKEW_RECHECK_NS
    heard(node, said(issued_ns=TOO_LONG_AGO_NS))
    assert not node.skewed(NOW_NS)[key_of(ALICE)].is_lasting
    heard(node, said(seq=2, issued_ns=TOO_LONG_AGO_NS), later_ns)
    refusals = node.skewed(later_ns)[key_of(ALICE)]
    assert refusals.is_lasting
    assert refusals.is_recent(later_ns + 2 * SKEW_RECHECK_NS - 1)
    assert not refusals.is_recent(later_ns + 2 * SKEW_RECHECK_NS)


def test_who_was_refused_long_ago_begins_anew() -> None:
    node = admission()
    heard(node, said(issued_ns=TOO_LONG_AGO_NS))
    later_ns = NOW_NS + SKEW_REMEMBERED_NS + 1
    heard(node, said(seq=2, issued_ns=TOO_LONG_AGO_NS), later_ns)
    assert not node.skewed(later_ns)[key_of(ALICE)].is_lasting


def test_who_provides_is_told_from_who_does_not() -> None:
    node = admission()
    consumes = PresenceUpdate(Role.CONSUMER, Presence.ACTIVE, 60_000, 60_000, (), "x", 0)
    heard(node, said(presence(), by=BOB, issued_ns=TOO_LONG_AGO_NS))
    heard(node, said(consumes, issued_ns=TOO_LONG_AGO_NS))
    assert {a: r.provides for a, r in node.skewed(NOW_NS).items()} == {
        key_of(ALICE): False,
        key_of(BOB): True,
    }


def test_what_we_say_ourselves_goes_out_whatever_our_clock() -> None:
    node, envelope = admission(), said(issued_ns=TOO_FAR_AHEAD_NS)
    assert heard(node, envelope) == Ignored(Reason.FUTURE)
    node.vouch(envelope)
    assert isinstance(heard(node, envelope), Accepted)
