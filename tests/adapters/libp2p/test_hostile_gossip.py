"""Whatever one peer writes to a meshsub stream, the others are served."""

from typing import Any

import trio
from libp2p.pubsub.pb import rpc_pb2

from meshnode.adapters.libp2p.budget import BLAME_MAX, REJECTED_BLAME
from meshnode.adapters.libp2p.settings import (
    CONTROLS_PER_RPC_MAX,
    MESSAGES_PER_RPC_MAX,
    RPC_BYTES_MAX,
    SENDER_RECORD_BYTES_MAX,
    SUBSCRIPTIONS_PER_RPC_MAX,
)
from meshnode.core.verdicts import Reason
from meshnode.ports import Mesh, PeerDisconnected
from protocols.ids import Topic
from tests.adapters.libp2p.attacker import PRICES, altered, attacking, framed, message, varint
from tests.adapters.libp2p.world import LibP2PWorld

ID_OF_ALICE = message("alice").from_id
HASHED_ID = b"\x12\x20" + bytes(32)


def control(**entries: Any) -> Any:
    return rpc_pb2.RPC(control=rpc_pb2.ControlMessage(**entries))


async def heard(mesh: Mesh) -> bytes:
    with trio.fail_after(5):
        return (await mesh.gossip.receive()).envelope.raw


async def disconnected(mesh: Mesh, peer_id: str) -> None:
    with trio.fail_after(5):
        while await mesh.next_connection_event() != PeerDisconnected(peer_id):
            pass


async def honest_traffic_goes_on(alice: Mesh, bob: Mesh) -> None:
    await bob.connect(alice.addrs()[0])
    await bob.gossip.publish(Topic.PRICES, b"honest")
    assert await heard(alice) == b"honest"


NOT_AN_RPC = {
    "no protobuf": framed(b"\xff" * 50),
    "a length without end": b"\xff" * 12,
    "too long": varint(RPC_BYTES_MAX + 1),
    "too many messages": framed(
        rpc_pb2.RPC(publish=[rpc_pb2.Message()] * (MESSAGES_PER_RPC_MAX + 1))
    ),
    "too many subscriptions": framed(
        rpc_pb2.RPC(subscriptions=[rpc_pb2.RPC.SubOpts()] * (SUBSCRIPTIONS_PER_RPC_MAX + 1))
    ),
    "too many GRAFTs": framed(
        control(graft=[rpc_pb2.ControlGraft(topicID=PRICES)] * (CONTROLS_PER_RPC_MAX + 1))
    ),
    "a record without an end": framed(rpc_pb2.RPC(senderRecord=bytes(SENDER_RECORD_BYTES_MAX + 1))),
}


async def test_who_does_not_speak_the_protocol_is_disconnected() -> None:
    world = LibP2PWorld()
    async with world.node("alice") as alice, world.node("bob") as bob:
        for name, raw in NOT_AN_RPC.items():
            async with attacking(alice, name) as attacker:
                await attacker.write(raw)
                fact = await world.facts.misbehaviour(str(attacker.host.get_id()))
                assert fact.where == "gossip", name
                await disconnected(alice, fact.peer_id)
        await honest_traffic_goes_on(alice, bob)


NOT_A_MESSAGE = {
    "hashed author, garbage key": altered(message(), from_id=HASHED_ID, key=b"\xff\xff\xff"),
    "hashed author, unknown key type": altered(message(), from_id=HASHED_ID, key=b"\x08\x63\x12\0"),
    "no author": message(from_id=b""),
    "garbage author": message(from_id=b"\xff\xfe\0garbage"),
    "short sequence number": message(seqno=b"\1"),
    "long sequence number": message(seqno=b"\1" * 9),
    "two topics": message(topicIDs=[PRICES, Topic.PRESENCE.on("main")]),
    "no topic": message(topicIDs=[]),
    "another network's topic": message(topicIDs=[Topic.PRICES.on("other")]),
    "somebody else's key": altered(message(), key=message("bob").from_id[2:]),
    "wrong signature": altered(message(), signature=bytes(64)),
    "short signature": altered(message(), signature=b"abc"),
    "no signature": altered(message(), signature=b""),
    "signed by somebody else": message(from_id=message("bob").from_id),
    "data altered": altered(message(), data=b"y"),
}


async def test_malformed_and_forged_messages_are_rejected() -> None:
    world = LibP2PWorld()
    async with (
        world.node("alice") as alice,
        world.node("bob") as bob,
        attacking(alice) as mallory,
    ):
        for number, (name, bad) in enumerate(NOT_A_MESSAGE.items(), start=1):
            sound = message(data=name.encode(), number=number + 1)
            await mallory.gossip(bad, sound)
            assert await heard(alice) == name.encode()
            assert sum(alice.gossip.statistics().rejected.values()) == number, name
        await honest_traffic_goes_on(alice, bob)


NOT_TEXT = {
    "GRAFT": b"\x1a\x07\x1a\x05\x0a\x03\xff\xfe\xfd",
    "PRUNE": b"\x1a\x07\x22\x05\x0a\x03\xff\xfe\xfd",
    "subscription": b"\x0a\x06\x08\x01\x12\x02\xff\xfe",
    "unsubscription": b"\x0a\x06\x08\x00\x12\x02\xff\xfe",
}


