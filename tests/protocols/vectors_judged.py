"""Vectors of what is well-formed: accepted, or refused by rules 2 to 8."""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha512

from tests.protocols.vector_parts import (
    ALICE,
    BOB,
    EPOCH,
    MALLORY,
    NOW_NS,
    NOW_S,
    SECOND_NS,
    SIGNING_CONTEXT,
    Author,
    Receiver,
    Seen,
    Vector,
    body,
    presence,
    quote,
    seen,
    vector,
)
from tests.protocols.vectors_malformed import filled, many_quotes

UINT64_MAX = 2**64 - 1
L = 2**252 + 27742317777372353535851937790883648493  # the order of Ed25519's base point
OTHER = body([[quote(mantissa=3943249)]])  # bears the same name as body()
LATE = body(seq=5000)


def judged() -> Iterator[Vector]:
    """Every vector of gossip that rule 1 lets through."""
    yield from _accepted_prices()
    yield from _accepted_names_and_times()
    yield from _accepted_presence()
    yield from _rules_2_and_3()
    yield from _rule_4()
    yield from _rules_5_and_6()
    yield from _rules_7_and_8()
    yield from _order_of_rules()


def snapshot() -> Iterator[Vector]:
    """Every vector of a peer's snapshot: neither topic nor sender."""
    for item in _snapshot():
        yield replace(item, topic=None, sender=None)


def _accepted_prices() -> Iterator[Vector]:
    yield vector("one quote", None, body())
    tagged = quote(tags={"chain": "bitcoin", "change_24h": "-1.25"}, confidence=150, sources=3)
    yield vector("a quote with confidence and tags", None, body([[tagged]]))
    replayed = quote(tags={"recorded": "2021-01-08"})
    walked = quote(asset="ETH-USD", tags={"synthetic": "walk"})
    yield vector("recorded and synthetic", None, body([[replayed, walked]]))
    assets = ["BTC-USD", "ETH/USD", "9.A_B", "Z", "AAPL.US", "EUR-USD"]
    several = [quote(asset=asset, mantissa=7, exponent=place) for place, asset in enumerate(assets)]
    yield vector("several quotes", None, body([several]))
    least = quote(asset="A", mantissa=1, exponent=-18, observed_ns=0, sources=0)
    most = quote(
        asset="A" * 32,
        mantissa=2**63 - 1,
        exponent=18,
        observed_ns=UINT64_MAX,
        confidence=2**63 - 1,
        sources=255,
        tags={f"{number}" * 32: "~" * 32 for number in range(8)},
    )
    yield vector("quotes at every limit", None, body([[least, most]]))
    yield vector("a factor of ten at exponent 18", None, body([[quote(mantissa=70, exponent=18)]]))
    kept = [quote(mantissa=70, confidence=3), quote(asset="A", mantissa=7, confidence=10)]
    yield vector("a factor of ten in one of two", None, body([kept]))
    yield vector("1000 quotes", None, many_quotes(1000))
    other = body(network="test-1")
    yield vector("another network", None, other, receiver=Receiver(network="test-1"))
    longest = "0-" * 16
    yield vector("a network of 32", None, body(network=longest), receiver=Receiver(network=longest))
    on_the_list = Receiver(allowlist=[BOB, ALICE])
    yield vector("author on the allowlist", None, body(), receiver=on_the_list)


