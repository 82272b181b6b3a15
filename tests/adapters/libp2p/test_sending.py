"""What waits for a peer, and whom we wait for."""

from typing import Any

import pytest
import trio
import trio.testing
from libp2p.pubsub.pb import rpc_pb2
from trio.testing import MockClock, wait_all_tasks_blocked

from meshnode.adapters.libp2p.frames import framed
from meshnode.adapters.libp2p.sending import BATCH_BYTES, PeerQueue
from meshnode.adapters.libp2p.settings import HOLD_BACK_S, MeshSettings
from protocols.ids import Topic
from tests.adapters.libp2p.attacker import attacking
from tests.adapters.libp2p.attacker import framed as framed_by_hand
from tests.adapters.libp2p.world import LibP2PWorld


def rpc(data: bytes) -> Any:
    return rpc_pb2.RPC(publish=[rpc_pb2.Message(data=data)])


async def test_all_that_waits_goes_out_at_once_and_control_first() -> None:
    queue = PeerQueue()
    assert queue.push(rpc(b"one"))
    assert queue.push_frame(framed(rpc(b"two")))
    assert queue.push(rpc(b"urgent"), priority=True)
    words = (b"urgent", b"one", b"two")
    assert await queue.take() == b"".join(framed_by_hand(rpc(word)) for word in words)


def test_an_rpc_goes_as_it_is_where_it_fits_and_else_in_parts() -> None:
    queue = PeerQueue()
    queue.max_message_size = 100
    asked = [bytes([number]) * 46 for number in range(3)]
    fits, long = (
        rpc_pb2.RPC(control=rpc_pb2.ControlMessage(iwant=[rpc_pb2.ControlIWant(messageIDs=ids)]))
        for ids in (asked[:1], asked)
    )
    assert queue.split_rpc(fits) == [fits]
    assert queue.split_rpc(rpc_pb2.RPC()) == []
    parts = queue.split_rpc(long)
    assert all(part.ByteSize() <= 100 for part in parts)
    assert [i for part in parts for one in part.control.iwant for i in one.messageIDs] == asked


