"""Where exceptions and connections end: each is named and counted, and leaves nothing behind."""

import os

import trio

from meshnode.ports import Stream
from protocols.ids import STATUS_PROTOCOL, Topic
from tests.adapters.libp2p.world import LibP2PWorld
from tests.interop.test_stock_gossipsub import stock_peer

SAID = [b"%d" % number for number in range(25)]  # the library holds 32 for a subscriber


async def test_an_exception_of_a_handler_is_told_of_by_its_protocol() -> None:
    async def fail(stream: Stream) -> None:
        await stream.read(100)
        raise ZeroDivisionError("a bug")

    world = LibP2PWorld()
    async with world.node("alice") as alice, world.node("bob") as bob:
        bob.serve(STATUS_PROTOCOL, fail)
        await alice.connect(bob.addrs()[0])
        stream = await alice.open_stream(bob.peer_id, STATUS_PROTOCOL)
        await stream.write(b"go")
        fact = await world.facts.misbehaviour(alice.peer_id)
        assert (fact.where, fact.error) == (STATUS_PROTOCOL, "ZeroDivisionError: a bug")
        assert fact.peer_id in {peer.peer_id for peer in bob.peers()}


async def test_a_handshake_that_is_none_is_counted() -> None:
    async with LibP2PWorld().node("alice") as alice:
        port = int(alice.addrs()[0].split("/")[4])
        async with await trio.open_tcp_stream("127.0.0.1", port) as stranger:
            await stranger.send_all(os.urandom(5000))
            await stranger.receive_some(1)
            with trio.fail_after(5):
                while not alice.refused().get("handshake"):  # noqa: ASYNC110
                    await trio.sleep(0.02)  # the library tells nobody


async def test_of_a_connection_that_ended_no_place_is_kept() -> None:
    world = LibP2PWorld()
    async with world.node("alice") as alice:
        for name in ("bob", "carol"):
            async with world.node(name) as peer:
                await peer.connect(alice.addrs()[0])
                await alice.next_connection_event()
            await alice.next_connection_event()
        with trio.fail_after(5):
            while alice._swarm._inbound:  # type: ignore[attr-defined]  # noqa: ASYNC110
                await trio.sleep(0.02)  # the library tells nobody


async def test_who_leaves_in_the_middle_of_its_words_is_heard_to_the_end() -> None:
    """By the library as it is, too, which drops what it has not read when a connection closes."""
    opened = trio.Event()
    go = trio.Event()
    addrs: list[str] = []

    async def alice_speaks_and_leaves() -> None:
        async with LibP2PWorld().node("alice") as alice:
            addrs.extend(alice.addrs())
            opened.set()
            await go.wait()
            for data in SAID:
                await alice.gossip.publish(Topic.PRICES, data)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(alice_speaks_and_leaves)
        await opened.wait()
        async with stock_peer(addrs[0], "/meshsub/1.1.0") as bob:
            go.set()
            with trio.fail_after(5):
                heard = [await bob.next_data() for _ in SAID]
            assert sorted(heard) == sorted(SAID)