def _accepted_names_and_times() -> Iterator[Vector]:
    yield vector("epoch 60 s ahead", None, body(epoch=NOW_S + 60))
    yield vector("issued 10 s ahead", None, body(issued_ns=NOW_NS + 10 * SECOND_NS))
    yield vector("issued 60 s ago", None, body(issued_ns=NOW_NS - 60 * SECOND_NS))
    yield vector("epoch 0 of an author never heard", None, body(epoch=0))
    yield vector("seq 2^64-1", None, body(seq=UINT64_MAX))
    after = Receiver(seen=[seen(LATE)])
    yield vector("the next", None, body(seq=5001), receiver=after)
    yield vector("a gap", None, body(seq=90_000), receiver=after)
    yield vector("1023 behind the mark, unseen", None, body(seq=3977), receiver=after)
    yield vector("one behind the mark, unseen", None, body(seq=4999), receiver=after)
    yield vector("a new epoch", None, body(epoch=EPOCH + 1), receiver=after)
    restarted = Receiver(marks=[("prices", ALICE, EPOCH, 5000)])
    yield vector("the next after a restart", None, body(seq=5001), receiver=restarted)
    restarted = replace(restarted, seen=[seen(body(seq=5003))])
    yield vector("late after a restart", None, body(seq=5001), receiver=restarted)
    heard = Receiver(seen=[seen(body(presence(), kind=2), topic="presence")])
    yield vector("topics number apart", None, body(), receiver=heard)
    of_bob = body(author=BOB.key)
    yield vector("authors number apart", None, of_bob, author=BOB, receiver=after)


def _accepted_presence() -> Iterator[Vector]:
    consumer = presence(role=0, interval_ms=60_000, ttl_ms=180_000, addrs=[], assets=0)
    addrs = [f"/ip4/192.0.2.{number}/tcp/4201" for number in range(9)]
    full = presence(
        interval_ms=10_000,
        addrs=[*addrs, "/dns4/" + "a" * 250],
        agent="a" * 64,
        extra={f"{number}" * 64: "~" * 64 for number in range(8)},
    )
    cases = {
        "presence of a provider": (2, presence()),
        "presence of a consumer": (2, consumer),
        "presence, leaving": (2, presence(state=2)),
        "presence at every upper limit": (2, full),
        "presence at every lower limit": (2, presence(interval_ms=1000, ttl_ms=0, agent="")),
        "a consumer's interval of 2^63-1": (2, presence(role=0, interval_ms=2**63 - 1)),
        "reserved kind 3": (3, []),
        "reserved kind 7": (7, [None, True, -(2**63), UINT64_MAX, "a", b"\xff", {"a": [{"b": 1}]}]),
        "reserved kind 31": (31, ["a" * 64]),
    }
    for name, (kind, payload) in cases.items():
        yield vector(name, None, body(payload, kind=kind), topic="presence")
    yield vector("an envelope of 131072 bytes", None, filled(131_072), topic="presence")
    before = seen(body(presence(), kind=2), topic="presence")
    following = body(presence(), kind=2, seq=2)
    yield vector("presence, the next", None, following, topic="presence", receiver=_heard(before))


def _rules_2_and_3() -> Iterator[Vector]:
    yield vector("another network's", "wrong_network", body(network="test"))
    yield vector("prices on the presence topic", "wrong_topic", body(), topic="presence")
    yield vector("presence on the prices topic", "wrong_topic", body(presence(), kind=2))
    yield vector("reserved on the prices topic", "wrong_topic", body([], kind=7))
    yield vector("kind 32 on the prices topic", "wrong_topic", body([], kind=32))
    yield vector("said by another than its author", "wrong_author", body(), sender=BOB.key)
    yield vector("kind 32", "unknown_kind", body([], kind=32), topic="presence")
    yield vector("kind 2^64-1", "unknown_kind", body([], kind=UINT64_MAX), topic="presence")


