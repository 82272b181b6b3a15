"""What a node of a world sees of the others, asked as anybody would ask it."""

from collections.abc import Iterable
from itertools import combinations
from typing import Any

from meshnode.services import ask
from protocols.status import StatusReply
from simulations.model_mesh import open_model_mesh
from simulations.world import World
from simulations.world_node import WorldNode


async def status_of(world: World, node: WorldNode, *keys: str) -> StatusReply:
    """The status of a node, all of it or some keys."""
    async with open_model_mesh(
        world.network, key_seed=bytes(31) + b"\1", judge=None, observer=node
    ) as mesh:
        return await ask.status(mesh, await mesh.connect(node.addr), keys or None)


async def state_of(world: World, node: WorldNode, provider: WorldNode) -> str | None:
    """In which state a node sees a provider."""
    status = await status_of(world, node, "known_providers")
    states = {seen.provider_id: seen.state for seen in status["known_providers"]}
    return states.get(provider.peer_id)


async def value_of(world: World, node: WorldNode, key: str) -> Any:
    """One key of a node's status."""
    return (await status_of(world, node, key))[key]


def split(world: World, *sides: Iterable[WorldNode]) -> None:
    """No node reaches one of another side any more."""
    for one, other in combinations([tuple(side) for side in sides], 2):
        for a in one:
            for b in other:
                world.network.cut_link(a.peer_id, b.peer_id)


def heal(world: World) -> None:
    """Everybody reaches everybody again."""
    world.network.cut.clear()


def freeze(world: World, node: WorldNode) -> None:
    """Nothing is heard of a node, its connections stay."""
    world.network.frozen.add(node.peer_id)
    world.network.muted.add(node.peer_id)


def thaw(world: World, node: WorldNode) -> None:
    """It is heard again."""
    world.network.frozen.discard(node.peer_id)
    world.network.muted.discard(node.peer_id)
