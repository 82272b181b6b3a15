"""Discovery: dials nodes that were heard of while we have fewer connections than we want."""

import math
from collections.abc import Callable
from collections.abc import Set as AbstractSet

import trio

from meshnode.core.address_book import (
    RETRY_WHILE_BLIND_S,
    RETRY_WHILE_FEW_S,
    Address,
    AddressBook,
    retry_while_missing_s,
)
from meshnode.errors import PeerUnreachable
from meshnode.ports import TaskStatus
from meshnode.services.beat import BEAT_S
from meshnode.services.dialling import Dialler

DIAL_EVERY_S = BEAT_S  # one dial a second in all, whatever is claimed about whomever
SEARCH_PLACES = 2  # beyond those we aim at, for nodes that we do not hear while we miss a provider
DIALS_MAX = 6  # under way at a time: who does not answer holds one for five seconds


class Discovery:
    """Chooses from the address book.

    `connected` gives the ids of the peers connected now, `company` how many of them are nodes:
    who only asks us for something is none. `heard` gives the ids of the nodes that we hear,
    or None while we miss no provider; `blind` tells that none is there.
    """

    def __init__(
        self,
        dialler: Dialler,
        addresses: AddressBook,
        connected: Callable[[], AbstractSet[str]],
        company: Callable[[], int],
        heard: Callable[[], AbstractSet[str] | None],
        blind: Callable[[], bool],
        *,
        peers_min: int,
        peers_aim: int,
    ) -> None:
        self._dialler = dialler
        self._addresses = addresses
        self._connected = connected
        self._company = company
        self._heard = heard
        self._blind = blind
        self._peers_min = peers_min
        self._peers_aim = peers_aim
        self._under_way: set[str] = set()
        self._dialling: trio.Nursery | None = None

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Dial whom `look` chooses, for ever."""
        async with trio.open_nursery() as nursery:
            self._dialling = nursery
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self._dialling = None  # whoever looks now dials nobody any more

    def look(self) -> float:
        """To be called at most every DIAL_EVERY_S: dial one node, if there is need and one is due.

        Returns now while there is need: who is to be dialled may be heard of at any moment.
        """
        if self._dialling is None:
            return math.inf
        company = self._company()
        address = self._next(company)
        if address is not None:
            self._under_way.add(address.peer_id)
            self._dialling.start_soon(self._dial, address)
        in_need = address is not None or company < self._peers_aim
        return trio.current_time() if in_need else math.inf

    def _next(self, company: int) -> Address | None:
        if len(self._under_way) >= DIALS_MAX:
            return None
        open_places = self._peers_aim - company - len(self._under_way)
        if open_places > -SEARCH_PLACES and (heard := self._heard()) is not None:
            # Both sides of a split may have all the company that they want: somebody has to look
            # for those who are not here.
            wait_s = retry_while_missing_s(len(heard))
            missed = self._choose(company, heard, proven_wait_max_s=wait_s)
            if missed is not None:
                return missed
        return self._choose(company, frozenset()) if open_places > 0 else None

    def _choose(
        self, company: int, besides: AbstractSet[str], *, proven_wait_max_s: float = math.inf
    ) -> Address | None:
        """None of these, nor who is connected or being dialled."""
        wait_max_s = RETRY_WHILE_BLIND_S if self._blind() else math.inf
        if company < self._peers_min:
            wait_max_s = RETRY_WHILE_FEW_S
        others = self._connected() | self._under_way | besides
        return self._addresses.choose(
            others,
            trio.current_time(),
            wait_max_s=wait_max_s,
            proven_wait_max_s=proven_wait_max_s,
        )

    async def _dial(self, address: Address) -> None:
        try:
            await self._dialler.dial(address)
        except PeerUnreachable:
            pass  # the address book has taken note
        finally:
            self._under_way.discard(address.peer_id)