def _rule_4() -> Iterator[Vector]:
    after = _heard(seen(LATE))
    yield vector("heard before", "known", LATE, receiver=after)
    window = Receiver(seen=[seen(body(seq=3977)), seen(LATE)])
    yield vector("heard before, at the window's end", "known", body(seq=3977), receiver=window)
    yield vector("1024 behind the mark", "too_old", body(seq=3976), receiver=after)
    yield vector("an older epoch", "too_old", body(epoch=EPOCH - 1, seq=9000), receiver=after)
    restarted = Receiver(marks=[("prices", ALICE, EPOCH, 5000)])
    yield vector("the mark itself after a restart", "too_old", LATE, receiver=restarted)
    yield vector("below the mark after a restart", "too_old", body(seq=4999), receiver=restarted)
    before = _heard(seen(body(presence(), kind=2, seq=5), topic="presence"))
    for name, seq in (("presence at the mark", 5), ("presence below the mark", 4)):
        said = body(presence(), kind=2, seq=seq)
        yield vector(name, "too_old", said, topic="presence", receiver=before)
    said = body(presence(assets=3), kind=2, seq=5)
    yield vector(
        "presence at the mark, other body", "too_old", said, topic="presence", receiver=before
    )


def _rules_5_and_6() -> Iterator[Vector]:
    yield vector("epoch 61 s ahead", "future_epoch", body(epoch=NOW_S + 61))
    behind = Receiver(now_ns=NOW_NS - 1)
    yield vector(
        "epoch 60 s and 1 ns ahead", "future_epoch", body(epoch=NOW_S + 60), receiver=behind
    )
    yield vector("epoch 2^64-1", "future_epoch", body(epoch=UINT64_MAX))
    yield vector(
        "issued 10 s and 1 ns ahead", "future", body(issued_ns=NOW_NS + 10 * SECOND_NS + 1)
    )
    yield vector("issued_ns 2^64-1", "future", body(issued_ns=UINT64_MAX))
    yield vector("issued 60 s and 1 ns ago", "expired", body(issued_ns=NOW_NS - 60 * SECOND_NS - 1))
    yield vector("issued_ns 0", "expired", body(issued_ns=0))
    yield vector(
        "author not on the allowlist", "not_allowed", body(), receiver=Receiver(allowlist=[BOB])
    )
    yield vector("an empty allowlist", "not_allowed", body(), receiver=Receiver(allowlist=[]))


def _rules_7_and_8() -> Iterator[Vector]:
    said, signature = body(), ALICE.sign(body())
    flipped = bytes([signature[0] ^ 1]) + signature[1:]
    plus_order = int.from_bytes(signature[32:], "little") + L
    wrong = {
        "a bit of the signature flipped": flipped,
        "another's signature": MALLORY.sign(said),
        "the signature of another body": ALICE.sign(OTHER),
        "signed without the context": ALICE.sign(said, b""),
        "signed in another context": ALICE.sign(said, b"meshprice/2\0"),
        "signed without the context's zero": ALICE.sign(said, b"meshprice/1"),
        "a signature of zeros": bytes(64),
        "a signature with S above the order": signature[:32] + plus_order.to_bytes(32, "little"),
    }
    for name, forged in wrong.items():
        yield vector(name, "bad_signature", said, signature=forged)
    for name, key in (
        ("an author's key of zeros", bytes(32)),
        ("an author's key of small order", b"\x01" + bytes(31)),
        ("an author's key that is no point", b"\x02" + bytes(31)),
    ):
        forged_body = body(author=key)
        forged = b"\x01" + bytes(63)  # R the neutral point, S zero: holds for a small-order key
        yield vector(name, "bad_signature", forged_body, sender=key, signature=forged)
    yield vector(
        "a signature whose R is of small order",
        "bad_signature",
        said,
        signature=_with_neutral_r(ALICE, said),
    )
    yield vector("another body under a name", "equivocation", OTHER, receiver=_heard(seen(said)))
    late = body([[quote(mantissa=3943249)]], seq=3977)
    window = Receiver(seen=[seen(body(seq=3977)), seen(LATE)])
    yield vector("the same, at the window's end", "equivocation", late, receiver=window)


