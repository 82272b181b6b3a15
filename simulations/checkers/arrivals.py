"""How soon it is noticed that a provider is there: new, back, thawed, or across a split."""

from collections.abc import Iterable
from dataclasses import dataclass

import trio

from meshnode.core.facts import Fact, PeerLost
from protocols.envelope import Envelope
from protocols.ids import Topic, peer_id
from simulations.checkers.beliefs import Belief
from simulations.checkers.informed import Informed
from simulations.faults import Kind
from simulations.world_node import WorldNode

RETURN_MESSAGES = 2
AFTER_SECOND_MESSAGE_S = 5.0
AFTER_THAW_S = AFTER_HEALING_S = 10.0
SETTLED_S = 30.0
# Whose connection somebody has ended, for having too many, is suspect until its next word.
CLEARED_WITHIN_S = 10.0
UP_S = 10.0  # who has only just started has much to learn
HEALED = "the split healed"

# Of a provider that comes and goes too often it is known that it is there; it does not count yet.
KNOWN = (Belief.ACTIVE, Belief.FLAPPING)


@dataclass(frozen=True, slots=True)
class _Due:
    """By `due_at`, all that can hear `provider` say that it is there, since `why` at `since`."""

    due_at: float
    since: float
    provider: WorldNode
    life: int
    why: str


class Arrivals(Informed):
    """Looks, when the time is up, at what every node says of a provider that is well since."""

    rule = "who is there is noticed in time"
    hears_consumers = False

    def _begin(self) -> None:
        self._due: list[_Due] = []
        # The names that others have heard of those whose second one has yet to come.
        self._heard: dict[bytes, set[tuple[Topic, int]]] = {}
        self._epochs: dict[bytes, int] = {}
        self._thawed_taken: dict[WorldNode, float] = {}
        self._healed_taken: float | None = None
        # When a connection of a node to a provider ended last.
        self._parted_at: dict[tuple[WorldNode, WorldNode], float] = {}

    def observed(self, node: WorldNode, fact: Fact) -> None:
        """A connection's end, after which somebody suspect remains so until its next word."""
        if not isinstance(fact, PeerLost):
            return
        peer = self._reach.node(fact.peer_id)
        if peer is not None and peer.is_provider:
            self._parted_at[node, peer] = trio.current_time()

    def accepted(self, node: WorldNode, envelope: Envelope) -> None:
        """The second message of a life that anybody hears makes a provider known to all.

        What it says before it has found a peer nobody can hear.
        """
        message = envelope.message
        author = message.author
        if author == node.key:
            if node.is_provider and self._epochs.get(author) != message.epoch:
                self._epochs[author], self._heard[author] = message.epoch, set()
            return
        heard = self._heard.get(author)
        if heard is None or message.epoch != self._epochs[author]:
            return
        if self._reach.up_s(node) < UP_S:
            return  # they may have found each other, and nobody else yet
        heard.add((message.topic, message.seq))
        if len(heard) == RETURN_MESSAGES:
            del self._heard[author]
            if (provider := self._reach.node(peer_id(author))) is not None:
                self._expect([provider], AFTER_SECOND_MESSAGE_S, "its second message")

    def tick(self) -> None:
        """Take note of what ended, and look where the time is up."""
        for node, pause in self.faults.episodes(Kind.FROZEN):
            thawed_at_s = pause.ended_at_s
            if thawed_at_s is None or self._thawed_taken.get(node) == thawed_at_s:
                continue
            self._thawed_taken[node] = thawed_at_s
            if node.is_provider:
                self._expect([node], AFTER_THAW_S, "it thawed", thawed_at_s)
        healed_at_s = self.faults.healed_at_s
        if healed_at_s is not None and healed_at_s != self._healed_taken:
            self._healed_taken = healed_at_s
            providers = [node for node in self.world.running() if node.is_provider]
            self._expect(providers, AFTER_HEALING_S, HEALED, healed_at_s)
        now = trio.current_time()
        for due in [due for due in self._due if due.due_at <= now]:
            self._due.remove(due)
            if due.why != HEALED or not self._was_split_again(due.since):
                self._look(due, now - due.since)

    def finish(self) -> None:
        """Nobody who has been there for half a minute is unknown to anybody."""
        now = trio.current_time()
        why, since = "every fault ended", now - CLEARED_WITHIN_S
        for provider in self.world.running():
            if provider.is_provider:
                self._look(_Due(now, since, provider, provider.starts, why), SETTLED_S)

    def _expect(
        self,
        providers: Iterable[WorldNode],
        within_s: float,
        why: str,
        since: float | None = None,
    ) -> None:
        since = trio.current_time() if since is None else since
        self._due += [_Due(since + within_s, since, one, one.starts, why) for one in providers]

    def _look(self, due: _Due, since_s: float) -> None:
        provider = due.provider
        if provider.starts != due.life or self._reach.well_s(provider) < since_s:
            return
        if self.faults.is_hampered(provider):
            return
        for node in self.world.running():
            if (
                node is provider
                or self._reach.untouched_s(node) < since_s + UP_S
                or self._reach.together_s(node, provider) < since_s
            ):
                continue
            if not self._was_noticed(node, due):
                belief = self._beliefs.of(node, provider)
                self.violated(
                    node.name,
                    f"{since_s:.1f} s after {due.why}, {provider.name} is {belief.value} here",
                )

    def _was_split_again(self, since: float) -> bool:
        """The sides find each other all together: whom another split has cut off is on its own."""
        split_at_s = self.faults.split_at_s
        return split_at_s is not None and split_at_s > since

    def _was_noticed(self, node: WorldNode, due: _Due) -> bool:
        belief = self._beliefs.of(node, due.provider)
        if belief is Belief.SUSPECT:
            # Suspect is only who was known: it was noticed, and its connection broke since.
            parted_at = self._parted_at.get((node, due.provider), 0.0)
            return max(self._beliefs.said_at(node, due.provider), parted_at) > due.since
        return belief in KNOWN
