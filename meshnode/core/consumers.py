"""Every node heard that does not provide, in compact records, and how often such a node speaks."""

import math
from collections import OrderedDict
from collections.abc import Iterator, KeysView
from heapq import heapify, heappop, heappush
from itertools import takewhile

from protocols.ids import peer_id

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
    """Who is present, by key. What does not say otherwise costs O(log n) at most, amortised."""

    def __init__(self) -> None:
        # When each was last heard, until when it is present, and when it was first heard; the one
        # heard last stands last.
        self._heard: OrderedDict[bytes, tuple[float, float, float]] = OrderedDict()
        # Both ways, once a consumer: an id in base58 costs more than all else that is done here.
        self._peers: dict[bytes, str] = {}
        self._keys: dict[str, bytes] = {}
        # One entry a consumer, maybe of an earlier message: what is popped is looked up.
        self._expiries: list[tuple[float, bytes]] = []
        # How many have spoken again after the moment that was asked about last.
        self._again_at, self._again = math.inf, 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._heard)

    def __contains__(self, key: bytes) -> bool:
        return key in self._heard

    def peers(self) -> KeysView[str]:
        """Who is present, by peer id."""
        return self._keys.keys()

    def heard(self, key: bytes, interval_s: float, now: float) -> None:
        """One said that it is there, and speaks again within `interval_s`."""
        until = now + CONSUMER_INTERVALS * min(interval_s, INTERVAL_MAX_S)
        known = self._heard.pop(key, None)
        first_at = now if known is None else known[2]
        self._heard[key] = (now, until, first_at)
        if first_at <= self._again_at < now and not (known and self._spoke_again(known)):
            self._again += 1
        if known is None:
            self._peers[key] = peer_id(key)
            self._keys[self._peers[key]] = key
        # A pace that quickened needs an entry of its own, or it would be noticed too late.
        if known is None or until < known[1]:
            heappush(self._expiries, (until, key))
        if len(self._heard) > CONSUMERS_MAX:
            self.gone(next(iter(self._heard)))
            self.dropped += 1
        if len(self._expiries) > 2 * len(self._heard) + 1:
            self._expiries = [(until, key) for key, (_, until, _) in self._heard.items()]
            heapify(self._expiries)

    def gone(self, key: bytes) -> None:
        """One left, or turned provider."""
        if (known := self._heard.pop(key, None)) is not None:
            self._again -= self._spoke_again(known)
            del self._keys[self._peers.pop(key)]

    @property
    def expires_at(self) -> float:
        """When the next word of one may be overdue; infinite where there is none."""
        return self._expiries[0][0] if self._expiries else math.inf

    def expire(self, now: float) -> None:
        """Forget those whose next word is overdue."""
        while self._expiries and self._expiries[0][0] <= now:
            _, key = heappop(self._expiries)
            known = self._heard.get(key)
            if known is None:
                continue
            if known[1] <= now:
                self.gone(key)
            else:
                heappush(self._expiries, (known[1], key))

    def heard_since(self, at: float) -> int:
        """How many have spoken after a moment; costs as much as it counts."""
        return sum(1 for _ in self._spoken_after(at))

    def known_at(self, at: float) -> int:
        """How many of those present had been heard by a moment; costs as much as there are."""
        return sum(first_at <= at for _, _, first_at in self._heard.values())

    def heard_again(self, at: float) -> int:
        """How many of those that had been heard by a moment have spoken after it.

        Costs as much as have spoken when the moment is another than last time: in an outage it is
        asked for every few seconds, always about the outage's beginning.
        """
        if at != self._again_at:
            self._again_at = at
            self._again = sum(first_at <= at for _, _, first_at in self._spoken_after(at))
        return self._again

    def _spoken_after(self, at: float) -> Iterator[tuple[float, float, float]]:
        return takewhile(lambda one: one[0] > at, reversed(self._heard.values()))

    def _spoke_again(self, one: tuple[float, float, float]) -> bool:
        heard_at, _, first_at = one
        return first_at <= self._again_at < heard_at
