"""What subscriptions may cost us, and what is worked off for who is gone."""

from typing import Any

import trio
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2

from meshnode.adapters.libp2p.budget import SUBSCRIPTION_COST, WORK_BURST, WORK_PER_S
from meshnode.adapters.libp2p.settings import SUBSCRIPTIONS_PER_RPC_MAX
from meshnode.ports import Mesh
from protocols.ids import Topic
from tests.adapters.libp2p.attacker import PRICES, attacking, framed, message
from tests.adapters.libp2p.world import LibP2PWorld

# Subscribing and unsubscribing, as often as one RPC may.
AGAIN_AND_AGAIN = rpc_pb2.RPC(
    subscriptions=[
        rpc_pb2.RPC.SubOpts(subscribe=on, topicid=PRICES)
        for on in (True, False) * (SUBSCRIPTIONS_PER_RPC_MAX // 2)
    ]
)
RPC_COST = SUBSCRIPTION_COST * SUBSCRIPTIONS_PER_RPC_MAX
PAID_FOR = int(WORK_BURST / RPC_COST) - 2  # RPCs that are worked off without a pause
TASKS_OF_A_STREAM = 20


class Spawned(trio.abc.Instrument):
    """Counts the tasks that are started."""

    def __init__(self) -> None:
        self.count = 0

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        self.count += 1


def pubsub_of(mesh: Mesh) -> Any:
    return mesh.gossip._pubsub  # type: ignore[attr-defined]


async def test_a_burst_of_subscriptions_starts_no_tasks() -> None:
    """In the library three each, which it then goes through for each of them: seconds in a turn."""
    async with LibP2PWorld().node("alice") as alice, attacking(alice) as mallory:
        spawned = Spawned()
        trio.lowlevel.add_instrument(spawned)
        try:
            await mallory.write(framed(AGAIN_AND_AGAIN) * PAID_FOR)
            await mallory.gossip(message(data=b"after it"))
            with trio.fail_after(5):
                assert (await alice.gossip.receive()).envelope.raw == b"after it"
        finally:
            trio.lowlevel.remove_instrument(spawned)
        assert spawned.count < TASKS_OF_A_STREAM < PAID_FOR * SUBSCRIPTIONS_PER_RPC_MAX


async def test_a_subscriber_is_brought_up_to_date() -> None:
    world = LibP2PWorld()
    async with world.node("alice") as alice, world.node("bob") as bob:
        await alice.gossip.publish(Topic.PRICES, b"said before")
        await bob.connect(alice.addrs()[0])
        with trio.fail_after(5):
            assert (await bob.gossip.receive()).envelope.raw == b"said before"


async def test_for_who_is_gone_nothing_more_is_worked_off() -> None:
    """What waits for its budget would keep us busy for long after."""
    async with LibP2PWorld().node("alice") as alice:
        overdrawn_s = 30
        async with attacking(alice) as mallory:
            rpcs = PAID_FOR + int(overdrawn_s * WORK_PER_S / RPC_COST)
            await mallory.write(framed(AGAIN_AND_AGAIN) * rpcs)
        with trio.fail_after(5):
            while pubsub_of(alice)._streams._open:  # noqa: ASYNC110 - the library tells nobody
                await trio.sleep(0.02)


async def test_who_is_gone_does_not_subscribe() -> None:
    """Its last RPC may be worked off after it was forgotten, and nobody would do so again."""
    async with LibP2PWorld().node("alice") as alice:
        stranger = ID(message("mallory").from_id)
        pubsub = pubsub_of(alice)
        await pubsub._note_subscription(stranger, AGAIN_AND_AGAIN.subscriptions[0])
        assert stranger not in pubsub.peer_topics.get(PRICES, ())
