"""Dialling: one attempt at a time and place, and everybody told what came of it."""

import trio

from meshnode.core.address_book import Address, AddressBook
from meshnode.core.link_table import LinkTable
from meshnode.errors import PeerUnreachable
from meshnode.ports import Mesh, WallClock

# Who names an address must not make us flood it, under however many peer ids.
PLACE_PAUSE_S = 1.0


class Dialler:
    """Dials for the loops that decide whom."""

    def __init__(
        self,
        mesh: Mesh,
        links: LinkTable,
        addresses: AddressBook,
        wall_clock: WallClock,
    ) -> None:
        self._mesh = mesh
        self._links = links
        self._addresses = addresses
        self._wall_clock = wall_clock
        self._free_at: dict[str, float] = {}  # when a place may be dialled again, if not at once

    async def dial(self, address: Address) -> None:
        """Connect to a peer at an address. Raises PeerUnreachable, and DialRefused."""
        link = self._links.of(address.peer_id)
        await self._take_turn(address.place)
        link.dialling(self._wall_clock.now_ns())
        try:
            await self._mesh.connect(str(address))
        except PeerUnreachable as error:
            link.failed(str(error), self._wall_clock.now_ns())
            self._addresses.failed(address, trio.current_time(), alone=not self._mesh.peer_ids())
            raise
        self._addresses.worked(address, self._wall_clock.now_ns())

    async def _take_turn(self, place: str) -> None:
        now = trio.current_time()
        self._free_at = {other: at for other, at in self._free_at.items() if at > now}
        turn_at = self._free_at.get(place, now)
        self._free_at[place] = turn_at + PLACE_PAUSE_S
        await trio.sleep_until(turn_at)
