"""Every node heard that does not provide, in compact records, and how often such a node speaks."""

from collections import OrderedDict
from collections.abc import Iterator, KeysView
from heapq import heapify, heappop, heappush

CONSUMERS_MAX = 20_000  # the one heard longest ago makes room, and is counted
# A consumer is present for so many of its own announced intervals.
CONSUMER_INTERVALS = 2.5
# Consumers share a budget of one message in two seconds for the whole network, so that a node's
# work does not grow with the number of nodes.
CONSUMER_INTERVAL_MIN_S = 60.0
CONSUMER_INTERVAL_PER_NODE_S = 2.0
INTERVAL_MAX_S = 24 * 3600.0


def consumer_interval_s(known: int) -> float:
    """How often a consumer speaks where so many nodes are known."""
    return max(CONSUMER_INTERVAL_MIN_S, known * CONSUMER_INTERVAL_PER_NODE_S)


class Consumers:
    """Who is present, by key. Everything costs O(log n) at most, amortised."""

    def __init__(self) -> None:
        # When each was last heard and until when it is present; the one heard last stands last.
        self._heard: OrderedDict[bytes, tuple[float, float]] = OrderedDict()
        # One entry a consumer, maybe of an earlier message: what is popped is looked up.
        self._expiries: list[tuple[float, bytes]] = []
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._heard)

    def __contains__(self, key: bytes) -> bool:
        return key in self._heard

    def keys(self) -> KeysView[bytes]:
        """Who is present."""
        return self._heard.keys()

    def heard(self, key: bytes, interval_s: float, now: float) -> None:
        """One said that it is there, and speaks again within `interval_s`."""
        until = now + CONSUMER_INTERVALS * min(interval_s, INTERVAL_MAX_S)
        known = self._heard.pop(key, None)
        self._heard[key] = (now, until)
        # A pace that quickened needs an entry of its own, or it would be noticed too late.
        if known is None or until < known[1]:
            heappush(self._expiries, (until, key))
        if len(self._heard) > CONSUMERS_MAX:
            self._heard.popitem(last=False)
            self.dropped += 1
        if len(self._expiries) > 2 * len(self._heard) + 1:
            self._expiries = [(until, key) for key, (_, until) in self._heard.items()]
            heapify(self._expiries)

    def gone(self, key: bytes) -> None:
        """One left, or turned provider."""
        self._heard.pop(key, None)

    def expire(self, now: float) -> None:
        """Forget those whose next word is overdue."""
        while self._expiries and self._expiries[0][0] <= now:
            _, key = heappop(self._expiries)
            known = self._heard.get(key)
            if known is None:
                continue
            if known[1] <= now:
                del self._heard[key]
            else:
                heappush(self._expiries, (known[1], key))

    def heard_since(self, at: float) -> int:
        """How many have spoken after a moment; costs as much as it counts."""
        return sum(1 for _ in self._newest_first(at))

    def _newest_first(self, at: float) -> Iterator[bytes]:
        for key, (heard_at, _) in reversed(self._heard.items()):
            if heard_at <= at:
                return
            yield key
