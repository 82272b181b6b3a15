"""How long bytes take around the world: eight regions in which nodes stand.

Round-trip times in milliseconds between large cloud regions, rounded from the figures that cloud
providers publish for their own backbones (monthly medians): Virginia, Oregon, Sao Paulo, London,
Frankfurt, Mumbai, Singapore, Tokyo. Within a region: between two sites of one town.
"""

import random
from collections.abc import Mapping
from types import MappingProxyType

REGIONS = ("us-east", "us-west", "brazil", "uk", "germany", "india", "singapore", "japan")
WITHIN_RTT_MS = 2
_RTT_MS = (
    (65,),
    (115, 175),
    (75, 135, 185),
    (90, 150, 205, 15),
    (190, 225, 305, 115, 120),
    (220, 165, 325, 170, 160, 60),
    (155, 100, 260, 215, 225, 125, 70),
)
JITTER_PART = 0.1  # of a link's delay, drawn anew for every message

RTT_MS: Mapping[tuple[str, str], int] = MappingProxyType(
    {
        pair: rtt_ms
        for row, rtts in enumerate(_RTT_MS, 1)
        for column, rtt_ms in enumerate(rtts)
        for pair in ((REGIONS[row], REGIONS[column]), (REGIONS[column], REGIONS[row]))
    }
)

# Half of it, without jitter: asked for at every message.
_BASE_DELAY_S: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        here: {there: RTT_MS.get((here, there), WITHIN_RTT_MS) / 2000 for there in REGIONS}
        for here in REGIONS
    }
)


class WorldMap:
    """Where each node stands, by its peer id, and what that makes of the links' delays.

    A node is placed by chance when it is first asked about; `seed` decides.
    """

    def __init__(self, seed: int) -> None:
        self._placing = random.Random(f"regions {seed}")
        self._jitter = random.Random(f"jitter {seed}")
        self._regions: dict[str, str] = {}

    def region_of(self, node: str) -> str:
        """Where a node stands."""
        region = self._regions.get(node)
        if region is None:
            region = self._regions[node] = self._placing.choice(REGIONS)
        return region

    def base_delay_s(self, sender: str, receiver: str) -> float:
        """Half the round trip, without jitter."""
        regions = self._regions
        here = regions.get(sender) or self.region_of(sender)
        there = regions.get(receiver) or self.region_of(receiver)
        return _BASE_DELAY_S[here][there]

    def delay_s(self, sender: str, receiver: str) -> float:
        """How long what is sent now takes one way."""
        regions = self._regions
        try:
            base_s = _BASE_DELAY_S[regions[sender]][regions[receiver]]
        except KeyError:  # asked about for the first time
            base_s = self.base_delay_s(sender, receiver)
        return base_s * (1 + JITTER_PART * self._jitter.random())
