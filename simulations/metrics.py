"""What a run measures: propagation, duplicates, who sees whom, and the CPU it took."""

import heapq
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import trio

from meshnode.core.facts import (
    Fact,
    OutageEnded,
    OutageExtended,
    OutageStarted,
    ProviderDiscovered,
    ProviderLost,
    ProviderReturned,
)
from protocols.envelope import Envelope
from protocols.messages import PriceUpdate
from simulations.witness import Witness
from simulations.world import Network, World
from simulations.world_node import WorldNode

SAMPLE_EVERY_S = 5
SETTLED_S = 10.0
SAID_MAX = 20_000  # messages whose arrivals are timed at a time; the oldest are timed no more
# So often, one message's latencies are compared with the shortest paths of the same graph.
PATHS_EVERY_S = 20.0

BaseDelay = Callable[[str, str], float]


@dataclass(frozen=True, slots=True)
class Sample:
    """The state of the world at one moment; shares are of the nodes that run.

    `providers_seen` is how many providers a node sees active, on average; each sees itself.
    `facts_per_node` is how many facts a node made known since the sample before, on average over
    those that ran at any time since then.
    """

    at_s: float
    running: int
    providers_running: int
    providers_seen: float
    in_outage: float
    in_extended: float
    facts_per_node: float


class Metrics(Witness):
    """Listens to all and keeps numbers."""

    def __init__(self) -> None:
        self.latencies_s = array("d")
        self.ratios = array("d")
        self.accepted_count = 0
        self.said_count = 0
        self.samples: list[Sample] = []
        self.facts: Counter[str] = Counter()
        self._facts_since = 0  # the last sample, as the next one
        self._ran_since: set[WorldNode] = set()
        self._said: dict[bytes, float] = {}
        self._seen: dict[WorldNode, set[str]] = {}
        self._out: set[WorldNode] = set()
        self._extended: set[WorldNode] = set()
        self._paths: dict[bytes, dict[str, float]] = {}
        self._paths_at = 0.0
        self._base_delay_s: BaseDelay = lambda _a, _b: 0.0
        self._world: World[Network] | None = None

    def watch(self, world: World[Network], base_delay_s: BaseDelay) -> None:
        """Compare with the shortest paths over this world's connections."""
        self._world = world
        self._base_delay_s = base_delay_s

    def started(self, node: WorldNode) -> None:
        """Whoever starts knows nobody."""
        self.ended(node)
        self._seen[node] = set()

    def ended(self, node: WorldNode) -> None:
        """Whoever has ended knows nothing."""
        self._seen.pop(node, None)
        self._out.discard(node)
        self._extended.discard(node)

    def accepted(self, node: WorldNode, envelope: Envelope) -> None:
        """Said, if it is its own; else it has travelled."""
        self.accepted_count += 1
        now, signature = trio.current_time(), envelope.signature
        if envelope.message.author == node.key:
            self._note_said(node, envelope, now)
            return
        said_at = self._said.get(signature)
        # Who has only just joined hears by what it is told later, not by what is passed on at once.
        if said_at is None or node.started_at is None or said_at - node.started_at < SETTLED_S:
            return
        self.latencies_s.append(now - said_at)
        paths = self._paths.get(signature)
        if paths and (shortest_s := paths.get(node.peer_id, 0.0)) > 0:
            self.ratios.append((now - said_at) / shortest_s)

    def observed(self, node: WorldNode, fact: Fact) -> None:
        """Keep account of what each node believes."""
        self.facts[type(fact).__name__] += 1
        self._facts_since += 1
        self._ran_since.add(node)  # that it starts is itself a fact
        match fact:
            case ProviderDiscovered(provider_id=provider) | ProviderReturned(provider_id=provider):
                self._seen.setdefault(node, set()).add(provider)
            case ProviderLost(provider_id=provider):
                self._seen.setdefault(node, set()).discard(provider)
            case OutageStarted():
                self._out.add(node)
            case OutageExtended():
                self._out.add(node)
                self._extended.add(node)
            case OutageEnded():
                self._out.discard(node)
                self._extended.discard(node)
            case _:
                pass

    def sample(self, world: World[Network]) -> None:
        """Write down how things stand."""
        running = world.running()
        count = max(1, len(running))
        self.samples.append(
            Sample(
                trio.current_time(),
                len(running),
                sum(node.is_provider for node in running),
                sum(len(self._seen.get(node, ())) + node.is_provider for node in running) / count,
                sum(node in self._out for node in running) / count,
                sum(node in self._extended for node in running) / count,
                self._facts_since / max(1, len(self._ran_since)),
            )
        )
        self._facts_since, self._ran_since = 0, set(running)

    def _note_said(self, node: WorldNode, envelope: Envelope, now: float) -> None:
        self.said_count += 1
        self._said[envelope.signature] = now
        if len(self._said) > SAID_MAX:
            del self._said[next(iter(self._said))]
        if (
            self._world is not None
            and isinstance(envelope.message.payload, PriceUpdate)
            and now - self._paths_at >= PATHS_EVERY_S
        ):
            self._paths_at = now
            self._paths[envelope.signature] = shortest_paths(self._world, node, self._base_delay_s)


def shortest_paths(
    world: World[Network], source: WorldNode, base_delay_s: BaseDelay
) -> dict[str, float]:
    """Seconds from one node to every other over the connections of now (Dijkstra)."""
    meshes = {node.peer_id: node.mesh for node in world.running()}
    found: dict[str, float] = {}
    heap = [(0.0, source.peer_id)]
    while heap:
        at_s, here = heapq.heappop(heap)
        mesh = meshes.get(here)
        if here in found or mesh is None:
            continue
        found[here] = at_s
        for peer in mesh.peer_ids():
            if peer not in found:
                heapq.heappush(heap, (at_s + base_delay_s(here, peer), peer))
    return found


def quantile(values: "array[float]", share: float) -> float | None:
    """The value below which so large a share lies (nearest rank), or None without values."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
