"""Places for connections that have not shaken hands yet, in virtual time."""

from functools import partial

import pytest
import trio
from trio.testing import MockClock, memory_stream_one_way_pair

from meshnode.adapters.libp2p.half_open import (
    HANDSHAKE_BYTES_MAX,
    HalfOpen,
    HandshakeBytes,
    owner_of,
)

LONG_S = 10**6


class Wire:
    """What has been sent before it is read."""

    def __init__(self) -> None:
        self.sender, self._receiver = memory_stream_one_way_pair()

    async def read(self, n: int | None = None) -> bytes:
        return bytes(await self._receiver.receive_some(n))


async def saying(data: bytes = b"") -> HandshakeBytes:
    """A handshake in which so much has been said."""
    wire = Wire()
    handshake = HandshakeBytes(wire)
    if data:
        await wire.sender.send_all(data)
        await handshake.read()
    return handshake


async def idle(
    half_open: HalfOpen, ip: str, ended: list[str], name: str, *, said: bytes = b""
) -> None:
    with half_open.place(ip, await saying(said)) as place:
        await trio.sleep(LONG_S)
    if place.cancelled_caught:
        ended.append(name)


async def test_a_place_has_a_deadline(autojump_clock: MockClock) -> None:
    half_open = HalfOpen(deadline_s=5)
    with half_open.place("192.0.2.1", await saying()) as place:
        await trio.sleep(LONG_S)
    assert place.cancelled_caught
    assert trio.current_time() == 5
    assert (len(half_open), half_open.timed_out, half_open.displaced) == (0, 1, 0)


async def test_who_is_done_in_time_is_not_disturbed(autojump_clock: MockClock) -> None:
    half_open = HalfOpen(deadline_s=5)
    with half_open.place("192.0.2.1", await saying()):
        await trio.sleep(4)
    await trio.sleep(10)
    assert (len(half_open), half_open.timed_out) == (0, 0)


async def test_the_oldest_of_who_holds_most_makes_room(autojump_clock: MockClock) -> None:
    half_open, ended = HalfOpen(deadline_s=60, places_max=4), list[str]()
    async with trio.open_nursery() as nursery:
        for name, ip in (("alice", "a"), ("m1", "m"), ("m2", "m"), ("bob", "b"), ("carol", "c")):
            nursery.start_soon(idle, half_open, ip, ended, name)
            await trio.testing.wait_all_tasks_blocked()
        assert ended == ["m1"]
        assert (len(half_open), half_open.displaced) == (4, 1)
        nursery.cancel_scope.cancel()
    assert len(half_open) == 0


async def test_who_has_a_whole_network_displaces_itself(autojump_clock: MockClock) -> None:
    half_open, ended = HalfOpen(deadline_s=60, places_max=3), list[str]()
    async with trio.open_nursery() as nursery:
        for name, ip in (
            ("alice", "2001:db8:a::1"),
            ("m1", "2001:db8:0:6::1"),
            ("m2", "2001:db8:0:6:ffff::2"),
            ("bob", "2001:db8:b::1"),
        ):
            nursery.start_soon(idle, half_open, ip, ended, name)
            await trio.testing.wait_all_tasks_blocked()
        assert ended == ["m1"]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("ip", "owner"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),  # a transport without addresses
    ],
)
def test_whose_an_address_is(ip: str, owner: str) -> None:
    assert owner_of(ip) == owner


async def test_who_has_said_something_is_not_displaced_by_the_silent(
    autojump_clock: MockClock,
) -> None:
    """Behind one address, too, who shakes hands is told from who only opens connections."""
    half_open, ended = HalfOpen(deadline_s=60, places_max=3), list[str]()

    async def arrive(name: str, said: bytes = b"") -> None:
        nursery.start_soon(partial(idle, half_open, "a", ended, name, said=said))
        await trio.testing.wait_all_tasks_blocked()

    async with trio.open_nursery() as nursery:
        await arrive("alice", b"\x13/multistream/1.0.0\n")
        for number in range(5):
            await arrive(f"m{number}")
        assert ended == ["m0", "m1", "m2"]
        nursery.cancel_scope.cancel()


async def test_a_handshake_has_few_bytes() -> None:
    wire = Wire()
    handshake = HandshakeBytes(wire)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wire.sender.send_all, bytes(2 * HANDSHAKE_BYTES_MAX))
        received = 0
        with trio.fail_after(5), pytest.raises(OSError, match="handshake"):
            while True:
                received += len(await handshake.read(2**32))
        assert received == HANDSHAKE_BYTES_MAX
        nursery.cancel_scope.cancel()
