"""Invariant 5, and nobody who is there is called lost: who may accuse whom, and when."""

import trio

from meshnode.core.facts import Fact, OutageStarted, ProviderLost, ProviderSuspected
from protocols.envelope import Envelope
from protocols.messages import Presence, PresenceUpdate, PriceUpdate, Role
from simulations.checkers.beliefs import Belief
from simulations.checkers.clocks import can_tell
from simulations.checkers.informed import Informed
from simulations.faults import Episode, Kind
from simulations.world_node import WorldNode

# A provider that has been there for so long, heard by all it can reach, is lost to nobody.
THERE_S = 15.0
# Its ways may all have led through the other side: it is known after two pings that connections
# are dead, and new ones take a moment.
REROUTED_S = 45.0
ISOLATED_S = 17.0  # fifteen without an answer, and a sweep a second
PAUSE_NOTICED_S = 4.1  # two are a pause; a timer may be due two seconds and a slot after it begins
FRESH_S = 10.0  # two presence periods
# Frozen for so long it may have been silent for 15 s, and for 30 s, for it speaks every 5 s.
SUSPECT_FROM_S, LOST_FROM_S = 9.0, 24.0
THAWED_S = 10.0  # then it has been heard again
BY_CONNECTION = "declared lost by connection"
SAME_MOMENT_S = 0.05  # a farewell and the end of its connection, in whatever order


class Accusations(Informed):
    """Judges each `suspect` and `lost`, and each outage, as it is said."""

    rule = "nobody is accused who is there, nor by one who cannot know"
    hears_consumers = False

    def _begin(self) -> None:
        self._farewells: dict[tuple[WorldNode, bytes], tuple[int, float]] = {}

    def started(self, node: WorldNode) -> None:
        """Who starts has heard no farewell."""
        for place in [place for place in self._farewells if place[0] is node]:
            del self._farewells[place]

    def accepted(self, node: WorldNode, envelope: Envelope) -> None:
        """A farewell, or the word of a later life."""
        message = envelope.message
        place = (node, message.author)
        match message.payload:
            case PresenceUpdate(role=Role.PROVIDER, state=Presence.LEAVING):
                self._farewells[place] = (message.epoch, trio.current_time())
            case PriceUpdate() | PresenceUpdate():
                if message.epoch > self._farewells.get(place, (message.epoch, 0.0))[0]:
                    del self._farewells[place]

    def observed(self, node: WorldNode, fact: Fact) -> None:
        """Whoever is accused has a right to be judged fairly."""
        match fact:
            case ProviderSuspected(provider_id=peer_id):
                self._judge(node, peer_id, "suspected")
            case ProviderLost(provider_id=peer_id, cause=cause) if cause != "leaving":
                self._judge(node, peer_id, f"declared lost by {cause}")
            case OutageStarted():
                self._judge_outage(node)
            case _:
                pass

    def _judge(self, node: WorldNode, peer_id: str, deed: str) -> None:
        accused = self._reach.node(peer_id)
        if accused is None:
            return
        what = f"{deed} {accused.name}"
        if (alone_s := self._reach.without_company_s(node)) >= ISOLATED_S:
            self.violated(node.name, f"{what}, alone for {alone_s:.1f} s itself")
        pause = self.faults.last_episode(Kind.FROZEN, node)
        if pause is not None and pause.ended_at_s is not None:
            awake_s = trio.current_time() - pause.ended_at_s
            sure = deed == BY_CONNECTION and self._saw_it_die(node, accused, pause)
            if pause.lasted_s() >= PAUSE_NOTICED_S and awake_s < FRESH_S and not sure:
                self.violated(
                    node.name,
                    f"{what} {awake_s:.1f} s after it was frozen for {pause.lasted_s():.1f} s",
                )
        farewell = self._farewells.get((node, accused.key))
        if farewell is not None and trio.current_time() - farewell[1] > SAME_MOMENT_S:
            self.violated(node.name, f"{what}, which had said that it leaves")
        if deed != "suspected" and self._was_there(node, accused):
            self.violated(node.name, f"{what}, which was there")
        self._judge_of_frozen(
            node, accused, what, LOST_FROM_S if deed != "suspected" else SUSPECT_FROM_S
        )

    def _saw_it_die(self, node: WorldNode, accused: WorldNode, pause: Episode) -> bool:
        """Whether its own connection to a node that was killed broke before its pause.

        A dial refused after the pause, and what peers say then, prove what no silence can.
        """
        death = self.faults.deaths.get(accused)
        return (
            death is not None
            and death.life == accused.starts
            and death.at_s <= pause.began_at_s
            and node in death.neighbours
        )

    def _judge_of_frozen(
        self, node: WorldNode, accused: WorldNode, what: str, from_s: float
    ) -> None:
        pause = self.faults.last_episode(Kind.FROZEN, accused)
        if pause is None or pause.lasted_s() >= from_s:
            return
        since_s = trio.current_time() - pause.began_at_s
        over_s = since_s - pause.lasted_s()
        # Nothing else may explain it: neither a fault before the pause, nor one after it.
        is_alone_to_blame = (
            over_s < THERE_S
            and self._reach.up_s(accused) > since_s + THERE_S
            and min(
                self.faults.calm_s(accused, Kind.PROCESS, Kind.CLOCK, Kind.CUT),
                self._reach.untouched_s(node),
            )
            > since_s + THERE_S
            and self._reach.together_s(node, accused) > since_s + REROUTED_S
        )
        if is_alone_to_blame:
            self.violated(node.name, f"{what}, which was frozen for {pause.lasted_s():.1f} s only")

    def _was_there(self, node: WorldNode, accused: WorldNode) -> bool:
        """Whether nothing explains that it is not heard: no fault of its own, and no split."""
        split_at_s = self.faults.split_at_s
        return (
            self._reach.well_s(accused) > THERE_S
            and self._reach.up_s(node) > THERE_S
            and self._reach.together_s(node, accused) > THERE_S
            and (split_at_s is None or trio.current_time() - split_at_s > REROUTED_S)
        )

    def _judge_outage(self, node: WorldNode) -> None:
        if self._reach.alone_s(node) > 0:
            return
        if self.faults.is_hampered(node, Kind.CLOCK) and not can_tell(self._reach, node):
            return  # it refuses what is in time, and has too few peers to know better
        there = [
            provider.name
            for provider in self.world.by_name.values()
            if provider.is_provider
            and provider is not node
            and self._was_there(node, provider)
            # Who comes and goes is there, and does not count for a while.
            and self._beliefs.of(node, provider) is not Belief.FLAPPING
        ]
        if there:
            self.violated(node.name, f"says that nobody provides; {' and '.join(there)} did")
