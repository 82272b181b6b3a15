"""How soon it is noticed that a provider is gone: killed, left in order, or frozen for long."""

import math
from dataclasses import dataclass

import trio

from meshnode.core.facts import Fact, ProviderLost
from protocols.envelope import Envelope
from protocols.messages import Presence, PresenceUpdate, Role
from simulations.checkers.beliefs import LIVE
from simulations.checkers.informed import Informed
from simulations.checkers.lateness import Lateness
from simulations.faults import Death, Kind
from simulations.world_node import WorldNode

KNOWN_FOR_S = 10.0  # who has only just started need not know anybody
# Silence is counted from the last word and looked at once a second. Over many deaths half are known
# within 30 s, as the last word is some seconds older; who dies as it speaks is one beat behind.
BEAT_S = 1.0
# Whoever is asked knows no better, so the next word of the dead is waited for, 1.1 intervals.
UNTOLD_S = 5.5 + BEAT_S + 0.5
FLAPS_WITHIN_S = 60.0
NEVER_S = 66.0  # what is not noticed by now is not noticed


@dataclass(frozen=True, slots=True)
class _Awaited:
    """`observer` is to notice that `gone` went at `at_s`; `lives` are which ones of the two."""

    at_s: float
    gone: WorldNode
    observer: WorldNode
    lives: tuple[int, int]
    how: tuple[Lateness, ...]

    @property
    def is_of_now(self) -> bool:
        """Whether neither has started again since."""
        return self.lives == (self.gone.starts, self.observer.starts)


class Departures(Informed):
    """Times what each node says of a provider that went, if nothing else is wrong with the two."""

    rule = "who is gone is noticed in time"
    hears_consumers = False

    def _begin(self) -> None:
        self._awaited: dict[tuple[WorldNode, WorldNode], _Awaited] = {}
        self._pauses_taken: dict[WorldNode, float] = {}
        self._born_at: dict[WorldNode, float] = {}
        self.killed = (
            Lateness("killed, and noticed by half", 0.5, 30.0 + BEAT_S, NEVER_S),
            Lateness("killed", 0.99, 60.0 + BEAT_S, 65.0),
        )
        self.killed_nearby = Lateness("killed where it was connected", 0.99, 5.0, 10.0)
        self.killed_untold = Lateness(
            "killed where it was connected, and nobody could tell", 0.99, UNTOLD_S, 10.0
        )
        self.left = Lateness("left in order", 0.99, 2.0, 5.0)
        self.froze = Lateness("frozen", 0.99, 60.0 + BEAT_S, 65.0)

    def started(self, node: WorldNode) -> None:
        """A life begins."""
        self._born_at[node] = trio.current_time()

    def accepted(self, node: WorldNode, envelope: Envelope) -> None:
        """Its own farewell, as it says it."""
        message = envelope.message
        match message.payload:
            case PresenceUpdate(role=Role.PROVIDER, state=Presence.LEAVING):
                if message.author == node.key:
                    for observer in self._observers(node):
                        self._await(node, observer, trio.current_time(), (self.left,))
            case _:
                pass

    def observed(self, node: WorldNode, fact: Fact) -> None:
        """Noticed."""
        if not isinstance(fact, ProviderLost):
            return
        gone = self._reach.node(fact.provider_id)
        awaited = self._awaited.get((node, gone)) if gone is not None else None
        if awaited is None or not awaited.is_of_now:
            return
        if fact.cause != "leaving" and self.left in awaited.how:
            return  # its farewell has to come
        self._settle(awaited, trio.current_time() - awaited.at_s)

    def ended(self, node: WorldNode) -> None:
        """Killed, if the ledger says so, which is told before."""
        death = self.faults.deaths.get(node)
        if death is None or death.life != node.starts or not node.is_provider:
            return
        for observer in self._observers(node):
            near: tuple[Lateness, ...] = ()
            if observer in death.neighbours:
                is_told = self._is_told(observer, node, death)
                near = (self.killed_nearby if is_told else self.killed_untold,)
            self._await(node, observer, death.at_s, (*self.killed, *near))

    def tick(self) -> None:
        """Take note of who stands still; let go of what another fault explains, or what is over."""
        self._note_pauses()
        for awaited in list(self._awaited.values()):
            since_s = trio.current_time() - awaited.at_s
            if self._is_excused(awaited, since_s):
                del self._awaited[awaited.observer, awaited.gone]
            elif since_s > NEVER_S:
                self._settle(awaited, math.inf)

    def finish(self) -> None:
        """What came in time and what did not, of the whole run."""
        nearby = (self.killed_nearby, self.killed_untold)
        for one in (*self.killed, *nearby, self.left, self.froze):
            if (complaint := one.complaint()) is not None:
                self.violated("all nodes", complaint)

    def _is_told(self, observer: WorldNode, gone: WorldNode, death: Death) -> bool:
        """Whether somebody can tell an observer at once that a neighbour of its is gone."""
        mesh = observer.mesh
        peers = [self._reach.node(peer) for peer in (mesh.peer_ids() if mesh else ())]
        others = [peer for peer in peers if peer is not None and peer.is_running]
        if not others:
            return True  # it need not be told: there is nobody to ask
        if gone.starts > 1 and death.at_s - self._born_at.get(gone, 0.0) < FLAPS_WITHIN_S:
            return False  # those who know hold it as one that comes and goes, and say no more
        near = death.neighbours.intersection(others)
        return any(self._beliefs.of(peer, gone) in LIVE for peer in near)

    def _note_pauses(self) -> None:
        for node in self.faults.hampered.get(Kind.FROZEN, ()):
            pause = self.faults.last_episode(Kind.FROZEN, node)
            if pause is None or self._pauses_taken.get(node) == pause.began_at_s:
                continue
            self._pauses_taken[node] = pause.began_at_s
            if node.is_provider:
                for observer in self._observers(node):
                    self._await(node, observer, pause.began_at_s, (self.froze,))

    def _observers(self, gone: WorldNode) -> list[WorldNode]:
        return [
            node
            for node in self.world.running()
            if node is not gone
            and self._reach.untouched_s(node) > KNOWN_FOR_S
            and self._reach.together_s(node, gone) > KNOWN_FOR_S
            and self._beliefs.of(node, gone) in LIVE
        ]

    def _await(
        self, gone: WorldNode, observer: WorldNode, at_s: float, how: tuple[Lateness, ...]
    ) -> None:
        lives = (gone.starts, observer.starts)
        self._awaited[observer, gone] = _Awaited(at_s, gone, observer, lives, how)

    def _settle(self, awaited: _Awaited, took_s: float) -> None:
        del self._awaited[awaited.observer, awaited.gone]
        whose = f"{awaited.gone.name}, gone at {awaited.at_s:.1f} s, by {awaited.observer.name}"
        for one in awaited.how:
            one.took(took_s, whose)

    def _is_excused(self, awaited: _Awaited, since_s: float) -> bool:
        observer, gone = awaited.observer, awaited.gone
        return (
            not awaited.is_of_now  # it is back before it had to be noticed
            or (self.froze in awaited.how and not self.faults.is_hampered(gone, Kind.FROZEN))
            or self._reach.untouched_s(observer) < since_s
            or self._reach.together_s(observer, gone) < since_s
        )
