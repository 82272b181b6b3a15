"""The clock check: our clock against those of our peers, and the time by which we judge."""

import math
from collections.abc import Callable, Sequence

import trio

from meshnode.core.facts import ClockAgrees, ClockDiffers
from meshnode.core.own_clock import PEERS_MIN, OwnClock, ahead_ns
from meshnode.errors import PeerUnreachable, QueryRefused, StreamBroken
from meshnode.ports import Mesh, Observer, TaskStatus, WallClock
from meshnode.services import ask
from protocols.errors import ProtocolError
from protocols.messages import Message
from protocols.timestamps import ns_from_rfc3339

PEERS_ASKED = 5  # so that one or two wrong ones change nothing
CHECK_EVERY_S = 20.0
RETRY_S = 4.0  # while too few have answered


class JudgingClock:
    """A WallClock corrected by what our peers say."""

    def __init__(self, wall_clock: WallClock, own_clock: OwnClock) -> None:
        self._wall_clock = wall_clock
        self._own_clock = own_clock

    def now_ns(self) -> int:
        """Unix time to judge messages by; nothing is issued by it."""
        return self._own_clock.read(trio.current_time(), self._wall_clock.now_ns())

    def accepted(self, message: Message, now_ns: int) -> None:
        """A message of another author was judged at `now_ns`, and accepted."""
        age_ns = now_ns - message.issued_ns
        self._own_clock.heard(message.author, age_ns, trio.current_time())


class ClockCheck:
    """Tells when our clock differs from our peers'.

    They tell their time whenever topology asks them something; where too few did lately, because
    our clock was set a moment ago, or where they no longer confirm what we judge by, a few are
    asked at once. `is_node(peer)` says who is worth it.
    """

    def __init__(
        self,
        mesh: Mesh,
        own_clock: OwnClock,
        observer: Observer,
        wall_clock: WallClock,
        *,
        is_node: Callable[[str], bool],
    ) -> None:
        self._mesh = mesh
        self._own_clock = own_clock
        self._observer = observer
        self._wall_clock = wall_clock
        self._is_node = is_node
        self._differs = False  # as was told last
        self._due_at = trio.current_time() + RETRY_S
        self._doubted = trio.Event()

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Ask some peers whenever `look` is in doubt, for ever."""
        task_status.started()
        while True:
            await self._doubted.wait()
            self._doubted = trio.Event()
            asked_at = trio.current_time()
            peers = self._nodes()
            async with trio.open_nursery() as nursery:
                for peer in peers[:PEERS_ASKED]:
                    nursery.start_soon(self._ask, peer)
            now = trio.current_time()
            aheads = self._own_clock.recent(peers, now, now - asked_at)
            if self._own_clock.measured(aheads, now):
                self._tell()
            self._check_again(aheads, now)

    def look(self) -> float:
        """To be called at every beat: check every CHECK_EVERY_S, and at once if our clock was set.

        Then all that we hear may be refused. No check is an appointment: none needs a beat sooner.
        """
        now = trio.current_time()
        self._own_clock.read(now, self._wall_clock.now_ns())
        if self._own_clock.was_set() or now >= self._due_at:
            self._check(now)
        return math.inf

    def _check(self, now: float) -> None:
        peers = self._nodes()
        recent = self._own_clock.recent(peers, now)
        self._check_again(recent, now)
        if len(peers) < PEERS_MIN:
            return
        if self._own_clock.confirm(recent, now):
            self._tell()
        else:
            self._due_at = math.inf  # until they have answered
            self._doubted.set()

    def _check_again(self, aheads: Sequence[int], now: float) -> None:
        self._due_at = now + (CHECK_EVERY_S if len(aheads) >= PEERS_MIN else RETRY_S)

    def _nodes(self) -> list[str]:
        return [peer for peer in self._mesh.peer_ids() if self._is_node(peer)]

    async def _ask(self, peer: str) -> None:
        sent_ns = self._wall_clock.now_ns()
        try:
            said = (await ask.status(self._mesh, peer, ["time"]))["time"]
        except (PeerUnreachable, StreamBroken, QueryRefused, ProtocolError):
            return
        if said is not None:
            ahead = ahead_ns(sent_ns, self._wall_clock.now_ns(), ns_from_rfc3339(said))
            self._own_clock.told(peer, ahead, trio.current_time())

    def _tell(self) -> None:
        did_differ, ahead_ns = self._differs, self._own_clock.ahead_ns
        self._differs = ahead_ns != 0
        if self._differs and not did_differ:
            self._observer.observe(ClockDiffers(ahead_ns / 1e9, self._own_clock.peers))
        elif did_differ and not self._differs:
            self._observer.observe(ClockAgrees(self._own_clock.peers))
