"""What every implementation of the ports Mesh and Stream keeps."""

from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
import trio

from meshnode.errors import PeerUnreachable, StreamBroken
from meshnode.ports import Mesh, PeerConnected, PeerDisconnected, Stream
from protocols.ids import Topic
from protocols.limits import STREAMS_PER_PEER_MAX
from tests.contract.worlds import DEADLINE_S, ECHO, World, accept, connected, echo, heard, read_all
from tests.pinging import ping

# --- streams --------------------------------------------------------------------------------


async def test_a_stream_carries_bytes_both_ways(world: World) -> None:
    async with AsyncExitStack() as stack:
        alice, bob = await connected(stack, world, "alice", "bob")
        bob.serve(ECHO, echo)
        stream = await alice.open_stream(bob.peer_id, ECHO)
        assert stream.peer_id == bob.peer_id
        for data in (b"one", b"two"):
            await stream.write(data)
            assert await stream.read(100) == data
        await stream.close()
        assert await stream.read(100) == b""


async def test_who_closes_its_side_still_reads(world: World) -> None:
    async def answer(stream: Stream) -> None:
        question = await read_all(stream)
        await stream.write(question.upper() + b" by " + stream.peer_id.encode())

    async with AsyncExitStack() as stack:
        alice, bob = await connected(stack, world, "alice", "bob")
        bob.serve(ECHO, answer)
        stream = await alice.open_stream(bob.peer_id, ECHO)
        await stream.write(b"who asks")
        await stream.close()
        assert await read_all(stream) == b"WHO ASKS by " + alice.peer_id.encode()


async def test_a_large_answer_arrives_whole(world: World) -> None:
    answer = bytes(range(256)) * 4096

    async def reply(stream: Stream) -> None:
        await stream.write(answer)

    async with AsyncExitStack() as stack:
        alice, bob = await connected(stack, world, "alice", "bob")
        bob.serve(ECHO, reply)
        stream = await alice.open_stream(bob.peer_id, ECHO)
        await stream.close()
        assert await read_all(stream) == answer


async def test_who_closed_writes_no_more(world: World) -> None:
    async with AsyncExitStack() as stack:
        alice, bob = await connected(stack, world, "alice", "bob")
        bob.serve(ECHO, echo)
        stream = await alice.open_stream(bob.peer_id, ECHO)
        await stream.close()
        for data in (b"more", b""):
            with pytest.raises(StreamBroken):
                await stream.write(data)


async def test_an_exception_of_a_handler_resets_its_stream_only(world: World) -> None:
    async def fail(stream: Stream) -> None:
        await stream.read(100)
        raise ZeroDivisionError("a bug")

    async with AsyncExitStack() as stack:
        alice, bob = await connected(stack, world, "alice", "bob")
        bob.serve("/test/fail/1.0.0", fail)
        bob.serve(ECHO, echo)
        healthy = await alice.open_stream(bob.peer_id, ECHO)
        broken = await alice.open_stream(bob.peer_id, "/test/fail/1.0.0")
        await broken.write(b"go")
        with pytest.raises(StreamBroken):
            await read_all(broken)
        await healthy.write(b"still here")
        assert await healthy.read(100) == b"still here"
        await healthy.reset()


async def test_a_reset_is_no_end(world: World) -> None:
    async def hang_up(stream: Stream) -> None:
        await stream.read(100)
        await stream.write(b"half an ans")
        await stream.reset()

    async with AsyncExitStack() as stack:
        alice, bob = await connected(stack, world, "alice", "bob")
        bob.serve(ECHO, hang_up)
        stream = await alice.open_stream(bob.peer_id, ECHO)
        await stream.write(b"question")
        with pytest.raises(StreamBroken):
            await read_all(stream)


async def test_a_peer_has_few_streams_at_a_time(world: World) -> None:
    async with AsyncExitStack() as stack:
        alice, bob = await connected(stack, world, "alice", "bob")
        bob.serve(ECHO, echo)
        streams = [await alice.open_stream(bob.peer_id, ECHO) for _ in range(STREAMS_PER_PEER_MAX)]
        for stream in streams:
            await stream.write(b"hold")
            assert await stream.read(100) == b"hold"
        with pytest.raises((StreamBroken, PeerUnreachable)):  # reset, be it while it opens
            await read_all(await alice.open_stream(bob.peer_id, ECHO))
        await streams[0].close()
        await read_all(streams[0])
        again = await alice.open_stream(bob.peer_id, ECHO)
        await again.write(b"room again")
        assert await again.read(100) == b"room again"
        for stream in (*streams[1:], again):
            await stream.reset()


