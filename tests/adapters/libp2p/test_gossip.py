"""Gossip under load, and what may come again."""

import pytest
import trio

from meshnode.adapters.libp2p.settings import MeshSettings
from meshnode.core.verdicts import Ignored, Reason, Verdict
from meshnode.errors import PublishRefused
from meshnode.ports import Mesh
from protocols.ids import Topic
from tests.adapters.libp2p.attacker import attacking, message
from tests.adapters.libp2p.world import LibP2PWorld, accept


async def heard(mesh: Mesh) -> bytes:
    with trio.fail_after(5):
        return (await mesh.gossip.receive()).envelope.raw


async def test_a_hundred_messages_a_second_and_none_is_lost() -> None:
    """The library would relay ten a second of them, and say nothing."""
    said = [b"%d" % number for number in range(200)]
    world = LibP2PWorld()
    async with (
        world.node("alice") as alice,
        world.node("bob") as bob,
        world.node("carol") as carol,
        trio.open_nursery() as nursery,
    ):
        await alice.connect(bob.addrs()[0])
        await bob.connect(carol.addrs()[0])

        async def say() -> None:
            for data in said:
                await alice.gossip.publish(Topic.PRICES, data)
                await trio.sleep(0.01)

        nursery.start_soon(say)
        assert sorted([await heard(carol) for _ in said]) == sorted(said)
        assert bob.gossip.statistics().dropped_outbound == 0


async def test_long_messages_to_a_newcomer_do_not_mix() -> None:
    """What was said before it came is sent along with what is said meanwhile."""
    said = [bytes([number]) * 100_000 for number in range(10)]
    world = LibP2PWorld()
    async with world.node("alice") as alice, world.node("bob") as bob:
        for data in said[:5]:
            await alice.gossip.publish(Topic.PRICES, data)
        await bob.connect(alice.addrs()[0])
        for data in said[5:]:
            await alice.gossip.publish(Topic.PRICES, data)
        assert sorted([await heard(bob) for _ in said]) == said
        assert not world.facts.seen


async def test_a_full_node_refuses_and_takes_it_later() -> None:
    world = LibP2PWorld()
    judged: list[bytes] = []

    def note(topic: Topic, key: bytes, data: bytes) -> Verdict:
        judged.append(data)
        return accept(topic, key, data)

    async with (
        world.node("alice", note, MeshSettings(inbound_max=1)) as alice,
        attacking(alice) as mallory,
    ):
        await alice.gossip.publish(Topic.PRICES, b"first")
        second = message(data=b"second")
        await mallory.gossip(second)
        with trio.fail_after(5):
            while not alice.gossip.statistics().dropped_inbound:  # noqa: ASYNC110 - only a count tells
                await trio.sleep(0.01)
        with pytest.raises(PublishRefused, match="busy"):
            await alice.gossip.publish(Topic.PRICES, b"ours")
        assert await heard(alice) == b"first"
        await mallory.gossip(second)
        assert await heard(alice) == b"second"
        assert judged == [b"first", b"second"]  # a name that is judged is marked
        assert alice.gossip.statistics().dropped_inbound == 2


async def test_what_is_early_may_come_again_but_what_is_late_is_judged_once() -> None:
    verdicts: dict[bytes, list[Verdict | None]] = {
        b"early": [Ignored(Reason.FUTURE), None],
        b"late": [Ignored(Reason.EXPIRED), None],
        b"end": [None],
    }

    def judge(topic: Topic, key: bytes, data: bytes) -> Verdict:
        return verdicts[data].pop(0) or accept(topic, key, data)

    world = LibP2PWorld()
    async with world.node("alice", judge) as alice, attacking(alice) as mallory:
        early, late = message(data=b"early"), message(data=b"late", number=2)
        await mallory.gossip(early, late, late, early, message(data=b"end", number=3))
        assert [await heard(alice), await heard(alice)] == [b"early", b"end"]
        assert alice.gossip.statistics().ignored == {"future": 1, "expired": 1}
        assert not alice.gossip.statistics().rejected  # ignored is nobody's fault
        assert alice.gossip.statistics().duplicates == 1


async def test_a_publisher_leaves_no_state_behind() -> None:
    """The library keeps each message, and its time, for good or for peers that never subscribe."""
    world = LibP2PWorld()
    async with world.node("alice") as alice, world.node("bob") as bob:
        await bob.connect(alice.addrs()[0])
        async with attacking(alice):  # connected, but never subscribed
            for number in range(50):
                await alice.gossip.publish(Topic.PRICES, b"%d" % number)
            router = alice.gossip._pubsub.router  # type: ignore[attr-defined]
            for state in (
                router.recent_message_deliveries,
                router.equivocation_detection,
                router.message_rate_limits,
                router._pending_messages,
            ):
                assert not state
