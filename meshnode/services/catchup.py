"""Catch-up: a node that joins asks a peer for everything, and judges each envelope."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing

import trio

from meshnode.core.facts import CatchUpFailed, CaughtUp
from meshnode.core.verdicts import Accepted, Ignored, Reason, Verdict
from meshnode.errors import PeerUnreachable, QueryRefused, StreamBroken
from meshnode.ports import Mesh, Observer, TaskStatus, WallClock
from meshnode.services import ask
from meshnode.services.intake import Intake
from protocols.errors import ProtocolError

PEERS_ASKED = 2  # one may know little or lie by leaving out; who is asked again is bounded
RETRY_DELAYS_S = (5.0, 15.0, 45.0)  # a peer's budget of requests is for 15 s
# After a provider is back our neighbours may have been cut off from it as well: each round of
# asking brings its prices one hop further.
RETURN_DELAYS_S = (1.0, 5.0, 10.0)
OFFERS_MAX = 64  # peers waiting to be asked; more are not needed, and dropped

JudgeHeld = Callable[[bytes, int], Verdict]


class CatchUp:
    """Asks the first peers that connect for their envelopes, and a few when a provider is back.

    `wait_returned` waits until one is heard again of which prices may have been missed.
    """

    def __init__(
        self,
        mesh: Mesh,
        judge_held: JudgeHeld,
        intake: Intake,
        observer: Observer,
        wall_clock: WallClock,
        wait_returned: Callable[[], Awaitable[None]],
    ) -> None:
        self._mesh = mesh
        self._judge_held = judge_held
        self._intake = intake
        self._observer = observer
        self._wall_clock = wall_clock
        self._wait_returned = wait_returned
        self._offers, self._offered = trio.open_memory_channel[str](OFFERS_MAX)
        self._answers = 0

    def offer(self, peer_id: str) -> None:
        """A peer connected and may be asked."""
        try:
            self._offers.send_nowait(peer_id)
        except trio.WouldBlock:
            return  # enough others wait to be asked

    def missed(self) -> None:
        """The node was alone: what was said meanwhile is asked for when a peer connects."""
        self._answers = 0

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Ask those offered, as far as there is need, for ever."""
        task_status.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._ask_after_returns)
            async for peer in self._offered:
                if self._answers < PEERS_ASKED and not await self._ask(peer):
                    nursery.start_soon(self._ask_again, peer)

    async def _ask_after_returns(self) -> None:
        """What was said behind a split is said again only when its price moves."""
        while True:
            await self._wait_returned()
            for number, delay_s in enumerate(RETURN_DELAYS_S):
                await trio.sleep(delay_s)
                # Who connected last is likeliest to come from where we could not hear.
                newest_first = self._mesh.peer_ids()[::-1]
                first = number * PEERS_ASKED
                among = newest_first[first : first + PEERS_ASKED] or newest_first[:PEERS_ASKED]
                for peer in among:
                    await self._ask(peer)

    async def _ask_again(self, peer: str) -> None:
        """It was busy, or knew nothing yet, or is somebody who only asks and is soon gone."""
        for delay_s in RETRY_DELAYS_S:
            await trio.sleep(delay_s)
            connected = peer in self._mesh.peer_ids()
            if not connected or self._answers >= PEERS_ASKED or await self._ask(peer):
                return

    async def _ask(self, peer: str) -> bool:
        """Whether it told us anything: where all start at once, the first asked know nothing."""
        started = trio.current_time()
        applied = refused = told = 0
        try:
            async with aclosing(ask.envelopes(self._mesh, peer)) as raws:
                async for raw in raws:
                    told += 1
                    match self._judge_held(raw, self._wall_clock.now_ns()):
                        case Accepted(envelope=envelope):
                            applied += self._intake.take_held(envelope)
                        case Ignored(reason=Reason.KNOWN):
                            pass
                        case _:
                            refused += 1
                    # An envelope of 1000 quotes takes milliseconds to judge: others may run.
                    await trio.lowlevel.checkpoint()
        except (PeerUnreachable, StreamBroken, QueryRefused, ProtocolError) as error:
            self._observer.observe(CatchUpFailed(peer, str(error)))
            return False
        self._answers += told > 0
        took_s = trio.current_time() - started
        self._observer.observe(CaughtUp(peer, applied, refused, took_s))
        return told > 0
