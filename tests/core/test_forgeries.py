"""Ten thousand alterations of a signed envelope: none is accepted, and none costs much."""

import random
import time
from collections.abc import Callable, Iterator

import pytest

from meshnode.core.verdicts import Accepted, Rejected
from protocols.codec import pack_envelope, unpack_envelope
from protocols.envelope import Envelope
from protocols.messages import PriceUpdate
from protocols.packing import pack, unpack
from protocols.quotes import Quote
from tests.core.sealed import ALICE, BOB, NOW_NS, admission, heard, key_of, presence, prices, said

ALTERATIONS = 10_000
# What a refusal may cost of a CPU; measured is about half.
COST_S, COST_PER_QUOTE_S = 200e-6, 3e-6
HUNDRED = PriceUpdate(tuple(Quote(f"A{n}", n + 1, 0, NOW_NS, 3, 1, None) for n in range(100)))
VICTIMS = (said(), said(HUNDRED), said(presence()))
# What else mallory has seen: by the same author, by another, in another network.
SEEN = (said(prices(7)), said(by=BOB), said(network="test"), said(seq=2))

Alteration = Callable[[Envelope, random.Random], bytes]


def flip_bits(victim: Envelope, dice: random.Random) -> bytes:
    altered = bytearray(victim.raw)
    for _ in range(dice.randrange(1, 4)):
        altered[dice.randrange(len(altered))] ^= 1 << dice.randrange(8)
    return bytes(altered)


def overwrite(victim: Envelope, dice: random.Random) -> bytes:
    altered = bytearray(victim.raw)
    start = dice.randrange(len(altered))
    altered[start : start + 8] = dice.randbytes(len(altered[start : start + 8]))
    return bytes(altered)


def cut(victim: Envelope, dice: random.Random) -> bytes:
    start = dice.randrange(len(victim.raw))
    return victim.raw[:start] + victim.raw[start + dice.randrange(1, 9) :]


def insert(victim: Envelope, dice: random.Random) -> bytes:
    start = dice.randrange(len(victim.raw) + 1)
    return victim.raw[:start] + dice.randbytes(dice.randrange(1, 9)) + victim.raw[start:]


def borrow_signature(victim: Envelope, dice: random.Random) -> bytes:
    return pack_envelope(victim.body, dice.choice(SEEN).signature)


def change_field(victim: Envelope, dice: random.Random) -> bytes:
    """A canonical body that says something else, under the signature of what was said."""
    body, signature = unpack_envelope(victim.raw)
    fields = unpack(body, "body", str_bytes_max=256)
    assert isinstance(fields, tuple)
    place = dice.choice((3, 4, 5))  # epoch, seq, time of issue
    change = dice.choice((-1, 1)) * dice.randrange(1, 1000)
    changed = (*fields[:place], max(1, fields[place] + change), *fields[place + 1 :])
    return pack_envelope(pack(changed), signature)


ALTERED_BY: tuple[Alteration, ...] = (
    flip_bits,
    overwrite,
    cut,
    insert,
    borrow_signature,
    change_field,
)


def alterations(victim: Envelope, dice: random.Random) -> Iterator[bytes]:
    for number in range(ALTERATIONS // len(VICTIMS) + 1):
        altered = ALTERED_BY[number % len(ALTERED_BY)](victim, dice)
        if altered != victim.raw:
            yield altered


@pytest.mark.parametrize("victim", VICTIMS, ids=("one quote", "a hundred quotes", "presence"))
def test_of_ten_thousand_alterations_none_is_accepted(victim: Envelope) -> None:
    node, dice = admission(), random.Random(1)
    topic = victim.message.topic
    tried = rejected = 0
    spent_s = -time.process_time()
    for altered in alterations(victim, dice):
        verdict = node.judge(topic, key_of(ALICE), altered, NOW_NS)
        assert not isinstance(verdict, Accepted)
        rejected += isinstance(verdict, Rejected)
        tried += 1
    spent_s += time.process_time()
    assert tried > 0.95 * ALTERATIONS / len(VICTIMS)
    # All but those that look too old or too new before anybody looks at the signature.
    assert rejected > 0.8 * tried
    payload = victim.message.payload
    quotes = len(payload.rows) if isinstance(payload, PriceUpdate) else 0
    assert spent_s / tried <= COST_S + quotes * COST_PER_QUOTE_S
    assert isinstance(heard(node, victim), Accepted), "the original is not blocked by any of them"


@pytest.mark.parametrize("victim", VICTIMS[:2], ids=("one quote", "a hundred quotes"))
def test_none_is_accepted_out_of_a_snapshot_either(victim: Envelope) -> None:
    node, dice = admission(), random.Random(2)
    for altered in alterations(victim, dice):
        assert not isinstance(node.judge_held(altered, NOW_NS), Accepted)
    assert isinstance(node.judge_held(victim.raw, NOW_NS), Accepted)
