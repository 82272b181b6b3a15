"""How far away a provider is: a distance vector, as neighbours tell theirs when they are asked."""

from collections.abc import Container, Mapping

HOPS_MAX = 15  # 16 is unknown: where a provider is gone, distances would count up for ever
NEIGHBOURS_MAX = 200  # the one that told first makes room
PROVIDERS_MAX = 1_000  # a neighbour; more are not read


class Hops:
    """What each neighbour last said of its distances. Times are seconds of the node's clock."""

    def __init__(self) -> None:
        # Of each: until when it is so, and what it said.
        self._told: dict[str, tuple[float, dict[str, int]]] = {}

    def learn(self, neighbour: str, distances: Mapping[str, int | None], until: float) -> None:
        """A neighbour's distances, which replace what it said before; None is unknown.

        After `until` they are so no longer.
        """
        near = {
            provider: hops
            for provider, hops in distances.items()
            if hops is not None and 0 <= hops < HOPS_MAX
        }
        self._told.pop(neighbour, None)
        self._told[neighbour] = until, dict(list(near.items())[:PROVIDERS_MAX])
        if len(self._told) > NEIGHBOURS_MAX:
            del self._told[next(iter(self._told))]

    def lose(self, neighbour: str) -> None:
        """The connection to a neighbour ended, and every way through it."""
        self._told.pop(neighbour, None)

    def to(
        self, provider: str, connected: Container[str], now: float, *, asker: str | None = None
    ) -> int | None:
        """The distance of a provider: 1 if it is connected, None if nobody knows a way.

        Ways through `asker` don't count: it must not be told its own distance as if it were ours,
        or two nodes would believe each other for ever.
        """
        if provider in connected:
            return 1
        ways = [
            1 + distances[provider]
            for neighbour, (until, distances) in self._told.items()
            if neighbour != asker and now < until and provider in distances
        ]
        return min(ways, default=None)
