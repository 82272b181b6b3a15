"""The store on disk: SQLite in WAL mode, every commit on the platter before it is acknowledged."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar, TypeVarTuple

import trio

from meshnode.adapters.storage.database import STORE_NAME, Database
from meshnode.adapters.storage.portal import Portal, PortalBusy, PortalClosed
from meshnode.adapters.storage.retention import HISTORY_BYTES_MAX, HISTORY_KEPT_NS, HISTORY_ROWS_MAX
from meshnode.core.facts import StoreFailed
from meshnode.errors import StoreUnavailable
from meshnode.ports import Batch, Observer, Restored, StoredQuote

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

OPEN_TIMEOUT_S: Final = 60.0  # a migration, or a whole file written anew
CLOSE_TIMEOUT_S: Final = 2.0  # of what a shutdown may take; the log is read at the next start
LOAD_TIMEOUT_S: Final = 30.0
COMMIT_TIMEOUT_S: Final = 5.0
EPOCH_TIMEOUT_S: Final = 5.0
HISTORY_TIMEOUT_S: Final = 5.0
PRUNE_STEP_TIMEOUT_S: Final = 5.0
PRUNE_CHUNK_ROWS: Final = 2_000
FILE_CHECK_INTERVAL_S: Final = 2.0

_REMEDIES: Final = {
    sqlite3.SQLITE_FULL: "free some space on the disk",
    sqlite3.SQLITE_BUSY: "another process holds the file: end it",
    sqlite3.SQLITE_LOCKED: "another process holds the file: end it",
    sqlite3.SQLITE_READONLY: "make the file and its directory writable",
    sqlite3.SQLITE_PERM: "make the file and its directory writable",
    sqlite3.SQLITE_CANTOPEN: "check that the directory exists and can be written to",
    sqlite3.SQLITE_IOERR: "check the disk, and that it is mounted",
    sqlite3.SQLITE_CORRUPT: "nothing to do: the file is put aside and a new one begun",
    sqlite3.SQLITE_NOTADB: "nothing to do: the file is put aside and a new one begun",
}


class SqliteStore:
    """A Store in one SQLite file. Made by `open_sqlite_store`."""

    def __init__(
        self,
        database: Database,
        portal: Portal,
        observer: Observer,
        history_bytes_max: int,
        history_kept_ns: int,
    ) -> None:
        self._database = database
        self._portal = portal
        self._observer = observer
        self._history_bytes_max = history_bytes_max
        self._history_kept_ns = history_kept_ns
        self._generation = 0

    @property
    def generation(self) -> int:
        """Grows whenever a damaged file was put aside and a new one begun."""
        return self._generation

    async def load(self) -> Restored:
        """Everything that was committed. A file that turns out damaged is put aside: nothing.

        Raises StoreUnavailable.
        """
        try:
            return await self._call(self._database.load, timeout_s=LOAD_TIMEOUT_S)
        except StoreUnavailable:
            if self._database.fault is None:
                raise
            return await self._call(self._database.load, timeout_s=LOAD_TIMEOUT_S)

    async def begin_epoch(self, now_s: int) -> int:
        """Our own next epoch, committed. Raises StoreUnavailable."""
        return await self._call(self._database.begin_epoch, now_s, timeout_s=EPOCH_TIMEOUT_S)

    async def commit(self, batch: Batch) -> None:
        """Write a batch in one transaction; repeating one is harmless.

        Raises StoreUnavailable: nothing was written, or, after a time-out, perhaps later all.
        """
        if batch:
            await self._call(self._database.commit, batch, timeout_s=COMMIT_TIMEOUT_S)

    async def history(self, asset: str, limit: int) -> Sequence[StoredQuote]:
        """The newest ticks of an asset, newest received first, at most HISTORY_ROWS_MAX.

        Raises StoreUnavailable.
        """
        rows_max = min(limit, HISTORY_ROWS_MAX)
        return await self._call(
            self._database.history, asset, rows_max, timeout_s=HISTORY_TIMEOUT_S
        )

    async def prune(self, now_ns: int) -> int:
        """Delete ticks older than they are kept, and the oldest beyond the size allowed.

        Returns how many went. In small transactions, between which others get their turn. Raises
        StoreUnavailable.
        """
        gone = await self._delete_until(now_ns - self._history_kept_ns)
        while (until_ns := await self._oversize_until_ns()) is not None:
            gone += await self._delete_until(until_ns)
        while gone and await self._call(self._database.vacuum, timeout_s=PRUNE_STEP_TIMEOUT_S):
            pass
        return gone

    async def _delete_until(self, until_ns: int) -> int:
        gone = 0
        while True:
            step = await self._call(
                self._database.delete_ticks,
                until_ns,
                PRUNE_CHUNK_ROWS,
                timeout_s=PRUNE_STEP_TIMEOUT_S,
            )
            gone += step
            if step < PRUNE_CHUNK_ROWS:
                return gone

    async def _oversize_until_ns(self) -> int | None:
        size = await self._call(self._database.history_bytes, timeout_s=PRUNE_STEP_TIMEOUT_S)
        if size <= self._history_bytes_max:
            return None
        span = await self._call(self._database.history_span, timeout_s=PRUNE_STEP_TIMEOUT_S)
        if span is None:
            return None
        oldest_ns, newest_ns = span
        # As if ticks came evenly; where they did not, the next round corrects it.
        return oldest_ns + (newest_ns - oldest_ns) * (size - self._history_bytes_max) // size

    async def _open(self) -> None:
        if self._database.fault is not None:
            await self._translated(self._database.repair, timeout_s=OPEN_TIMEOUT_S)

    async def _close(self) -> None:
        await self._translated(self._database.close, timeout_s=CLOSE_TIMEOUT_S)

    async def _call(self, fn: Callable[[*Ts], Awaitable[T]], *args: *Ts, timeout_s: float) -> T:
        await self._open()
        return await self._translated(fn, *args, timeout_s=timeout_s)

    async def _translated(
        self, fn: Callable[[*Ts], Awaitable[T]], *args: *Ts, timeout_s: float
    ) -> T:
        try:
            return await self._portal.call(fn, *args, timeout_s=timeout_s)
        except sqlite3.Error as error:
            raise StoreUnavailable(_described(error)) from error
        except OSError as error:  # TimeoutError is one
            raise StoreUnavailable(_described_os(error, timeout_s)) from error
        except (PortalClosed, PortalBusy) as error:
            raise StoreUnavailable(f"{STORE_NAME}: {error}") from error
        finally:
            # Facts come from the portal's thread; observers live in this one.
            self._generation += len(self._database.facts)
            while self._database.facts:
                self._observer.observe(self._database.facts.popleft())


@asynccontextmanager
async def open_sqlite_store(
    path: Path,
    *,
    portal: Portal,
    observer: Observer,
    history_bytes_max: int = HISTORY_BYTES_MAX,
    history_kept_ns: int = HISTORY_KEPT_NS,
    file_check_interval_s: float = FILE_CHECK_INTERVAL_S,
) -> AsyncIterator[SqliteStore]:
    """The store in the file at `path`, created, migrated or put aside as need be.

    What is put aside is told to `observer` as StoreSetAside. Raises StoreUnavailable where no
    file can be opened, and ConfigError for one of a newer version, which is left as it is.
    """
    database = Database(path, file_check_interval_s=file_check_interval_s)
    store = SqliteStore(database, portal, observer, history_bytes_max, history_kept_ns)
    try:
        await store._open()
        yield store
    finally:
        with trio.CancelScope(shield=True):
            try:
                await store._close()
            except StoreUnavailable as error:
                # Whatever was acknowledged is on disk already, in the log if not in the file.
                observer.observe(StoreFailed(STORE_NAME, str(error), waiting=0))


def _described(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    remedy = _REMEDIES.get(code)
    return f"{STORE_NAME}: {error}" + (f": {remedy}" if remedy else "")


def _described_os(error: OSError, timeout_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"{STORE_NAME}: no answer within {timeout_s:g} s: check the load of the disk"
    return f"{STORE_NAME}: {error}: check the directory of the database"
