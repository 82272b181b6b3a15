"""Discovery: dials nodes that were heard of while we have fewer connections than we want."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet

import trio

from meshnode.core.address_book import Address, AddressBook
from meshnode.core.backoff import Rng
from meshnode.errors import PeerUnreachable
from meshnode.ports import TaskStatus
from meshnode.services.dialling import Dialler

DIAL_EVERY_S = 1.0  # one dial a second in all, whatever is claimed about whomever
DIALS_MAX = 6  # under way at a time: who does not answer holds one for five seconds


class Discovery:
    """Chooses from the address book; `nodes` gives the peer ids of the nodes connected now."""

    def __init__(
        self,
        dialler: Dialler,
        addresses: AddressBook,
        nodes: Callable[[], AbstractSet[str]],
        rng: Rng,
        *,
        peers_min: int,
        peers_aim: int,
    ) -> None:
        self._dialler = dialler
        self._addresses = addresses
        self._nodes = nodes
        self._rng = rng
        self._peers_min = peers_min
        self._peers_aim = peers_aim
        self._under_way: set[str] = set()

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Dial, at most once a second, for ever."""
        async with trio.open_nursery() as nursery:
            task_status.started()
            # Nodes that start together, and hear each other at once, don't dial in step.
            await trio.sleep(DIAL_EVERY_S * self._rng.random())
            while True:
                address = self._next()
                if address is not None:
                    self._under_way.add(address.peer_id)
                    nursery.start_soon(self._dial, address)
                await trio.sleep(DIAL_EVERY_S)

    def _next(self) -> Address | None:
        if len(self._under_way) >= DIALS_MAX:
            return None
        connected = self._nodes()
        if len(connected) + len(self._under_way) >= self._peers_aim:
            return None
        few = len(connected) < self._peers_min
        return self._addresses.choose(
            connected | self._under_way, trio.current_time(), self._rng, few=few
        )

    async def _dial(self, address: Address) -> None:
        try:
            await self._dialler.dial(address)
        except PeerUnreachable:
            pass  # the address book has taken note
        finally:
            self._under_way.discard(address.peer_id)
