"""The play: nodes are started, killed and started again, and what they then do is waited for."""

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import trio

from meshnode.adapters.node_process import NodeProcess, Ready
from meshnode.adapters.system import SystemClock
from meshnode.cli.demo.moments import Moment
from meshnode.cli.demo.processes import Processes
from meshnode.cli.demo.screen import Screen
from meshnode.cli.demo.story import (
    INTRODUCER,
    NEWCOMER,
    PROVIDER,
    UPDATES_MIN,
    Joined,
    Step,
    Story,
)
from meshnode.cli.demo.watching import Watching
from protocols.timestamps import ns_from_rfc3339

SOURCE = "replay:builtin?speed=2&loop=true"
DRAW_EVERY_S = 0.25
STEP_WITHIN_S = 15.0  # what happens takes two seconds, ten where the machine is busy
LOG_WITHIN_S = 10.0
QUIET_WITHIN_S = 3.0
LOAD_AND_END_S = 6.0  # two nodes still start, and all end


@dataclass(frozen=True, slots=True)
class Pace:
    """How long each part is shown, in seconds; `cached_s` from the kill to the new start."""

    flow_s: float
    cached_s: float
    back_s: float
    joined_s: float


def pace(left_s: float) -> Pace:
    """Divide what is left when prices begin to flow; each part is long enough to be seen."""
    shown_s = max(0.0, left_s - LOAD_AND_END_S)
    return Pace(
        flow_s=max(2.0, 0.3 * shown_s),
        cached_s=max(2.0, 0.3 * shown_s),
        back_s=max(1.0, 0.15 * shown_s),
        joined_s=max(1.0, 0.25 * shown_s),
    )


