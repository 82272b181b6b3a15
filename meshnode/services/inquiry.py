"""Inquiry: suspects are asked themselves, and other peers about them. Nothing of it is gossiped.

What a peer says only hastens what our own ears have found: without our own suspicion nobody is
asked, so nobody can accuse.
"""

import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager

import trio

from meshnode.core.backoff import Rng
from meshnode.core.suspicion import Verdict, verdict_of
from meshnode.errors import DialRefused, PeerUnreachable, QueryRefused, StreamBroken
from meshnode.ports import Mesh, TaskStatus
from meshnode.services import ask
from meshnode.services.presence import Presence
from protocols.errors import ProtocolError
from protocols.limits import REQUESTS_PER_PEER_MAX, REQUESTS_PER_PEER_WINDOW_S
from protocols.status import ProviderStatus
from protocols.timestamps import ns_from_rfc3339

PEERS_ASKED = 3
# Where a connection broke, somebody may know at once: a dozen peers are asked within three seconds.
PEERS_ASKED_AT_ONCE = 5
# After the first round, in which some may not have noticed yet; then at a steady pace. Of silence,
# which decides nothing for 15 s, peers learn more until then, and may be asked but twice.
ASK_AGAIN_S = (1.0, 1.5, 3.0, 5.0)
ASK_AGAIN_OF_SILENCE_S = (5.0, 7.5, 5.0)
SAME_AGAIN_S = 5.0  # so soon, a peer knows no more than before: others have their turn
# Of the requests that a peer answers; others of our services ask as well.
REQUESTS_MAX = REQUESTS_PER_PEER_MAX - 2
# One of them is kept for whoever's connection breaks: names that fall silent are there for nothing.
REQUESTS_ON_SILENCE_MAX = REQUESTS_MAX - 1
# A stranger may name any address as its own and fall silent, under as many names as it likes.
DIAL_EVERY_S = 1.0
DIALS_MAX = 6  # under way at a time: those of one place, whoever named it, wait for each other
# Our peers need a moment to notice what we have noticed.
SETTLE_S = 0.5

_UNANSWERED = (PeerUnreachable, StreamBroken, QueryRefused, ProtocolError)


