"""Who ever provided, remembered in a line each: so that a return is told from a first visit."""

from collections import OrderedDict
from collections.abc import Iterable

from meshnode.core.records import KnownNode

NODES_MAX = 20_000  # the one silent longest makes room, those of an allowlist last
# Between two writes of a node that is heard all the time; a crash forgets so much of its life.
NOTED_EVERY_NS = 30 * 10**9


class Acquaintances:
    """Providers by their keys, and when each last gave a sign of life (Unix nanoseconds).

    `pinned` are never forgotten. `dropped` counts those that made room.
    """

    def __init__(self, pinned: Iterable[bytes] = (), nodes_max: int = NODES_MAX) -> None:
        self._pinned = frozenset(pinned)
        self._nodes_max = nodes_max
        self._last_seen_ns: OrderedDict[bytes, int] = OrderedDict()  # the last heard stands last
        self._noted_ns: dict[bytes, int] = {}
        self._changed: dict[bytes, None] = {}
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._last_seen_ns)

    def last_seen_ns(self, author: bytes) -> int | None:
        """When a provider was last heard, or None if it is not known."""
        return self._last_seen_ns.get(author)

    def restore(self, nodes: Iterable[KnownNode]) -> None:
        """Take up what an earlier run knew."""
        for author, last_seen_ns in sorted(nodes, key=lambda node: node.last_seen_ns):
            self.heard(author, last_seen_ns)
            if author in self._last_seen_ns:
                self._changed.pop(author, None)

    def heard(self, author: bytes, said_ns: int) -> None:
        """A provider gave a sign of life."""
        last_ns = max(said_ns, self._last_seen_ns.get(author, 0))
        self._last_seen_ns[author] = last_ns
        self._last_seen_ns.move_to_end(author)
        if author not in self._noted_ns or last_ns - self._noted_ns[author] >= NOTED_EVERY_NS:
            self._noted_ns[author] = last_ns
            self._changed[author] = None
        if len(self._last_seen_ns) > self._nodes_max:
            self._forget_one()

    def newest(self, count: int) -> list[KnownNode]:
        """The last heard, the newest first."""
        found = sorted(self._last_seen_ns.items(), key=lambda item: (-item[1], item[0]))
        return [KnownNode(author, last_ns) for author, last_ns in found[:count]]

    @property
    def changes(self) -> int:
        """How many wait to be taken."""
        return len(self._changed)

    def take_changes(self) -> tuple[list[KnownNode], list[bytes]]:
        """What is to be written since the last call, and who is gone."""
        kept, gone = [], []
        for author in self._changed:
            last_ns = self._last_seen_ns.get(author)
            if last_ns is None:
                gone.append(author)
            else:
                kept.append(KnownNode(author, last_ns))
        self._changed.clear()
        return kept, gone

    def change_everything(self) -> None:
        """All is to be written: the store lost it, or we leave and want the last word of each."""
        self._changed.update(dict.fromkeys(self._last_seen_ns))

    def _forget_one(self) -> None:
        # Pinned ones go to the end, to the newest: they are as many as the operator named.
        for _ in range(len(self._pinned) + 1):
            author = next(iter(self._last_seen_ns))
            if author not in self._pinned:
                break
            self._last_seen_ns.move_to_end(author)
        del self._last_seen_ns[author]
        self._noted_ns.pop(author, None)
        self._changed[author] = None
        self.dropped += 1