class Play:
    """One performance; it takes about `seconds`, counted from its making."""

    def __init__(self, screen: Screen, story: Story, processes: Processes, seconds: int) -> None:
        self._screen = screen
        self._story = story
        self._processes = processes
        self._seconds = seconds
        self._wall_clock = SystemClock()
        self._started_at = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Since the play began."""
        return time.monotonic() - self._started_at

    async def perform(self, stop: trio.CancelScope) -> None:
        """All steps, or as many as happen: the story knows. Raises MeshnodeError.

        Cancelling `stop` ends it, once the client is open: one that is opening is not cancelled.
        """
        self._say("starting", "starting three nodes, one after the other: a few seconds")
        bob = await self._processes.start("bob")
        await trio.to_thread.run_sync(_load_libp2p)
        # libp2p before the logs: its import resets the handlers of its logger.
        from meshnode.adapters.libp2p.host import open_client
        from meshnode.adapters.logs import open_logs

        # What goes wrong comes as an exception, and is told once.
        with open_logs(sys.stderr, log_level="critical") as logs:
            async with open_client(logs) as mesh, trio.open_nursery() as nursery:
                watching = Watching(mesh, nursery, self._story, self._tell, lambda: self.elapsed_s)
                with stop:
                    await self._acts(watching, bob)
                self._say("ending", "ending all nodes")
                nursery.cancel_scope.cancel()

    async def draw(self) -> None:
        """Keep the screen up to date, for ever."""
        while True:
            self._screen.draw(self.elapsed_s, self._story.rows(self.elapsed_s))
            await trio.sleep(DRAW_EVERY_S)

    async def _acts(self, watching: Watching, bob: NodeProcess) -> None:
        bob_ready = await self._follow(watching, bob, "consumer")
        carol = await self._processes.start("carol", connect=bob_ready.addrs[:1])
        carol_ready = await self._follow(watching, carol, "consumer, knows bob")
        seeds = (bob_ready.addrs[0], carol_ready.addrs[0])
        alice = await self._start_alice(watching, seeds, "knows both")
        paced = pace(self._seconds - self.elapsed_s)
        if not await self._see(watching, Step.FLOW):
            return
        await trio.sleep(paced.flow_s)
        await self._kill(watching, alice)
        await trio.sleep(paced.cached_s)
        if not await self._see(watching, Step.LOSS):
            return
        self._say("restarting", f"{PROVIDER} starts again: a new process, the same data directory")
        await self._start_alice(watching, seeds, "back")
        if not await self._see(watching, Step.RETURN):
            return
        await trio.sleep(paced.back_s)
        await self._join(watching, carol_ready)
        if await self._see(watching, Step.JOIN):
            await trio.sleep(paced.joined_s)

    # --- the acts ---------------------------------------------------------------------------

    async def _start_alice(
        self, watching: Watching, seeds: Sequence[str], part: str
    ) -> NodeProcess:
        alice = await self._processes.start(PROVIDER, connect=seeds, source=SOURCE)
        await self._follow(watching, alice, f"provider, {part}")
        return alice

    async def _kill(self, watching: Watching, alice: NodeProcess) -> None:
        # Between two updates: one that others still pass on would count as a sign of life.
        with trio.move_on_after(QUIET_WITHIN_S):
            await watching.wait_told()
            while not self._story.is_between_updates():
                await watching.wait_told()
        self._story.killed_ns = self._wall_clock.now_ns()
        await alice.kill()
        self._say(
            "killed", f"{PROVIDER} is killed (SIGKILL), without a farewell: no provider is left"
        )

    async def _join(self, watching: Watching, introducer: Ready) -> None:
        self._say("joining", f"{NEWCOMER} starts, and knows the address of {INTRODUCER} only")
        dave = await self._processes.start(NEWCOMER, connect=introducer.addrs[:1])
        ready = await self._follow(watching, dave, "consumer, knows carol")
        connected = await dave.wait_log("peer_joined", LOG_WITHIN_S, peer_id=introducer.node_id)
        caught_up = await dave.wait_log("caught_up", LOG_WITHIN_S, peer_id=introducer.node_id)
        if connected is None or caught_up is None or caught_up["refused"]:
            return
        # Its log says when, the node itself says what.
        if not await watching.wait_until(self._story.newcomer_has_every_price, STEP_WITHIN_S):
            return
        joined = Joined(ns_from_rfc3339(connected["time"]), ns_from_rfc3339(caught_up["time"]))
        self._tell([self._story.newcomer_joined(joined)])
        updates = self._story.views[NEWCOMER].updates + UPDATES_MIN
        if await watching.wait_until(
            lambda: self._story.views[NEWCOMER].updates >= updates, STEP_WITHIN_S
        ):
            neighbours = await watching.ask_neighbours(ready.node_id)
            self._tell([self._story.newcomer_connected(neighbours)])

    # --- what they have in common -----------------------------------------------------------

    async def _follow(self, watching: Watching, node: NodeProcess, part: str) -> Ready:
        """Wait until a node is ready, and watch it from then on."""
        ready = await node.wait_ready()
        line = await node.wait_log("ready", LOG_WITHIN_S)
        at_ns = ns_from_rfc3339(line["time"]) if line else self._wall_clock.now_ns()
        fields = {"node": node.name, "node_id": ready.node_id, "addr": ready.addrs[0]}
        text = f"{node.name} is ready ({part}) after {ready.took_s:.1f} s"
        self._say("ready", text, {**fields, "took_ms": round(ready.took_s * 1000)})
        self._story.ready(node.name, ready.node_id, at_ns)
        await watching.follow(node, ready)
        return ready

    async def _see(self, watching: Watching, step: Step) -> bool:
        return await watching.wait_until(lambda: self._story.has(step), STEP_WITHIN_S)

    def _say(self, event: str, text: str, fields: Mapping[str, object] | None = None) -> None:
        self._tell([Moment(event, text, fields or {})])

    def _tell(self, moments: Iterable[Moment]) -> None:
        for moment in moments:
            self._screen.tell(self.elapsed_s, moment)


def _load_libp2p() -> None:
    """Load what takes seconds, where it does not hold up the screen."""
    import meshnode.adapters.libp2p.host  # noqa: F401
