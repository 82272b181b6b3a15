"""What every implementation of the port Gossip keeps."""

from contextlib import AsyncExitStack

import pytest
import trio
import trio.testing

from meshnode.core.verdicts import Accepted, Ignored, Reason, Rejected, Verdict
from meshnode.errors import PublishRefused
from meshnode.ports import Judge
from protocols.ids import Topic, key_from_peer_id
from tests.contract.worlds import DEADLINE_S, World, accept, connected, heard, unless


async def test_two_nodes_hear_each_other_and_themselves(world: World) -> None:
    async with AsyncExitStack() as stack:
        alice, bob = await connected(stack, world, "alice", "bob")
        await alice.gossip.publish(Topic.PRICES, b"from alice")
        assert await heard(alice) == await heard(bob) == b"from alice"
        await bob.gossip.publish(Topic.PRESENCE, b"from bob")
        assert await heard(alice) == await heard(bob) == b"from bob"
        assert bob.gossip.statistics().accepted == 2
        assert bob.gossip.statistics().duplicates == 0


async def test_copies_of_what_was_heard_are_counted(world: World) -> None:
    """Three in a circle: whoever hears last from one of the two others had it already."""

    def part_of(name: bytes) -> Judge:
        def judge(topic: Topic, key: bytes, data: bytes) -> Verdict:
            is_meant = data == b"news" or name in data
            return accept(topic, key, data) if is_meant else Ignored(Reason.NOT_ALLOWED)

        return judge

    async with (
        world.node("alice", part_of(b"alice")) as alice,
        world.node("bob", part_of(b"bob")) as bob,
        world.node("carol", part_of(b"carol")) as carol,
    ):
        for dialling, dialled in ((alice, bob), (bob, carol), (carol, alice)):
            await dialling.connect(dialled.addrs()[0])
        await alice.gossip.publish(Topic.PRICES, b"news")
        assert await heard(alice) == await heard(bob) == await heard(carol) == b"news"
        # Behind it on each way, and passed on by nobody, so that all copies have come before.
        await alice.gossip.publish(Topic.PRICES, b"alice to bob")
        await alice.gossip.publish(Topic.PRICES, b"alice to carol")
        await bob.gossip.publish(Topic.PRICES, b"bob to carol")
        await carol.gossip.publish(Topic.PRICES, b"carol to bob")
        for mesh in (bob, carol):
            last = {await heard(mesh), await heard(mesh), await heard(mesh)}
            assert {b"bob to carol", b"carol to bob"} < last
        both = (bob.gossip.statistics(), carol.gossip.statistics())
        assert sum(statistics.duplicates for statistics in both) >= 1
        assert all(statistics.accepted == 4 for statistics in both)


async def test_all_that_is_accepted_is_handed_over_what_waited_first(world: World) -> None:
    take, taken = trio.open_memory_channel[Accepted](10)
    async with AsyncExitStack() as stack:
        alice, bob = await connected(stack, world, "alice", "bob")
        for said in (b"first", b"second"):
            await bob.gossip.publish(Topic.PRICES, said)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bob.gossip.deliver, take.send_nowait)
            with trio.fail_after(DEADLINE_S):
                for waited in (b"first", b"second"):
                    assert (await taken.receive()).envelope.raw == waited
                await alice.gossip.publish(Topic.PRESENCE, b"third")
                assert (await taken.receive()).envelope.raw == b"third"
                await bob.gossip.publish(Topic.PRICES, b"fourth")
                assert (await taken.receive()).envelope.raw == b"fourth"
            nursery.cancel_scope.cancel()
        await bob.gossip.publish(Topic.PRICES, b"fifth")
        assert await heard(bob) == b"fifth"  # nothing is handed over any more


