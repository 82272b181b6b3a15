"""Watching the demo's nodes over the peer protocol, as any other program could."""

from collections.abc import Callable, Iterable
from contextlib import aclosing

import trio

from meshnode.adapters.node_process import NodeProcess, Ready
from meshnode.cli.demo.moments import Moment
from meshnode.cli.demo.story import LISTENERS, Story
from meshnode.errors import PeerUnreachable, StreamBroken
from meshnode.ports import Mesh
from meshnode.services import ask

# A node answers five requests of one peer in 15 s; the second shows that the price has aged.
ASK_SECOND_AFTER_S, ASK_EVERY_S = 2.0, 4.0

Tell = Callable[[Iterable[Moment]], None]


class Watching:
    """Fills the story with what nodes tell; one client asks all of them.

    A node that ends without having been killed ends the demo with a MeshnodeError.
    """

    def __init__(
        self,
        mesh: Mesh,
        nursery: trio.Nursery,
        story: Story,
        tell: Tell,
        clock: Callable[[], float],
    ) -> None:
        self._mesh = mesh
        self._nursery = nursery
        self._story = story
        self._tell = tell
        self._clock = clock
        self._changed = trio.Event()

    async def follow(self, node: NodeProcess, ready: Ready) -> None:
        """Watch a node from now on."""
        try:
            peer = await self._mesh.connect(ready.addrs[0])
        except PeerUnreachable as error:
            raise node.failure(f"cannot be watched: {error}") from error
        self._nursery.start_soon(self._follow, node, peer)

    async def wait_until(self, condition: Callable[[], bool], within_s: float) -> bool:
        """Wait for something that the nodes tell; False if it does not come in time."""
        with trio.move_on_after(within_s):
            while not condition():
                await self.wait_told()
        return condition()

    async def wait_told(self) -> None:
        """Wait for the next thing that any node tells."""
        await self._changed.wait()

    async def ask_neighbours(self, node_id: str) -> tuple[str, ...]:
        """Which of the demo's nodes a node is connected to, by name."""
        status = await ask.status(self._mesh, node_id, ["peers"])
        found = (self._story.names.get(peer.node_id) for peer in status["peers"] or ())
        return tuple(sorted(name for name in found if name is not None))

    async def _follow(self, node: NodeProcess, peer: str) -> None:
        why = "it ended the watch"
        try:
            async with aclosing(ask.watch(self._mesh, peer)) as events:
                async for event in events:
                    moments = self._story.told(node.name, event, self._clock())
                    self._take(moments)
                    if node.name in LISTENERS and any(m.event == "lost" for m in moments):
                        self._nursery.start_soon(self._ask_while_cached, node.name, peer)
        except (PeerUnreachable, StreamBroken) as error:
            why = str(error)
        if not node.is_killed:
            raise node.failure(f"cannot be watched any longer: {why}")

    async def _ask_while_cached(self, name: str, peer: str) -> None:
        """Ask for prices: their state changed without a price that a watch would tell."""
        pause_s = ASK_SECOND_AFTER_S
        while self._story.views[name].fresh_ns is None:
            try:
                prices = await ask.prices(self._mesh, peer)
            except (PeerUnreachable, StreamBroken):
                pass  # a busy machine; what is not seen in the end is said to be missing
            else:
                self._take(self._story.asked(name, prices, self._clock()))
            await trio.sleep(pause_s)
            pause_s = ASK_EVERY_S

    def _take(self, moments: Iterable[Moment]) -> None:
        self._tell(moments)
        self._changed.set()
        self._changed = trio.Event()
