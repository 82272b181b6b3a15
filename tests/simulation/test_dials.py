"""The checker of dials, and mallory who names what nobody should dial."""

from collections import Counter

import pytest
import trio
from trio.testing import MockClock

from simulations.poison import BYSTANDERS, FORBIDDEN
from simulations.runner import Setup, simulate
from simulations.scenario import load
from simulations.witness import Witness
from simulations.world_node import WorldNode
from tests.cast import MALLORY, id_of
from tests.simulation.trial import on_trial, saw

NOBODY = id_of(MALLORY)


class Dialled(Witness):
    """How often each place was dialled."""

    def __init__(self) -> None:
        self.places: Counter[str] = Counter()

    def dialled(self, node: WorldNode, addr: str) -> None:
        self.places[addr.partition("/p2p/")[0]] += 1


@pytest.mark.parametrize("stack", ["model", "libp2p"])
def test_what_mallory_names_is_not_dialled_but_for_what_anybody_may_name(stack: str) -> None:
    dialled = Dialled()
    outcome = simulate(Setup(load("poison"), 8, 1, 2, stack), witnesses=[dialled])
    assert [str(violation) for violation in outcome.violations] == []
    assert not dialled.places.keys() & {*FORBIDDEN}
    assert {*BYSTANDERS} <= dialled.places.keys()


@pytest.mark.parametrize("place", FORBIDDEN)
async def test_a_dial_that_nobody_should_make_is_seen(
    autojump_clock: MockClock, place: str
) -> None:
    async with on_trial() as (world, jury), world.nodes("alice") as (alice,):
        world.network.dialled(alice.peer_id, f"{place}/p2p/{NOBODY}")
    assert saw(jury) == [f"dialled {place}/p2p/{NOBODY}"]


async def test_a_node_that_dials_itself_is_seen(autojump_clock: MockClock) -> None:
    async with on_trial() as (world, jury), world.nodes("alice") as (alice,):
        world.network.dialled(alice.peer_id, f"{alice.place}/p2p/{NOBODY}")
        await trio.sleep(2)
        world.network.dialled(alice.peer_id, alice.addr)
    assert len(saw(jury)) == 2


async def test_a_place_dialled_twice_in_a_second_is_seen(autojump_clock: MockClock) -> None:
    place, other = BYSTANDERS[:2]
    async with on_trial() as (world, jury), world.nodes("alice") as (alice,):
        for dialled, pause_s in ((place, 0.1), (other, 0.9), (place, 0.5), (place, 0.0)):
            world.network.dialled(alice.peer_id, f"{dialled}/p2p/{NOBODY}")
            await trio.sleep(pause_s)
    assert saw(jury) == [f"dialled {place} again after 0.50 s"]


async def test_a_node_that_believes_everything_is_seen(autojump_clock: MockClock) -> None:
    async with on_trial() as (world, jury), world.nodes("alice") as (alice,):
        for port in range(1, 24):
            world.network.dialled(alice.peer_id, f"/ip4/203.0.113.7/tcp/{port}/p2p/{NOBODY}")
            await trio.sleep(0.4)
    assert saw(jury) == ["dialled 23 made-up addresses in 10 s"]


async def test_a_seed_is_the_operator_s_word(autojump_clock: MockClock) -> None:
    async with on_trial() as (world, jury), world.nodes("alice", "bob") as (alice, bob):
        for _ in range(30):
            world.network.dialled(bob.peer_id, alice.addr)
    assert saw(jury) == []