async def test_a_stream_to_nobody_is_unreachable(world: World) -> None:
    async with AsyncExitStack() as stack:
        alice, bob = await connected(stack, world, "alice", "bob")
        bob.serve(ECHO, echo)
        with pytest.raises(PeerUnreachable):
            await alice.open_stream(bob.peer_id, "/test/unknown/1.0.0")
        await alice.disconnect(bob.peer_id)
        with pytest.raises(PeerUnreachable):  # its address is known, but nobody said to dial it
            await alice.open_stream(bob.peer_id, ECHO)


# --- connections ----------------------------------------------------------------------------


async def test_coming_and_going_are_events(world: World) -> None:
    async with world.node("alice", accept) as alice:
        async with world.node("bob", accept) as bob:
            await bob.connect(alice.addrs()[0])
            with trio.fail_after(DEADLINE_S):
                assert await alice.next_connection_event() == PeerConnected(bob.peer_id)
                assert await bob.next_connection_event() == PeerConnected(alice.peer_id)
            assert [peer.peer_id for peer in alice.peers()] == [bob.peer_id]
            assert alice.peer_ids() == (bob.peer_id,)
        with trio.fail_after(DEADLINE_S):
            assert await alice.next_connection_event() == PeerDisconnected(bob.peer_id)
        assert alice.peers() == ()
        assert alice.peer_ids() == ()


async def test_a_disconnection_is_an_event_on_both_sides(world: World) -> None:
    async with AsyncExitStack() as stack:
        alice, bob = await connected(stack, world, "alice", "bob")
        with trio.fail_after(DEADLINE_S):
            for mesh in (alice, bob):
                await mesh.next_connection_event()
            await alice.disconnect(bob.peer_id)
            assert await alice.next_connection_event() == PeerDisconnected(bob.peer_id)
            assert await bob.next_connection_event() == PeerDisconnected(alice.peer_id)


async def test_a_ping_measures(world: World) -> None:
    async with AsyncExitStack() as stack:
        alice, bob = await connected(stack, world, "alice", "bob")
        assert [peer.rtt_ms for peer in alice.peers()] == [None]
        rtt_s = await ping(alice, bob.peer_id)
        assert rtt_s is not None
        assert 0 <= rtt_s < 1
        assert [peer.rtt_ms is None for peer in alice.peers()] == [False]
        await alice.disconnect(bob.peer_id)
        assert await ping(alice, bob.peer_id) is None


def _wrong_id(bob: Mesh, alice: Mesh) -> str:
    return bob.addrs()[0].replace(bob.peer_id, alice.peer_id)


@pytest.mark.parametrize(
    "addr_of", [_wrong_id, lambda bob, alice: "nonsense", lambda bob, alice: bob.addrs()[0][:-8]]
)
async def test_an_address_where_its_peer_is_not(
    world: World, addr_of: Callable[[Mesh, Mesh], str]
) -> None:
    async with (
        world.node("alice", accept) as alice,
        world.node("bob", accept) as bob,
        world.node("carol", accept) as carol,
    ):
        addr = addr_of(bob, carol)
        with trio.fail_after(DEADLINE_S), pytest.raises(PeerUnreachable, match=addr):
            await alice.connect(addr)
        assert await alice.connect(bob.addrs()[0]) == bob.peer_id  # no grudge is borne


async def test_where_nobody_listens_any_more(world: World) -> None:
    async with world.node("alice", accept) as alice:
        async with world.node("bob", accept) as bob:
            addr = bob.addrs()[0]
        with trio.fail_after(DEADLINE_S), pytest.raises(PeerUnreachable, match="refuses"):
            await alice.connect(addr)
        with pytest.raises(PeerUnreachable, match="our own"):
            await alice.connect(alice.addrs()[0])


async def test_an_exception_leaves_a_mesh_as_it_was_raised(world: World) -> None:
    with pytest.raises(ZeroDivisionError, match="as it was"):
        async with world.node("alice", accept):
            raise ZeroDivisionError("as it was")


async def test_a_cancelled_node_leaves_like_any_other(world: World) -> None:
    async with world.node("bob", accept) as bob:
        said = [b"%d" % number for number in range(30)]
        with trio.CancelScope() as cancelled:
            async with world.node("alice", accept) as alice:
                await alice.connect(bob.addrs()[0])
                assert await bob.next_connection_event() == PeerConnected(alice.peer_id)
                await alice.gossip.publish(Topic.PRESENCE, b"here")
                await heard(bob)
                for data in said:
                    await alice.gossip.publish(Topic.PRESENCE, data)
                cancelled.cancel()
                await trio.lowlevel.checkpoint()
        assert cancelled.cancelled_caught
        assert sorted([await heard(bob) for _ in said]) == sorted(said)
        with trio.fail_after(DEADLINE_S):
            assert await bob.next_connection_event() == PeerDisconnected(alice.peer_id)
