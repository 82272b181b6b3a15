"""Which gossip messages were seen lately."""

import trio

from meshnode.adapters.libp2p.settings import SEEN_MAX, SEEN_TTL_S


class SeenCache:
    """Message ids of the last two minutes, by trio's clock; beyond its bound the oldest go.

    It takes the place of the library's cache, whose sweeper is a thread that reads the wall clock
    and outlives its host.
    """

    def __init__(self, *, ids_max: int = SEEN_MAX, ttl_s: float = SEEN_TTL_S) -> None:
        self._ids_max = ids_max
        self._ttl_s = ttl_s
        # Insertion order is order of expiry. Who sent it first is kept to tell a copy from another
        # peer, which is how a mesh works, from the same one said twice.
        self._expiry: dict[bytes, tuple[float, object]] = {}

    def __len__(self) -> int:
        return len(self._expiry)

    def has(self, message_id: bytes) -> bool:
        """Whether an id was added less than the time to live ago."""
        expiry = self._expiry.get(message_id)
        return expiry is not None and trio.current_time() < expiry[0]

    def sender(self, message_id: bytes) -> object:
        """What `add` was given as the sender of an id."""
        return self._expiry[message_id][1]

    def add(self, message_id: bytes, sender: object = None) -> bool:
        """Note an id; False where it was there already."""
        if self.has(message_id):
            return False
        now = trio.current_time()
        self._expiry.pop(message_id, None)
        self._expiry[message_id] = now + self._ttl_s, sender
        while len(self._expiry) > self._ids_max or next(iter(self._expiry.values()))[0] <= now:
            del self._expiry[next(iter(self._expiry))]
        return True