class Inquiry:
    """Asks about suspects for as long as there are any.

    `is_node(peer)` says who is worth asking, and `peers_of(peer)` whom it said it is connected to:
    such a peer is likeliest to know. `redial(peer)` dials a peer where it last was, once, and
    raises DialRefused or PeerUnreachable.
    """

    def __init__(
        self,
        mesh: Mesh,
        presence: Presence,
        rng: Rng,
        *,
        is_node: Callable[[str], bool],
        peers_of: Callable[[str], AbstractSet[str]],
        redial: Callable[[str], Awaitable[None]],
    ) -> None:
        self._mesh = mesh
        self._presence = presence
        self._rng = rng
        self._is_node = is_node
        self._peers_of = peers_of
        self._redial = redial
        self._dialled: dict[str, float] = {}  # when, of those suspect
        self._next_dial_at = 0.0
        self._is_dialling = False
        self._free_dials = trio.Semaphore(DIALS_MAX)
        self._asked_at: dict[str, deque[float]] = {}  # of those connected
        self._asking: set[str] = set()  # who has not answered yet

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Ask whenever somebody is suspect, for ever."""
        task_status.started()
        async with trio.open_nursery() as work:
            while True:
                if not self._presence.suspects():
                    await self._presence.wait_suspected()
                await trio.sleep(SETTLE_S)
                await self._ask_while_suspect(work)

    async def _ask_while_suspect(self, work: trio.Nursery) -> None:
        pauses_s = self._pauses_s()
        pause_s = 0.0
        while suspects := self._presence.suspects():
            self._dialled = {one: at for one, at in self._dialled.items() if one in suspects}
            if not self._is_dialling:
                self._is_dialling = True
                work.start_soon(self._dial_in_turns, work)
            self._ask_round(suspects, work)
            pause_s = next(pauses_s, pause_s)
            with trio.move_on_after(pause_s):
                await self._presence.wait_suspected()
                pauses_s = self._pauses_s()
                await trio.sleep(SETTLE_S)
        self._dialled.clear()

    def _pauses_s(self) -> Iterator[float]:
        return iter(ASK_AGAIN_S if self._presence.any_broken_off() else ASK_AGAIN_OF_SILENCE_S)

    async def _dial_in_turns(self, work: trio.Nursery) -> None:
        """One a second, the most urgent first: names that fall silent hold up nobody else."""
        while True:
            await trio.sleep_until(self._next_dial_at)
            await self._free_dials.acquire()
            suspect = self._next_to_dial()
            if suspect is None:
                break
            self._dialled[suspect] = trio.current_time()
            work.start_soon(self._dial, suspect)
            self._next_dial_at = trio.current_time() + DIAL_EVERY_S
        self._free_dials.release()
        self._is_dialling = False

    def _next_to_dial(self) -> str | None:
        """Behind all that were not dialled yet those that were found, and lost again."""
        connected = set(self._connected())
        due = [p for p in self._presence.suspects() if p not in connected and self._may_dial(p)]
        return min(due, key=lambda peer: self._dialled.get(peer, -math.inf), default=None)

    def _may_dial(self, suspect: str) -> bool:
        """Once, and once more each time that it was found and is lost again."""
        dialled_at = self._dialled.get(suspect)
        return dialled_at is None or self._presence.suspect_since(suspect) > dialled_at

    async def _dial(self, suspect: str) -> None:
        try:
            await self._redial(suspect)
        except DialRefused:
            self._presence.dial_refused(suspect)
        except PeerUnreachable:
            return  # unanswered: that is no evidence
        finally:
            self._free_dials.release()

    # --- asking -----------------------------------------------------------------------------

    def _ask_round(self, suspects: Mapping[str, int], work: trio.Nursery) -> None:
        """Nobody waits for the answers: who is asked may be frozen, or delay us on purpose."""
        connected = self._connected()
        self._asked_at = {p: times for p, times in self._asked_at.items() if p in connected}
        others = [p for p in connected if p not in suspects and self._is_node(p)]
        for suspect in suspects:
            if suspect in connected and suspect not in self._asking:
                work.start_soon(self._ask_itself, suspect)
        for peer in self._some_of([p for p in others if p not in self._asking], suspects):
            work.start_soon(self._ask_peer, peer, suspects)
        if not others:
            for suspect in suspects:
                self._presence.nobody_to_ask(suspect)

    async def _ask_itself(self, suspect: str) -> None:
        try:
            with self._waiting_for(suspect):
                await ask.status(self._mesh, suspect, ["time"])
        except _UNANSWERED:
            return  # silence only suspects
        self._presence.asked(suspect, suspect, Verdict.ALIVE)

    async def _ask_peer(self, peer: str, suspects: Mapping[str, int]) -> None:
        try:
            with self._waiting_for(peer):
                status = await ask.status(self._mesh, peer, ["known_providers", "time"])
        except _UNANSWERED:
            return
        known: tuple[ProviderStatus, ...] = status["known_providers"] or ()
        seen = {provider.provider_id: provider for provider in known}
        for suspect, last_seen_ns in suspects.items():
            entry = seen.get(suspect)
            seen_ns = ns_from_rfc3339(entry.last_seen) if entry and entry.last_seen else 0
            self._presence.asked(peer, suspect, verdict_of(entry, last_seen_ns), seen_ns)

    @contextmanager
    def _waiting_for(self, peer: str) -> Iterator[None]:
        self._asking.add(peer)
        try:
            yield
        finally:
            self._asking.discard(peer)

    def _connected(self) -> list[str]:
        return list(self._mesh.peer_ids())

    def _some_of(self, peers: list[str], suspects: Mapping[str, int]) -> list[str]:
        """A few: those that were connected to a suspect, as in a large network others know less.

        One place is for whoever was asked longest ago, so that all get their turn: anybody may say
        that it is connected to whomever it likes.
        """
        now = trio.current_time()
        urgent = self._presence.any_broken_off()
        requests_max = REQUESTS_MAX if urgent else REQUESTS_ON_SILENCE_MAX
        peers_asked = PEERS_ASKED_AT_ONCE if urgent else PEERS_ASKED
        in_turn = [
            peer
            for peer in sorted(peers, key=lambda peer: (self._last_asked(peer), self._rng.random()))
            if _lately(self._asked_at.get(peer), now) < requests_max
        ]

        def is_unlikely(peer: str) -> tuple[bool, bool]:
            is_far = self._peers_of(peer).isdisjoint(suspects)
            return now - self._last_asked(peer) < SAME_AGAIN_S, is_far

        chosen = sorted(in_turn, key=is_unlikely)[: peers_asked - 1]
        chosen += [peer for peer in in_turn if peer not in chosen][:1]
        for peer in chosen:
            self._asked_at.setdefault(peer, deque(maxlen=REQUESTS_MAX)).append(now)
        return chosen

    def _last_asked(self, peer: str) -> float:
        asked_at = self._asked_at.get(peer)
        return asked_at[-1] if asked_at else -math.inf


def _lately(asked_at: deque[float] | None, now: float) -> int:
    """How many requests a peer counts still."""
    return sum(now - at < REQUESTS_PER_PEER_WINDOW_S for at in asked_at or ())
