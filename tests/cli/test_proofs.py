import pytest
from nacl.signing import SigningKey

from meshnode.cli.proofs import verify
from protocols.envelope import seal
from protocols.errors import Malformed
from protocols.ids import peer_id
from protocols.messages import Message, PriceUpdate
from protocols.quotes import Quote

ALICE = SigningKey(b"a" * 32)


def sealed_by_alice() -> bytes:
    quotes = (Quote("BTC-USD", 1, 0, 0, 0, 1, None), Quote("ETH-USD", 2, 0, 0, 0, 1, None))
    key = bytes(ALICE.verify_key)
    return seal(Message("main", key, 7, 3, 10**18, PriceUpdate(quotes)), ALICE).raw


def test_an_envelope_proves_who_said_what() -> None:
    proof = verify(sealed_by_alice())
    assert proof.author == peer_id(bytes(ALICE.verify_key))
    assert (proof.epoch, proof.seq, proof.quotes) == (7, 3, 2)
    assert proof.issued == "2001-09-09T01:46:40Z"
    assert proof.verified is True
    assert proof.to_map()["envelope"] == sealed_by_alice().hex()


def test_a_forged_envelope_is_shown_as_such() -> None:
    raw = bytearray(sealed_by_alice())
    raw[-1] ^= 1
    assert verify(bytes(raw)).verified is False


def test_garbage_is_no_envelope() -> None:
    with pytest.raises(Malformed):
        verify(b"garbage")
