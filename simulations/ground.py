"""What a stage stands on: simulated nodes, or processes of this machine."""

from typing import Protocol

from simulations.world import Network, World
from simulations.world_node import Part, WorldNode


class Ground(Protocol):
    """Nodes that can be started, ended and made to stand still."""

    def node(self, name: str) -> WorldNode:
        """A node by its name, whether it was ever started or not."""
        ...

    async def start_as(self, node: WorldNode, part: Part | None = None) -> WorldNode:
        """Start a node with a part of its own, or with the one that it had."""
        ...

    async def stop(self, node: WorldNode) -> None:
        """Let a node leave in order, and wait for its end."""
        ...

    async def kill(self, node: WorldNode) -> None:
        """End a node at once."""
        ...

    def freeze(self, node: WorldNode) -> None:
        """Let a node stand still; its connections stay."""
        ...

    def thaw(self, node: WorldNode) -> None:
        """Let it go on."""
        ...

    async def settle(self) -> None:
        """Wait until everybody who was started is ready."""
        ...

    def source_changed(self, node: WorldNode) -> None:
        """What is the matter with a provider's upstream (`node.trouble`) is another from now on."""
        ...

    def simulated(self, what: str) -> World[Network]:
        """The simulated world, for what only it has. Raises ConfigError where there is none."""
        ...
