"""Who is kept out, and until when; pure, times are seconds of trio's clock."""

from collections import OrderedDict
from dataclasses import dataclass

BAN_S = 60.0
BAN_MAX_S = 600.0
BANS_MAX = 1000  # the oldest is forgotten: identities cost nothing, and memory does
GOOD_AGAIN_S = 3600.0  # after so long without a new one, a ban begins at BAN_S again


@dataclass(slots=True)
class _Ban:
    length_s: float
    until: float


class BanList:
    """Peers that misbehaved: 60 s the first time, twice as long each next time, to 10 minutes."""

    def __init__(self, bans_max: int = BANS_MAX) -> None:
        self._bans_max = bans_max
        self._bans: OrderedDict[str, _Ban] = OrderedDict()

    def ban(self, peer_id: str, now: float) -> float:
        """Keep a peer out; returns for how many seconds. One that is kept out already stays so."""
        ban = self._bans.pop(peer_id, None)
        if ban is None or now - ban.until > GOOD_AGAIN_S:
            ban = _Ban(BAN_S, now + BAN_S)
        elif ban.until <= now:
            length_s = min(2 * ban.length_s, BAN_MAX_S)
            ban = _Ban(length_s, now + length_s)
        self._bans[peer_id] = ban
        if len(self._bans) > self._bans_max:
            self._bans.popitem(last=False)
        return ban.until - now

    def remaining_s(self, peer_id: str, now: float) -> float:
        """For how many seconds a peer is still kept out; 0 where it is not."""
        ban = self._bans.get(peer_id)
        return 0.0 if ban is None else max(0.0, ban.until - now)
