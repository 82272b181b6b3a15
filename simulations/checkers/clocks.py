"""Wrong clocks: a little is unnoticed; much is said, by its node and of it, in half a minute."""

from dataclasses import dataclass

import trio

from meshnode.core.facts import ClockAgrees, ClockDiffers, Fact, ProviderSkewed
from simulations.checkers.beliefs import LIVE, Belief
from simulations.checkers.informed import Informed
from simulations.checkers.reach import Reach
from simulations.faults import Kind
from simulations.world_node import WorldNode

NOTICED_WITHIN_S = 30.0
UNNOTICED_MAX_S = 0.5
REFUSED_FROM_S = 75.0  # behind by so much every message is too old, ahead by so much of the future
KNOWN_FOR_S = 30.0
PEERS_MIN, PEERS_ASKED = 3, 5  # of so many a node learns the time; their median decides
NS_PER_S = 10**9


@dataclass(frozen=True, slots=True)
class _Wrong:
    """A clock that is wrong since `since`; `knew_it` are who counted it among the providers."""

    since: float
    node: WorldNode
    knew_it: tuple[tuple[WorldNode, int], ...]


class Clocks(Informed):
    """Knows how far each clock is off, and reads what is said of it."""

    rule = "a wrong clock is noticed, a right one is not called wrong"

    def _begin(self) -> None:
        self._wrong: dict[WorldNode, _Wrong] = {}
        self._differs: set[WorldNode] = set()

    def ended(self, node: WorldNode) -> None:
        """Who has ended says nothing any more."""
        self._differs.discard(node)

    def observed(self, node: WorldNode, fact: Fact) -> None:
        """What is said of clocks; of one that is right, or off by little, nothing is."""
        match fact:
            case ClockDiffers():
                self._differs.add(node)
                if self._is_right(node) and can_tell(self._reach, node):
                    off_s = fact.ahead_s
                    self.violated(node.name, f"calls its clock wrong by {off_s:.1f} s: it is right")
            case ClockAgrees():
                self._differs.discard(node)
            case ProviderSkewed(provider_id=peer_id):
                skewed = self._reach.node(peer_id)
                if skewed is not None and self._is_right(node) and self._flows(skewed):
                    self.violated(node.name, f"calls the clock of {skewed.name} wrong")
            case _:
                pass

    def tick(self) -> None:
        """What has been wrong for half a minute has been noticed."""
        now = trio.current_time()
        for node, episode in self.faults.episodes(Kind.CLOCK):
            if episode.ended_at_s is not None or not node.is_running:
                self._wrong.pop(node, None)
                continue
            wrong = self._wrong.get(node)
            if wrong is None or wrong.since < episode.began_at_s:
                self._wrong[node] = _Wrong(episode.began_at_s, node, self._who_knows(node))
            elif wrong.since + NOTICED_WITHIN_S <= now < wrong.since + NOTICED_WITHIN_S + 1:
                self._look(wrong)

    def _look(self, wrong: _Wrong) -> None:
        node, since_s = wrong.node, trio.current_time() - wrong.since
        if abs(_off_s(node)) < REFUSED_FROM_S:
            return
        if self._reach.up_s(node) < since_s + KNOWN_FOR_S or self.faults.is_hampered(
            node, Kind.FROZEN, Kind.CUT
        ):
            return
        if not self._has_been_whole(since_s):
            return
        if node not in self._differs and can_tell(self._reach, node):
            self.violated(node.name, f"does not notice that its clock is {_off_s(node):+.0f} s off")
        for other, life in wrong.knew_it:
            if other.starts != life or self._reach.untouched_s(other) < since_s + KNOWN_FOR_S:
                continue
            if not self._is_right(other):
                continue
            belief = self._beliefs.of(other, node)
            if belief is not Belief.SKEWED:
                off = (
                    f"{since_s:.0f} s after the clock of {node.name} was set {_off_s(node):+.0f} s"
                )
                self.violated(other.name, f"{off} off, it is {belief.value} here")

    def _who_knows(self, provider: WorldNode) -> tuple[tuple[WorldNode, int], ...]:
        if not provider.is_provider:
            return ()
        return tuple(
            (node, node.starts)
            for node in self.world.running()
            if node is not provider and self._beliefs.of(node, provider) in LIVE
        )

    def _has_been_whole(self, since_s: float) -> bool:
        healed_at_s = self.faults.healed_at_s or 0.0
        return not self.faults.sides and trio.current_time() - healed_at_s > since_s + KNOWN_FOR_S

    def _is_right(self, node: WorldNode) -> bool:
        """Whether a clock is right within half a second, and has been for a while."""
        return (
            abs(_off_s(node)) <= UNNOTICED_MAX_S
            and self.faults.calm_s(node, Kind.CLOCK, Kind.CLOCK_A_LITTLE) > KNOWN_FOR_S
        )

    def _flows(self, node: WorldNode) -> bool:
        """Whether what it says has been in time for a while."""
        return (
            not self.faults.is_hampered(node, Kind.CLOCK)
            and self.faults.calm_s(node, Kind.CLOCK) > KNOWN_FOR_S
        )


def can_tell(reach: Reach, node: WorldNode) -> bool:
    """Whether most of any few peers of a node that it may ask are right themselves."""
    peers = [] if node.mesh is None else node.mesh.peers()
    known = [other for peer in peers if (other := reach.node(peer.peer_id)) is not None]
    wrong = sum(abs(_off_s(other)) > UNNOTICED_MAX_S for other in known)
    return len(known) >= PEERS_MIN and 2 * wrong < min(len(known), PEERS_ASKED)


def _off_s(node: WorldNode) -> float:
    return node.clock.step_ns / NS_PER_S