async def test_what_a_taker_raises_ends_its_delivery_and_nothing_else(world: World) -> None:
    def fail(accepted: Accepted) -> None:
        raise ValueError(accepted.envelope.raw)

    async with AsyncExitStack() as stack:
        alice, bob = await connected(stack, world, "alice", "bob")
        with trio.fail_after(DEADLINE_S), pytest.raises(ExceptionGroup) as raised:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(bob.gossip.deliver, fail)
                await trio.testing.wait_all_tasks_blocked(0.01)
                await alice.gossip.publish(Topic.PRICES, b"too much")
                await trio.sleep_forever()
        assert raised.group_contains(ValueError, match="too much")
        await alice.gossip.publish(Topic.PRICES, b"goes on")
        assert await heard(alice) == b"too much"
        assert await heard(alice) == await heard(bob) == b"goes on"


async def test_a_judge_is_told_topic_and_author(world: World) -> None:
    judged: list[tuple[Topic, bytes, bytes]] = []

    def note(topic: Topic, key: bytes, data: bytes) -> Verdict:
        judged.append((topic, key, data))
        return accept(topic, key, data)

    async with world.node("alice", accept) as alice, world.node("bob", note) as bob:
        await alice.connect(bob.addrs()[0])
        await alice.gossip.publish(Topic.PRESENCE, b"here")
        await heard(bob)
        assert judged == [(Topic.PRESENCE, key_from_peer_id(alice.peer_id), b"here")]


async def test_a_message_crosses_a_node_in_the_middle_both_ways(world: World) -> None:
    async with AsyncExitStack() as stack:
        alice, bob, carol = await connected(stack, world, "alice", "bob", "carol")
        await alice.gossip.publish(Topic.PRICES, b"to carol")
        assert await heard(carol) == await heard(bob) == b"to carol"
        await carol.gossip.publish(Topic.PRICES, b"to alice")
        assert await heard(alice) == b"to carol"
        assert await heard(alice) == await heard(bob) == b"to alice"


@pytest.mark.parametrize("verdict", [Ignored(Reason.NOT_ALLOWED), Rejected(Reason.BAD_SIGNATURE)])
async def test_what_the_middle_does_not_accept_ends_there(world: World, verdict: Verdict) -> None:
    async with (
        world.node("alice", accept) as alice,
        world.node("bob", unless(b"bad", verdict)) as bob,
        world.node("carol", accept) as carol,
    ):
        await alice.connect(bob.addrs()[0])
        await bob.connect(carol.addrs()[0])
        await alice.gossip.publish(Topic.PRICES, b"bad")
        await alice.gossip.publish(Topic.PRICES, b"good")
        assert await heard(bob) == await heard(carol) == b"good"
        statistics = bob.gossip.statistics()
        counts = statistics.ignored | statistics.rejected
        assert counts == {verdict.reason.value: 1}  # type: ignore[union-attr]  # never Accepted


async def test_what_we_said_last_outlives_us(world: World) -> None:
    said = [b"%d" % number for number in range(30)]
    async with world.node("bob", accept) as bob:
        async with world.node("alice", accept) as alice:
            await alice.connect(bob.addrs()[0])
            await alice.gossip.publish(Topic.PRESENCE, b"here")
            await heard(bob)
            for data in said:
                await alice.gossip.publish(Topic.PRESENCE, data)
            with trio.fail_after(DEADLINE_S):
                await alice.gossip.flush()
        assert sorted([await heard(bob) for _ in said]) == sorted(said)


async def test_what_we_would_not_accept_we_do_not_say(world: World) -> None:
    async with world.node("alice", unless(b"old", Ignored(Reason.TOO_OLD))) as alice:
        with pytest.raises(PublishRefused) as refused:
            await alice.gossip.publish(Topic.PRICES, b"old")
        assert refused.value.reason == "too_old"


async def test_a_node_that_comes_back_under_its_name_loses_nothing(world: World) -> None:
    async with world.node("bob", accept) as bob:
        for life in (b"first", b"second", b"third"):
            async with world.node("alice", accept) as alice:
                with trio.fail_after(3):
                    await alice.connect(bob.addrs()[0])
                    said = [b"%s life %d" % (life, number) for number in range(20)]
                    for data in said:
                        await alice.gossip.publish(Topic.PRICES, data)
                    assert sorted([await heard(bob) for _ in said]) == sorted(said)
                    await bob.gossip.publish(Topic.PRICES, b"welcome")
                    await heard(bob)
                    while await heard(alice) != b"welcome":
                        pass
