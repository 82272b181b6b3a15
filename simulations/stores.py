"""A store in memory that is slow, full, gone or back empty on command."""

from collections.abc import Callable, Collection

import trio

from meshnode.adapters.storage.memory import MemoryStore
from meshnode.errors import StoreUnavailable
from meshnode.ports import Batch, Restored, StoredQuote
from protocols.ids import Topic


class FaultyStore(MemoryStore):
    """What a node of a world keeps over a crash. `committed` is told of each batch written.

    `takes_s` is how long a commit takes; `trouble`, where it is set, is what everything fails with.
    """

    def __init__(self, committed: Callable[[Batch], None] = lambda _batch: None) -> None:
        super().__init__()
        self.takes_s = 0.0
        self.trouble: str | None = None
        self._committed = committed

    def fill_up(self) -> None:
        """No room: commits fail until `recover`."""
        self.trouble = "disk full"

    def vanish(self) -> None:
        """Gone: everything fails until `recover`."""
        self.trouble = "no such device"

    def recover(self) -> None:
        """Work again, and at once."""
        self.trouble, self.takes_s = None, 0.0

    def come_back_empty(self) -> None:
        """Work again, but as a new file: marks and our epoch are carried over, prices are not."""
        self.recover()
        self._latest.clear()
        self._envelopes.clear()
        self._ticks.clear()
        self.generation += 1

    def latest(self) -> Collection[StoredQuote]:
        """Every price that is written down."""
        return self._latest.values()

    def mark_of(self, author: bytes, topic: Topic) -> tuple[int, int]:
        """The (epoch, seq) up to which an author's messages count as seen; (0, 0) without any."""
        mark = self._marks.get((author, topic))
        return (mark.epoch, mark.seq) if mark else (0, 0)

    async def load(self) -> Restored:
        """See `Store.load`."""
        self._check()
        return await super().load()

    async def begin_epoch(self, now_s: int) -> int:
        """See `Store.begin_epoch`."""
        self._check()
        return await super().begin_epoch(now_s)

    async def commit(self, batch: Batch) -> None:
        """See `Store.commit`."""
        if self.takes_s:
            await trio.sleep(self.takes_s)
        self._check()
        await super().commit(batch)
        self._committed(batch)

    def _check(self) -> None:
        if self.trouble is not None:
            raise StoreUnavailable(self.trouble)
