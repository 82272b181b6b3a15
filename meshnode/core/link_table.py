"""The records of our connections to peers, as many as fit."""

from meshnode.core.links import LinkRecord, LinkState

LINKS_MAX = 200  # the one that changed longest ago makes room, one that is connected last


class LinkTable:
    """A record for each peer that we met or tried to meet. `dropped` counts those that went."""

    def __init__(self) -> None:
        self._links: dict[str, LinkRecord] = {}
        self.dropped = 0

    def of(self, peer: str) -> LinkRecord:
        """A peer's record, a new one if need be; what is about to change stands last."""
        link = self._links.pop(peer, None) or LinkRecord("peer", peer)
        self._links[peer] = link
        if len(self._links) > LINKS_MAX:
            del self._links[self._one_to_drop(peer)]
            self.dropped += 1
        return link

    def all(self) -> tuple[LinkRecord, ...]:
        """Every record, the one that changed last last."""
        return tuple(self._links.values())

    def _one_to_drop(self, newest: str) -> str:
        for peer, link in self._links.items():
            if link.state is not LinkState.CONNECTED and peer != newest:
                return peer
        return next(iter(self._links))
