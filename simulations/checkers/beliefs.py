"""What each node says of each provider: an account of the facts it has made known."""

from enum import Enum

import trio

from meshnode.core.facts import (
    Fact,
    ProviderCleared,
    ProviderDiscovered,
    ProviderFlapping,
    ProviderLost,
    ProviderReturned,
    ProviderSkewed,
    ProviderSuspected,
    ProviderUnreachable,
)
from simulations.witness import Witness
from simulations.world_node import WorldNode


class Belief(Enum):
    """What a node last said of a provider."""

    NOTHING = "nothing"
    ACTIVE = "active"
    SUSPECT = "suspect"
    GONE = "gone"  # offline, or left
    UNREACHABLE = "unreachable"
    FLAPPING = "flapping"
    SKEWED = "skewed"


LIVE = (Belief.ACTIVE, Belief.SUSPECT)


class Beliefs(Witness):
    """By node and by the provider's peer id; who starts has said nothing."""

    def __init__(self) -> None:
        self._said: dict[WorldNode, dict[str, tuple[Belief, float]]] = {}

    def of(self, node: WorldNode, provider: WorldNode) -> Belief:
        """What a node last said of a provider."""
        return self._last(node, provider)[0]

    def said_at(self, node: WorldNode, provider: WorldNode) -> float:
        """When it said so, in virtual seconds; 0 where it has said nothing."""
        return self._last(node, provider)[1]

    def _last(self, node: WorldNode, provider: WorldNode) -> tuple[Belief, float]:
        return self._said.get(node, {}).get(provider.peer_id, (Belief.NOTHING, 0.0))

    def ended(self, node: WorldNode) -> None:
        """Who has ended says nothing any more."""
        self._said.pop(node, None)

    def observed(self, node: WorldNode, fact: Fact) -> None:
        """Keep the newest."""
        match fact:
            case ProviderDiscovered() | ProviderReturned() | ProviderCleared():
                belief = Belief.ACTIVE
            case ProviderSuspected():
                belief = Belief.SUSPECT
            case ProviderLost():
                belief = Belief.GONE
            case ProviderUnreachable():
                belief = Belief.UNREACHABLE
            case ProviderFlapping():
                belief = Belief.FLAPPING
            case ProviderSkewed():
                belief = Belief.SKEWED
            case _:
                return
        self._said.setdefault(node, {})[fact.provider_id] = belief, trio.current_time()
