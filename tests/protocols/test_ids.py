"""Peer ids, the keys inside them, networks and topics."""

import pytest
from hypothesis import given
from libp2p.crypto.ed25519 import Ed25519PublicKey
from libp2p.peer.id import ID

from protocols.errors import Malformed
from protocols.ids import (
    Topic,
    is_network,
    key_from_id_bytes,
    key_from_peer_id,
    peer_id,
    peer_id_bytes,
)
from tests.protocols.strategies import keys, networks


@given(keys)
def test_a_peer_id_contains_the_key(key: bytes) -> None:
    assert peer_id(key).startswith("12D3KooW")
    assert key_from_peer_id(peer_id(key)) == key
    assert key_from_id_bytes(peer_id_bytes(key)) == key


@given(keys)
def test_the_id_is_the_one_that_libp2p_gives(key: bytes) -> None:
    theirs = ID.from_pubkey(Ed25519PublicKey.from_bytes(key))
    assert (str(theirs), theirs.to_bytes()) == (peer_id(key), peer_id_bytes(key))


def test_equal_ids_are_one_object() -> None:
    before = peer_id(bytes(32))
    peer_id.cache_clear()
    assert peer_id(bytes(32)) is before


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_has_32_bytes(length: int) -> None:
    with pytest.raises(Malformed):
        peer_id(bytes(length))


GOOD = peer_id(bytes(range(32)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "0",
        GOOD[:-1],
        GOOD + "1",
        "1" + GOOD,
        GOOD.replace("K", "0"),
        GOOD + "\n",
        "é",
        "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N",
        "z" * 64,
        "z" * 65,
        "z" * 100000,
    ],
)
def test_what_is_no_peer_id_of_ours(text: str) -> None:
    with pytest.raises(Malformed):
        key_from_peer_id(text)


@pytest.mark.parametrize(
    "raw",
    [b"", peer_id_bytes(bytes(32))[:-1], peer_id_bytes(bytes(32)) + b"\0", b"\x12\x20" + bytes(36)],
)
def test_what_is_no_binary_peer_id_of_ours(raw: bytes) -> None:
    with pytest.raises(Malformed):
        key_from_id_bytes(raw)


@given(networks)
def test_networks_and_their_topics(name: str) -> None:
    assert is_network(name)
    assert not is_network(name + "\n")
    assert Topic.PRICES.on(name) == f"/meshprice/{name}/prices/1"
    assert Topic.PRESENCE.on(name) == f"/meshprice/{name}/presence/1"


@pytest.mark.parametrize("name", ["", "A", "a" * 33, "a/b", "a_b", "é", "a\0", "\u0661"])
def test_what_is_no_network(name: str) -> None:
    assert not is_network(name)
