"""Noise sessions: ours against ours and against the library's, over a wire in odd pieces."""

import random
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_new_x25519_key_pair
from libp2p.io.exceptions import ConnectionClosedError, DecryptionFailedException, IOException
from libp2p.peer.id import ID
from libp2p.security.noise.transport import Transport
from trio.testing import memory_stream_pair

from meshnode.adapters.libp2p.noise_io import NONCES_MAX, PLAINTEXT_BYTES_MAX, NoiseTransport

PIECE_BYTES_MAX = 40_000
KINDS = [(NoiseTransport, NoiseTransport), (NoiseTransport, Transport), (Transport, NoiseTransport)]
each_pair = pytest.mark.parametrize("kinds", KINDS)


class Pieces:
    """A raw connection whose bytes come in odd pieces, and can be tampered with."""

    def __init__(self, stream: Any, seed: int) -> None:
        self._stream = stream
        self._chance = random.Random(seed)
        self.flip_at: int | None = None

    async def read(self, n: int | None = None) -> bytes:
        size = self._chance.randint(1, PIECE_BYTES_MAX)
        data = bytearray(await self._stream.receive_some(size if n is None else min(n, size)))
        if self.flip_at is not None and data:
            data[self.flip_at] ^= 1
        return bytes(data)

    async def write(self, data: bytes) -> None:
        await self._stream.send_all(data)

    async def close(self) -> None:
        await self._stream.aclose()

    def get_remote_address(self) -> tuple[str, int] | None:
        return None


async def shake_hands(kinds: tuple[Any, Any], seed: int = 0) -> tuple[Any, Any, Pieces]:
    """Alice's session, bob's, and the wire on which bob hears alice."""
    left, right = memory_stream_pair()
    ends = [Pieces(left, seed), Pieces(right, seed + 1)]
    pairs = [create_new_key_pair(bytes([number]) * 32) for number in (1, 2)]
    alice, bob = (
        kind(pair, noise_privkey=create_new_x25519_key_pair().private_key)
        for kind, pair in zip(kinds, pairs, strict=True)
    )
    sessions: dict[str, Any] = {}
    async with trio.open_nursery() as nursery:

        async def dial() -> None:
            bob_id = ID.from_pubkey(pairs[1].public_key)
            sessions["alice"] = await alice.secure_outbound(ends[0], bob_id)

        nursery.start_soon(dial)
        sessions["bob"] = await bob.secure_inbound(ends[1])
    assert sessions["bob"].get_remote_peer() == ID.from_pubkey(pairs[0].public_key)
    assert sessions["alice"].is_initiator
    assert not sessions["bob"].is_initiator
    return sessions["alice"], sessions["bob"], ends[1]


@each_pair
@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(
        st.sampled_from((1, 12, 300, PLAINTEXT_BYTES_MAX, PLAINTEXT_BYTES_MAX + 1, 200_000)),
        min_size=1,
        max_size=5,
    ),
    seed=st.integers(0, 1000),
)
async def test_what_is_written_is_read_in_any_sizes(
    kinds: tuple[Any, Any], sizes: list[int], seed: int
) -> None:
    alice, bob, _ = await shake_hands(kinds, seed)
    chance = random.Random(seed)
    for speaker, listener in ((alice, bob), (bob, alice)):
        said = chance.randbytes(sum(sizes))
        position = 0
        for size in sizes:
            await speaker.write(said[position : position + size])
            position += size
        heard = b""
        while len(heard) < len(said):
            left = len(said) - len(heard)
            heard += await listener.read(min(left, chance.choice((1, 12, 70_000))))
        assert heard == said


async def test_all_that_is_there_is_read_at_once() -> None:
    alice, bob, _ = await shake_hands((NoiseTransport, NoiseTransport))
    for word in (b"one ", b"two ", b"three"):
        await alice.write(word)
    heard = b""
    while len(heard) < 13:
        heard += await bob.read()
    assert heard == b"one two three"


async def test_what_came_before_the_end_is_read_and_then_it_ends() -> None:
    alice, bob, _ = await shake_hands((NoiseTransport, NoiseTransport))
    await alice.write(b"last")
    await alice.close()
    assert await bob.read(100) == b"last"
    for size in (None, 1):
        with pytest.raises(ConnectionClosedError):
            await bob.read(size)


@pytest.mark.parametrize("byte", [0, 2, -1])
async def test_a_byte_changed_on_the_way_is_noticed(byte: int) -> None:
    """In the length it makes us wait for what never comes; anywhere else it does not decrypt."""
    alice, bob, wire = await shake_hands((NoiseTransport, NoiseTransport))
    wire.flip_at = byte
    await alice.write(b"true")
    await alice.close()
    with pytest.raises((DecryptionFailedException, ConnectionClosedError)):
        await bob.read()


async def test_nothing_is_said_under_a_nonce_twice() -> None:
    alice, _, _ = await shake_hands((NoiseTransport, NoiseTransport))
    alice._outbound._nonce = NONCES_MAX - 1
    await alice.write(b"the last")
    with pytest.raises(IOException):
        await alice.write(b"one too many")