async def test_a_write_has_a_size() -> None:
    queue = PeerQueue()
    for _ in range(10):
        queue.push_frame(bytes(BATCH_BYTES // 2))
    assert [len(await queue.take()) for _ in range(5)] == [BATCH_BYTES] * 5


@pytest.mark.parametrize("bounds", [{"rpcs_max": 2}, {"bytes_max": 20}])
async def test_a_full_queue_refuses_the_newest(bounds: dict[str, int]) -> None:
    queue = PeerQueue(**bounds)
    assert queue.push_frame(bytes(10))
    assert queue.push_frame(bytes(10))
    assert not queue.push_frame(b"new")
    assert len(await queue.take()) == 20
    assert queue.push_frame(b"new")


async def test_where_nothing_waits_a_frame_is_written_at_once() -> None:
    written: list[bytes] = []
    queue = PeerQueue()

    def write_nowait(frame: bytes) -> bool:
        written.append(frame)
        return True

    queue.write_nowait = write_nowait
    assert queue.push_frame(b"one")
    assert (written, len(queue)) == ([b"one"], 0)
    queue.write_nowait = lambda _frame: False  # it would have to wait
    assert queue.push_frame(b"two")
    queue.write_nowait = write_nowait
    assert queue.push_frame(b"three")  # not before the one that waits already
    assert await queue.take() == b"twothree"
    assert queue.push_frame(b"four")  # nor before what is being written
    assert (written, len(queue)) == ([b"one"], 1)


async def test_a_publisher_waits_for_room(autojump_clock: MockClock) -> None:
    queue = PeerQueue(rpcs_max=1)
    queue.push_frame(b"one")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(queue.wait_room)
        await trio.sleep(HOLD_BACK_S / 2)
        assert await queue.take() == b"one"
    assert trio.current_time() < HOLD_BACK_S
    assert queue.has_room()


async def test_a_peer_that_does_not_read_is_waited_for_once(autojump_clock: MockClock) -> None:
    queue = PeerQueue(rpcs_max=2)
    for frame in (b"one", b"two"):
        queue.push_frame(frame)
    for _ in range(10):
        await queue.wait_room()
    assert trio.current_time() == HOLD_BACK_S
    await queue.take()  # it has caught up when it asks again and nothing is left
    async with trio.open_nursery() as nursery:
        nursery.start_soon(queue.take)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    for frame in (b"one", b"two"):
        queue.push_frame(frame)
    await queue.wait_room()
    assert trio.current_time() == 2 * HOLD_BACK_S


async def test_what_is_being_written_has_not_been_written() -> None:
    queue = PeerQueue()
    queue.push_frame(b"one")
    drained = trio.Event()
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            await queue.wait_drained()
            drained.set()

        nursery.start_soon(wait)
        await queue.take()
        await wait_all_tasks_blocked()
        assert not drained.is_set()
        nursery.start_soon(queue.take)
        await wait_all_tasks_blocked()
        assert drained.is_set()
        queue.close()


async def test_nobody_waits_for_a_peer_that_is_gone() -> None:
    queue = PeerQueue(rpcs_max=1)
    queue.push_frame(b"one")
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(queue.wait_room)
            nursery.start_soon(queue.wait_drained)
            await wait_all_tasks_blocked()
            queue.close()
    assert not queue.push_frame(b"two")
    assert await queue.take() == b"one"
    assert await queue.take() == b""


# --- flat out ---------------------------------------------------------------------------------


async def test_who_publishes_flat_out_is_held_back_and_loses_nothing() -> None:
    """More than all queues on the way hold, to a reader whose own queue holds eight."""
    said = [b"%d" % number + bytes(30_000) for number in range(500)]
    world = LibP2PWorld()
    async with (
        world.node("alice") as alice,
        world.node("bob", settings=MeshSettings(inbound_max=8)) as bob,
        trio.open_nursery() as nursery,
    ):

        async def hear_ourselves() -> None:
            while True:
                await alice.gossip.receive()

        async def say() -> None:
            for data in said:
                await alice.gossip.publish(Topic.PRICES, data)

        nursery.start_soon(hear_ourselves)
        await bob.connect(alice.addrs()[0])
        await alice.gossip.publish(Topic.PRICES, b"here")
        with trio.fail_after(20):
            assert (await bob.gossip.receive()).envelope.raw == b"here"
            nursery.start_soon(say)
            # Not before its queue is full, and more has come that does not fit.
            while bob.gossip.statistics().queued < 8:
                await trio.lowlevel.checkpoint()
            await trio.testing.wait_all_tasks_blocked(0.01)
            heard = [(await bob.gossip.receive()).envelope.raw for _ in said]
        assert sorted(heard) == sorted(said)
        assert alice.gossip.statistics().dropped_outbound == 0
        assert bob.gossip.statistics().dropped_inbound == 0
        nursery.cancel_scope.cancel()


async def read_nothing(stream: Any) -> None:
    await trio.sleep_forever()


async def test_a_neighbour_that_does_not_read_silences_nobody() -> None:
    """It holds us up for a second, once; then what it does not take is dropped and counted."""
    topic = Topic.PRICES.on("main")
    join = rpc_pb2.RPC(
        subscriptions=[rpc_pb2.RPC.SubOpts(subscribe=True, topicid=topic)],
        control=rpc_pb2.ControlMessage(graft=[rpc_pb2.ControlGraft(topicID=topic)]),
    )
    world = LibP2PWorld()
    async with (
        world.node("alice") as alice,
        attacking(alice, hear=read_nothing) as mallory,
        trio.open_nursery() as nursery,
    ):

        async def hear_ourselves() -> None:
            while True:
                await alice.gossip.receive()

        nursery.start_soon(hear_ourselves)
        await mallory.write(framed(join))
        with trio.fail_after(15):
            while not alice.gossip.statistics().dropped_outbound:
                await alice.gossip.publish(Topic.PRICES, bytes(120_000))
        started = trio.current_time()
        await alice.gossip.publish(Topic.PRICES, b"not held up")
        assert trio.current_time() - started < HOLD_BACK_S / 2
        nursery.cancel_scope.cancel()