def _with_neutral_r(author: Author, said: bytes) -> bytes:
    """What only the author can make: R is the neutral point, and the equation holds."""
    scalar = bytearray(sha512(author.seed).digest()[:32])
    scalar[0] &= 0xF8
    scalar[31] = scalar[31] & 0x3F | 0x40
    r = b"\x01" + bytes(31)
    challenge = sha512(r + author.key + SIGNING_CONTEXT + said).digest()
    s = int.from_bytes(challenge, "little") * int.from_bytes(scalar, "little") % L
    return r + s.to_bytes(32, "little")


def _order_of_rules() -> Iterator[Vector]:
    forged = MALLORY.sign(b"")
    broken = body(network="test", seq=0)
    yield vector("1 before 2: malformed, another network's", "malformed", broken)
    yield vector("2 before 3: kind 32, sent by another", "wrong_author", body([], kind=32),
                 topic="presence", sender=BOB.key)  # fmt: skip
    expired = body(kind=32, payload=[], issued_ns=0)
    yield vector("3 before 5: kind 32, expired", "unknown_kind", expired, topic="presence")
    heard = Receiver(now_ns=NOW_NS, seen=[seen(body())])
    yield vector("4 before 7: known, forged", "known", body(), signature=forged, receiver=heard)
    marked = Receiver(marks=[("prices", ALICE, EPOCH, 5000)])
    yield vector("4 before 5: too old, expired", "too_old", body(issued_ns=0), receiver=marked)
    yield vector("5 before 6: expired, not allowed", "expired", body(issued_ns=0),
                 receiver=Receiver(allowlist=[BOB]))  # fmt: skip
    yield vector("5 before 8: other body, expired", "expired", body(issued_ns=0), receiver=heard)
    yield vector("6 before 7: not allowed, forged", "not_allowed", body(), signature=forged,
                 receiver=Receiver(allowlist=[BOB]))  # fmt: skip
    yield vector("7 before 8: other body, forged", "bad_signature", OTHER, signature=forged,
                 receiver=heard)  # fmt: skip


def _snapshot() -> Iterator[Vector]:
    hour_ago = body(issued_ns=NOW_NS - 3600 * SECOND_NS)
    after = _heard(seen(LATE))
    yield vector("one quote", None, body())
    yield vector("issued an hour ago", None, hour_ago)
    yield vector("issued_ns 0", None, body(issued_ns=0))
    yield vector("far behind the mark", None, body(seq=3), receiver=after)
    yield vector("an older epoch", None, body(epoch=EPOCH - 1, seq=9000), receiver=after)
    restarted = Receiver(marks=[("prices", ALICE, EPOCH, 5000)])
    yield vector("the mark itself after a restart", None, LATE, receiver=restarted)
    yield vector("issued 10 s ahead", None, body(issued_ns=NOW_NS + 10 * SECOND_NS))
    yield vector("author on the allowlist", None, body(), receiver=Receiver(allowlist=[ALICE]))
    yield vector("seq 0", "malformed", body(seq=0))
    yield vector("another network's", "wrong_network", body(network="test"))
    yield vector("presence", "wrong_topic", body(presence(), kind=2))
    yield vector("kind 32", "wrong_topic", body([], kind=32))
    yield vector("heard before", "known", LATE, receiver=after)
    yield vector("epoch 61 s ahead", "future_epoch", body(epoch=NOW_S + 61))
    yield vector(
        "issued 10 s and 1 ns ahead", "future", body(issued_ns=NOW_NS + 10 * SECOND_NS + 1)
    )
    yield vector("not on the allowlist", "not_allowed", body(), receiver=Receiver(allowlist=[BOB]))
    yield vector("forged", "bad_signature", body(), signature=MALLORY.sign(body()))
    yield vector("other body", "equivocation", OTHER, receiver=_heard(seen(body())))
    forged = MALLORY.sign(OTHER)
    heard = _heard(seen(body()))
    yield vector("other body, forged", "bad_signature", OTHER, signature=forged, receiver=heard)


def _heard(*items: Seen) -> Receiver:
    return Receiver(seen=items)
