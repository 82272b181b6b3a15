"""Connections by the dozen, at a real socket."""

import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from resource import RLIMIT_NOFILE, getrlimit, setrlimit

import pytest
import trio
from libp2p.transport.exceptions import OpenConnectionError
from multiaddr import Multiaddr
from trio.testing import assert_checkpoints, assert_no_checkpoints

from meshnode.adapters.libp2p.listener import (
    ACCEPT_BATCH_MAX,
    LOOKED_AT_MAX,
    Door,
    Incoming,
    MeshTCP,
    has_hung_up,
)

ANYWHERE = Multiaddr("/ip4/127.0.0.1/tcp/0")


@asynccontextmanager
async def opened() -> AsyncIterator[tuple[Door, Counter[str]]]:
    """A door at which nobody has been let in yet."""
    refused = Counter[str]()
    listening = socket.create_server(("127.0.0.1", 0), backlog=2 * LOOKED_AT_MAX)
    listening.settimeout(0)
    async with Door(listening, refused) as door:
        yield door, refused


def knock(door: Door, said: bytes = b"") -> socket.socket:
    """A connection that waits to be accepted, and what its owner has sent."""
    connection = socket.create_connection(door.socket.getsockname())
    connection.sendall(said)
    return connection


async def said_by_next(door: Door) -> bytes:
    with trio.fail_after(5):
        async with await door.accept() as stream:
            return bytes(await stream.receive_some(100))


async def test_a_batch_is_taken_in_one_turn_of_the_loop() -> None:
    """And no more than that: who is being let in has its turn as well."""
    async with opened() as (door, _), AsyncExitStack() as streams:
        waiting = [knock(door) for _ in range(ACCEPT_BATCH_MAX + 1)]
        with assert_checkpoints():
            let_in = [await door.accept()]
        with assert_no_checkpoints():
            let_in += [await door.accept() for _ in range(ACCEPT_BATCH_MAX - 1)]
        with assert_checkpoints():
            let_in.append(await door.accept())
        for stream in let_in:
            await streams.enter_async_context(stream)
        for connection in waiting:
            connection.close()


async def test_nobody_waits_for_those_who_have_hung_up() -> None:
    """Of a flood most have given up before their turn comes; no task is started for them."""
    async with opened() as (door, refused):
        for _ in range(LOOKED_AT_MAX - 1):
            knock(door).close()
        with knock(door, b"alice"):
            assert await said_by_next(door) == b"alice"
        assert refused == {"hung_up": LOOKED_AT_MAX - 1}


async def test_who_has_said_something_and_closed_is_heard() -> None:
    async with opened() as (door, refused):
        knock(door, b"alice").close()
        assert await said_by_next(door) == b"alice"
        assert not refused


async def test_whoever_was_taken_is_closed_with_the_door() -> None:
    async with opened() as (door, _):
        with knock(door), knock(door) as second:
            await (await door.accept()).aclose()
            await door.aclose()
            second.settimeout(5)
            assert second.recv(1) == b""


def test_a_socket_that_broke_has_hung_up() -> None:
    broken = socket.socket()
    broken.close()
    assert has_hung_up(broken)


@contextmanager
def descriptors_used_up() -> Iterator[None]:
    """As it is when everything else has taken them."""
    soft, hard = getrlimit(RLIMIT_NOFILE)
    with socket.socket() as probe:
        lowest_free = probe.fileno()
    setrlimit(RLIMIT_NOFILE, (lowest_free, hard))
    try:
        yield
    finally:
        setrlimit(RLIMIT_NOFILE, (soft, hard))


async def test_without_descriptors_it_says_so_and_goes_on() -> None:
    """Trio's server logs it, waits a little and comes again."""
    async with opened() as (door, _):
        with knock(door, b"alice"):
            with descriptors_used_up(), pytest.raises(OSError, match="Too many open files"):
                await door.accept()
            assert await said_by_next(door) == b"alice"


async def test_a_closed_listener_is_not_opened_again() -> None:
    async def welcome(stream: object) -> None:
        raise AssertionError(f"nobody comes: {stream}")

    listener = MeshTCP(Counter()).create_listener(welcome)
    await listener.listen(ANYWHERE)
    await listener.listen(ANYWHERE)
    assert len(listener.get_addrs()) == 2
    await listener.close()
    with pytest.raises(OpenConnectionError):
        await listener.listen(ANYWHERE)


class Peer:
    """A connection's stream, as far as its peer's address is told by it."""

    def __init__(self, address: tuple[object, ...] | None) -> None:
        self.socket = self
        self._address = address

    def getpeername(self) -> tuple[object, ...]:
        if self._address is None:
            raise OSError("it is gone")
        return self._address


@pytest.mark.parametrize(
    ("address", "told"),
    [
        (("192.0.2.1", 4001), ("192.0.2.1", 4001)),
        (("2001:db8::1", 4001, 0, 0), ("2001:db8::1", 4001)),
        (None, None),
    ],
)
def test_a_peer_s_address_is_told_of_either_family(
    address: tuple[object, ...] | None, told: tuple[str, int] | None
) -> None:
    assert Incoming(Peer(address)).get_remote_address() == told
