"""Lan search: nodes on the local network go into the address book, if the operator wants that."""

import trio

from meshnode.core.address_book import AddressBook, Origin
from meshnode.core.facts import LanSearchFailed
from meshnode.errors import LanUnavailable
from meshnode.ports import Mesh, Observer, OpenLan, TaskStatus

RETRY_AFTER_S = 60.0  # a network that is missing may come


class LanSearch:
    """Announces us and takes whom it finds, under the rules of every address."""

    def __init__(
        self,
        open_lan: OpenLan,
        mesh: Mesh,
        addresses: AddressBook,
        observer: Observer,
        *,
        is_wanted: bool,
    ) -> None:
        self._open_lan = open_lan
        self._mesh = mesh
        self._addresses = addresses
        self._observer = observer
        self._is_wanted = is_wanted

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look for ever; a node that cannot is told, and works without."""
        task_status.started()
        while self._is_wanted:
            try:
                async with self._open_lan(self._mesh.peer_id, self._mesh.addrs()) as lan:
                    while True:
                        found = await lan.next_found()
                        self._addresses.told(found.peer_id, found.addrs, Origin.LAN)
            except LanUnavailable as error:
                self._observer.observe(LanSearchFailed(str(error), RETRY_AFTER_S))
            await trio.sleep(RETRY_AFTER_S)
