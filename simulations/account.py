"""What the nodes of a run said, each of every provider: the same account of both kinds of run."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import trio

from meshnode.core.facts import Fact, OutageEnded, OutageStarted, ProviderFact
from meshnode.services.changes import provider_change
from protocols.envelope import Envelope
from protocols.ids import peer_id
from protocols.messages import PriceUpdate
from simulations.clock import START_NS
from simulations.faults import Happening
from simulations.witness import Witness
from simulations.world_node import WorldNode

NS_PER_S = 10**9

# The state in which a change leaves a provider; what it is lost by says more.
_STATES: Mapping[str, str] = {
    "new": "active",
    "returned": "active",
    "cleared": "active",
    "suspected": "suspect",
    "lost": "offline",
    "unreachable": "unreachable",
    "flapping": "flapping",
    "skewed": "skewed",
}
_LOST_BY: Mapping[str, str] = {"leaving": "left", "flapping": "flapping"}


@dataclass(frozen=True, slots=True)
class Sighting:
    """From `at_s` on, a node says that a provider is `state`, a word of the status reply."""

    at_s: float
    node: str
    provider: str
    state: str


@dataclass(frozen=True, slots=True)
class OutageTold:
    """A node says that an outage has begun (`active`), or has ended."""

    at_s: float
    node: str
    active: bool


@dataclass
class Account:
    """Who said what, when. Nodes go by their names; times are seconds from the run's beginning.

    `starts` are when a node was ready, `ends` when it was killed or left, `priced` when the newest
    price was observed that a node has of a provider.
    """

    story: list[Happening] = field(default_factory=list)
    starts: list[tuple[float, str]] = field(default_factory=list)
    ends: list[tuple[float, str]] = field(default_factory=list)
    sightings: list[Sighting] = field(default_factory=list)
    outages: list[OutageTold] = field(default_factory=list)
    priced: dict[tuple[str, str], float] = field(default_factory=dict)
    providers: list[str] = field(default_factory=list)
    ended_at_s: float = math.inf
    _states: dict[str, dict[str, str]] = field(default_factory=dict)
    _out: set[str] = field(default_factory=set)
    _changed: trio.Event = field(default_factory=trio.Event)

    def started(self, at_s: float, node: WorldNode) -> None:
        """A node is ready, and has said nothing yet in this life."""
        self.starts.append((at_s, node.name))
        self._states[node.name] = {}
        self._out.discard(node.name)
        if node.is_provider and node.name not in self.providers:
            self.providers.append(node.name)
        self._tell()

    def ended(self, at_s: float, node: str) -> None:
        """A node's process has ended."""
        self.ends.append((at_s, node))

    def saw(self, at_s: float, node: str, provider: str, state: str) -> None:
        """A node says how a provider is; what it said before is no news."""
        states = self._states.setdefault(node, {})
        if self._goes_on() and states.get(provider) != state:
            states[provider] = state
            self.sightings.append(Sighting(at_s, node, provider, state))
            self._tell()

    def outage(self, at_s: float, node: str, *, active: bool) -> None:
        """A node says whether there is an outage."""
        if self._goes_on() and active != (node in self._out):
            (self._out.add if active else self._out.discard)(node)
            self.outages.append(OutageTold(at_s, node, active))
            self._tell()

    def price(self, observed_s: float, node: str, provider: str) -> None:
        """A node has a price of a provider, observed then."""
        key = (node, provider)
        self.priced[key] = max(observed_s, self.priced.get(key, observed_s))

    def end(self, story: Iterable[Happening], at_s: float) -> None:
        """It is over, and this is what the scenario did; how nodes leave is no part of it."""
        self.story += story
        self.ended_at_s = at_s

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that nodes say makes a condition true."""
        while not condition():
            await self._changed.wait()

    def _goes_on(self) -> bool:
        return math.isinf(self.ended_at_s)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    # --- how it was in the end --------------------------------------------------------------

    def last_states(self, node: str) -> Mapping[str, str]:
        """What a node last said of each provider in its present life."""
        return self._states.get(node, {})

    def running(self) -> list[str]:
        """Who was there in the end."""
        last_start = {node: at_s for at_s, node in self.starts}
        last_end = {node: at_s for at_s, node in self.ends if at_s < self.ended_at_s}
        return [node for node, at_s in last_start.items() if last_end.get(node, -1.0) < at_s]

    def in_outage(self) -> set[str]:
        """Who said last that there is an outage."""
        return set(self._out)


def state_after(change: Mapping[str, Any]) -> str | None:
    """In which state a provider is after a change, in the words of a `provider` event."""
    state = _STATES.get(str(change["change"]))
    return _LOST_BY.get(str(change.get("cause")), state) if state == "offline" else state


class AccountWitness(Witness):
    """Keeps the account of a simulated run."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._names: dict[str, str] = {}

    def started(self, node: WorldNode) -> None:
        """See `Witness`."""
        self._names[node.peer_id] = node.name
        self._account.started(trio.current_time(), node)

    def ended(self, node: WorldNode) -> None:
        """See `Witness`."""
        self._account.ended(trio.current_time(), node.name)

    def accepted(self, node: WorldNode, envelope: Envelope) -> None:
        """See `Witness`."""
        message = envelope.message
        provider = self._names.get(peer_id(message.author))
        if provider is not None and isinstance(message.payload, PriceUpdate):
            observed_ns = max(quote.observed_ns for quote in message.payload.quotes)
            self._account.price((observed_ns - START_NS) / NS_PER_S, node.name, provider)

    def observed(self, node: WorldNode, fact: Fact) -> None:
        """See `Witness`."""
        now = trio.current_time()
        if isinstance(fact, ProviderFact):
            about, change = provider_change(fact)
            provider, state = self._names.get(about), state_after(change)
            if provider is not None and state is not None:
                self._account.saw(now, node.name, provider, state)
        elif isinstance(fact, OutageStarted | OutageEnded):
            self._account.outage(now, node.name, active=isinstance(fact, OutageStarted))
