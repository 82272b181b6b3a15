"""A signature is its author's, over these bytes and no others."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from nacl.signing import SigningKey

from protocols.codec import decode_body, encode_body, pack_envelope, unpack_envelope
from protocols.envelope import SIGNING_CONTEXT, Envelope, open_envelope, seal
from protocols.errors import Malformed
from protocols.messages import Message, PriceUpdate
from protocols.quotes import Quote
from tests.protocols.strategies import messages

ALICE = SigningKey(b"alice".ljust(32, b"\0"))
BOB = SigningKey(b"bob".ljust(32, b"\0"))
QUOTE = Quote("BTC-USD", 3943248, -2, 1, 0, 1, None)


def says(key: SigningKey) -> Message:
    return Message("main", bytes(key.verify_key), 1, 1, 1, PriceUpdate((QUOTE,)))


@given(messages())
@settings(max_examples=30)
def test_what_alice_seals_bob_opens(said: Message) -> None:
    sealed = seal(replace(said, author=bytes(ALICE.verify_key)), ALICE)
    opened = open_envelope(sealed.raw)
    assert opened == sealed
    assert opened.is_authentic()


def test_bob_cannot_sign_for_alice() -> None:
    assert not seal(says(ALICE), BOB).is_authentic()


def test_a_signature_over_the_body_alone_is_of_another_protocol() -> None:
    body = encode_body(says(ALICE))
    raw = pack_envelope(body, ALICE.sign(body).signature)
    assert not open_envelope(raw).is_authentic()
    assert SIGNING_CONTEXT == b"meshprice/1\0"


def test_no_bit_of_the_body_can_be_changed() -> None:
    sealed = seal(says(ALICE), ALICE)
    for changed in one_bit_flipped(sealed.body):
        assert not replace(sealed, body=changed).is_authentic()
        assert not is_taken(pack_envelope(changed, sealed.signature))


def test_no_bit_of_the_signature_can_be_changed() -> None:
    sealed = seal(says(ALICE), ALICE)
    for changed in one_bit_flipped(sealed.signature):
        assert not is_taken(pack_envelope(sealed.body, changed))


def test_no_bit_of_the_whole_can_be_changed() -> None:
    for changed in one_bit_flipped(seal(says(ALICE), ALICE).raw):
        assert not is_taken(changed)


def one_bit_flipped(data: bytes) -> list[bytes]:
    number = int.from_bytes(data, "big")
    return [(number ^ 1 << bit).to_bytes(len(data), "big") for bit in range(8 * len(data))]


def is_taken(raw: bytes) -> bool:
    try:
        return open_envelope(raw).is_authentic()
    except Malformed:
        return False


@pytest.mark.parametrize(
    "key",
    [
        bytes(32),  # of small order: any message can be "signed" for it
        b"\x01" + bytes(31),
        b"\xff" * 32,  # no point of the curve
        b"\xec" + b"\xff" * 30 + b"\x7f",
    ],
    ids=bytes.hex,
)
def test_a_key_that_is_none_has_signed_nothing(key: bytes) -> None:
    body = encode_body(replace(says(ALICE), author=key))
    for signature in (bytes(64), key + bytes(32), ALICE.sign(SIGNING_CONTEXT + body).signature):
        assert not is_taken(pack_envelope(body, signature))


def test_a_signature_has_one_form() -> None:
    """Adding the group's order to S gives another number that an old verifier would take."""
    sealed = seal(says(ALICE), ALICE)
    order = 2**252 + 27742317777372353535851937790883648493
    scalar = int.from_bytes(sealed.signature[32:], "little") + order
    forged = sealed.signature[:32] + scalar.to_bytes(32, "little")
    assert not is_taken(pack_envelope(sealed.body, forged))


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_signature_of_another_length_does_not_reach_the_verifier(length: int) -> None:
    with pytest.raises(Malformed, match="64"):
        pack_envelope(encode_body(says(ALICE)), bytes(length))
    sealed = seal(says(ALICE), ALICE)
    assert not Envelope(sealed.raw, sealed.body, bytes(length), sealed.message).is_authentic()


def test_nothing_is_sealed_that_nobody_would_open() -> None:
    with pytest.raises(Malformed, match="quote 0: asset"):
        seal(replace(says(ALICE), payload=PriceUpdate((QUOTE._replace(asset="x"),))), ALICE)


def test_the_proof_is_the_bytes_received() -> None:
    sealed = seal(says(ALICE), ALICE)
    assert unpack_envelope(sealed.raw) == (sealed.body, sealed.signature)
    assert decode_body(sealed.body) == sealed.message
