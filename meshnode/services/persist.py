"""Persist: the outbox to the store, by group commit; what fails waits and is tried again."""

import math

import trio

from meshnode.core.backoff import Backoff, Rng
from meshnode.core.book import Book
from meshnode.core.facts import StoreFailed, StoreLeftBehind, StoreRecovered
from meshnode.core.links import LinkRecord
from meshnode.core.outbox import Outbox
from meshnode.errors import StoreUnavailable
from meshnode.ports import Observer, Store, TaskStatus, WallClock

# In a large network some consumer speaks every other second, and nothing but the mark of its word
# and its address is to be written: that waits for prices, or for so long. Who is killed meanwhile
# may take once more the word of one that was there just now.
PUT_ASIDE_S = 10.0
PRUNE_EVERY_S = 3_600.0
PRUNE_FIRST_AFTER_S = 60.0
# A disk that is full is writable again within ten seconds of there being room.
RETRY = Backoff(first_s=0.5, cap_s=5.0)


class Persist:
    """Commits what has gathered, `flush_interval_s` after the first of it that does not wait."""

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        book: Book,
        observer: Observer,
        wall_clock: WallClock,
        rng: Rng,
        *,
        flush_interval_s: float,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._filled = trio.Event()
        self._filled_at = trio.current_time()
        outbox.on_filled = self._note_filled
        if len(outbox):  # a start may find that something on disk has to go
            self._note_filled()
        self._book = book
        self._generation = store.generation
        self._observer = observer
        self._wall_clock = wall_clock
        self._rng = rng
        self._flush_interval_s = flush_interval_s
        self._failed_at: float | None = None
        self._attempt = 0
        self._look_at = trio.current_time() + PUT_ASIDE_S  # what is put aside waits till then
        self.link = LinkRecord("store", "sqlite")
        self.commits = 0

    @property
    def works(self) -> bool:
        """Whether the last commit succeeded."""
        return self._failed_at is None

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Commit for ever; the interval is what a kill may lose."""
        self.link.opened(self._wall_clock.now_ns())
        task_status.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._prune)
            while True:
                await self._filled.wait()
                self._filled = trio.Event()
                # What a commit takes is not added to the interval of what came meanwhile.
                await trio.sleep_until(self._filled_at + self._flush_interval_s)
                if not await self._flush():
                    await trio.sleep(RETRY.delay_s(self._attempt, self._rng))

    def look(self) -> float:
        """To be called at every beat: what was put aside does not wait for ever."""
        now = trio.current_time()
        if now >= self._look_at:
            self._look_at = now + PUT_ASIDE_S
            self._note_filled()
        return math.inf

    async def drain(self) -> None:
        """Commit what waits, once, and tell what is left, also when that takes too long."""
        try:
            await self._flush()
        finally:
            if left := len(self._outbox):
                self._observer.observe(StoreLeftBehind(self.link.name, left))

    def _note_filled(self) -> None:
        self._filled_at = trio.current_time()
        self._filled.set()

    async def _flush(self) -> bool:
        self._look_at = trio.current_time() + PUT_ASIDE_S
        batch = self._outbox.take()
        if not batch:
            return True
        if not self.works:
            self.link.dialling(self._wall_clock.now_ns())
        committed = False
        try:
            await self._store.commit(batch)
            committed = True
        except StoreUnavailable as error:
            self._failed(str(error), len(batch.latest) + len(batch.ticks))
            return False
        finally:
            # Also when cancelled: writing a batch twice is harmless, losing it is not.
            if not committed:
                self._outbox.give_back(batch)
        self._succeeded()
        return True

    def _failed(self, error: str, waiting: int) -> None:
        self._attempt += 1
        if self._failed_at is None:
            self._failed_at = trio.current_time()
        self.link.failed(error, self._wall_clock.now_ns())
        self._observer.observe(StoreFailed(self.link.name, error, waiting))

    def _succeeded(self) -> None:
        self.commits += 1
        if self._store.generation != self._generation:
            # The file was damaged and another begun: memory is what it is rebuilt from.
            self._generation = self._store.generation
            self._outbox.put_everything(self._book.everything(), self._book.proofs(None))
        self._attempt = 0
        self.link.opened(self._wall_clock.now_ns())
        if self._failed_at is not None:
            down_s = trio.current_time() - self._failed_at
            self._failed_at = None
            self._observer.observe(StoreRecovered(self.link.name, down_s))

    async def _prune(self) -> None:
        await trio.sleep(PRUNE_FIRST_AFTER_S)
        while True:
            try:
                await self._store.prune(self._wall_clock.now_ns())
            except StoreUnavailable as error:
                self._observer.observe(StoreFailed(self.link.name, f"pruning: {error}", 0))
            await trio.sleep(PRUNE_EVERY_S)