async def test_a_topic_that_is_no_text_is_passed_over() -> None:
    world = LibP2PWorld()
    async with world.node("alice") as alice, attacking(alice) as mallory:
        for number, (name, rpc) in enumerate(NOT_TEXT.items(), start=1):
            await mallory.write(framed(rpc))
            await mallory.gossip(message(data=name.encode(), number=number))
            assert await heard(alice) == name.encode()


async def test_a_topic_that_is_no_text_is_rejected() -> None:
    world = LibP2PWorld()
    async with world.node("alice") as alice, attacking(alice) as mallory:
        bad = message().SerializeToString().replace(PRICES.encode(), b"\xff" * len(PRICES))
        sound = message(data=b"sound", number=2).SerializeToString()
        rpc = b"".join(b"\x12" + varint(len(raw)) + raw for raw in (bad, sound))
        await mallory.write(framed(rpc))
        assert await heard(alice) == b"sound"
        assert alice.gossip.statistics().rejected == {Reason.MALFORMED.value: 1}


async def test_a_forgery_does_not_block_the_original() -> None:
    world = LibP2PWorld()
    async with world.node("alice") as alice, attacking(alice) as mallory:
        original = message("bob", b"true")
        forged = altered(message("bob", b"true"), data=b"false")
        await mallory.gossip(forged, original)
        assert await heard(alice) == b"true"


async def test_a_copy_is_not_news() -> None:
    world = LibP2PWorld()
    async with world.node("alice") as alice, attacking(alice) as mallory:
        await mallory.gossip(*[message(data=b"once")] * 5, message(data=b"last", number=2))
        assert [await heard(alice), await heard(alice)] == [b"once", b"last"]
        assert alice.gossip.statistics().accepted == 2


async def test_our_own_message_come_back_is_nobodys_fault() -> None:
    world = LibP2PWorld()
    async with world.node("alice") as alice, attacking(alice) as mallory:
        await mallory.gossip(message("alice", b"echo"), message(data=b"last", number=2))
        assert await heard(alice) == b"last"
        statistics = alice.gossip.statistics()
        assert (statistics.ignored, statistics.rejected) == ({Reason.KNOWN.value: 1}, {})


async def test_who_passes_on_too_much_rubbish_is_disconnected() -> None:
    world = LibP2PWorld()
    async with (
        world.node("alice") as alice,
        world.node("bob") as bob,
        attacking(alice) as mallory,
    ):
        await mallory.gossip(*[message(seqno=b"")] * (int(BLAME_MAX / REJECTED_BLAME) + 1))
        fact = await world.facts.misbehaviour(str(mallory.host.get_id()))
        assert "too many" in fact.error
        await disconnected(alice, fact.peer_id)
        await honest_traffic_goes_on(alice, bob)


async def test_unknown_fields_are_not_carried_on() -> None:
    """Nothing unsigned travels: anybody could make a message heavier on its way."""
    world = LibP2PWorld()
    async with world.node("alice") as alice, world.node("bob") as bob:
        await bob.connect(alice.addrs()[0])
        async with attacking(alice) as mallory:
            padded = (
                message(data=b"light").SerializeToString() + b"\xfa\x3e\x90\x4e" + bytes(10_000)
            )
            await mallory.write(framed(b"\x12" + varint(len(padded)) + padded))
            assert await heard(alice) == await heard(bob) == b"light"
            [relayed] = bob.gossip._pubsub.router.mcache.msgs.values()  # type: ignore[attr-defined]
            assert relayed.ByteSize() < 1000


async def test_control_messages_about_other_things_leave_no_trace() -> None:
    world = LibP2PWorld()
    async with world.node("alice") as alice, attacking(alice) as mallory:
        router = alice.gossip._pubsub.router  # type: ignore[attr-defined]
        strange = [f"strange/{number}" for number in range(CONTROLS_PER_RPC_MAX)]
        stranger = rpc_pb2.PeerInfo(peerID=HASHED_ID, signedPeerRecord=b"junk")
        await mallory.write(
            framed(
                control(
                    ihave=[rpc_pb2.ControlIHave(topicID=topic) for topic in strange],
                    iwant=[rpc_pb2.ControlIWant(messageIDs=[b"zz", b"\xff"])],
                    idontwant=[rpc_pb2.ControlIDontWant(messageIDs=[b"q"] * 20_000)],
                    graft=[rpc_pb2.ControlGraft(topicID=topic) for topic in strange],
                    prune=[rpc_pb2.ControlPrune(topicID=topic) for topic in strange[1:]]
                    + [rpc_pb2.ControlPrune(topicID=PRICES, peers=[stranger])],
                )
            )
        )
        await mallory.gossip(message(data=b"done"))
        assert await heard(alice) == b"done"
        assert set(router.back_off) <= {PRICES}
        state = (router.graft_flood_tracking, router.ihave_message_limits)
        assert {topic for peers in state for topics in peers.values() for topic in topics} <= {
            PRICES
        }
        assert not any(router.dont_send_message_ids.values())
