"""The asyncio side of the SQLite store: one connection, one transaction at a time.

Runs on the portal's loop and raises what SQLite raises; sqlite.py translates.
"""

import asyncio
import os
import sqlite3
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from pathlib import Path
from typing import Final

import aiosqlite

from meshnode.adapters.storage import tables
from meshnode.adapters.storage.files import FileIdentity, identity_of, move_aside
from meshnode.adapters.storage.opening import connect, is_damage
from meshnode.adapters.storage.tables import Known
from meshnode.core.facts import StoreSetAside
from meshnode.ports import Batch, Restored, StoredQuote

STORE_NAME: Final = "sqlite"
ROLLBACK_WAIT_S: Final = 1.0
SET_ASIDE_FACTS_MAX: Final = 16  # the oldest go first: their files are there to see
VACUUM_PAGES: Final = 2_000


class Fault(Enum):
    """Why the file must be seen to before it is used again, and what happens then."""

    DAMAGED = "the file is damaged; it is put aside and a new one begun"
    LOST = "the file was removed or replaced under us; it is written anew"
    UNOPENED = "the file is not open yet"
    CLOSED = "the store is closed"


class Database:
    """One SQLite file.

    `fault` is None while the file can be used; else `repair` comes first. `facts` are to be
    reported by whoever may.
    """

    def __init__(self, path: Path, *, file_check_interval_s: float) -> None:
        self.fault: Fault | None = Fault.UNOPENED
        self.facts: deque[StoreSetAside] = deque(maxlen=SET_ASIDE_FACTS_MAX)
        self._damage = ""
        self._path = path
        self._file_check_interval_s = file_check_interval_s
        self._file_checked_s = 0.0
        self._files: FileIdentity = ()
        self._lock = asyncio.Lock()
        self._connection: aiosqlite.Connection | None = None
        self._known = Known()

    # --- life -------------------------------------------------------------------------------

    async def repair(self) -> None:
        """Make the file usable: open it, write it anew, or put it aside and begin another.

        Marks and our own epoch outlive a file that is put aside.
        """
        async with self._lock:
            if self.fault is Fault.LOST:
                await self._rescue()
            elif self.fault is Fault.DAMAGED:
                self._put_aside(self._damage)
                self.fault = Fault.UNOPENED
            if self.fault is Fault.UNOPENED:
                try:
                    await self._begin()
                except sqlite3.DatabaseError as error:
                    if not is_damage(error):
                        raise
                    self._put_aside(str(error))
                    await self._begin()

    async def close(self) -> None:
        """Close the file; SQLite then folds its log into it."""
        async with self._lock:
            self.fault = Fault.CLOSED
            await self._disconnect()

    # --- work -------------------------------------------------------------------------------

    async def load(self) -> Restored:
        """Everything that was committed, damaged rows left out and counted."""
        async with self._session() as connection:
            return await tables.load(connection, self._known)

    async def begin_epoch(self, now_s: int) -> int:
        """Our own next epoch, committed."""
        async with self._transaction() as connection:
            last = max(await tables.read_epoch(connection), self._known.own_epoch)
            epoch = max(last + 1, now_s)
            await tables.write_epoch(connection, epoch)
        self._known.own_epoch = epoch
        return epoch

    async def commit(self, batch: Batch) -> None:
        """Write a batch, all or nothing."""
        async with self._transaction() as connection:
            await tables.write(connection, batch, self._known)
        self._known.marks |= self._known.raised(batch.marks)

    async def history(self, asset: str, limit: int) -> list[StoredQuote]:
        """The newest ticks of an asset, newest received first."""
        async with self._session() as connection:
            return await tables.history(connection, self._known, asset, limit)

    async def history_bytes(self) -> int:
        """About how much room the history takes."""
        async with self._session() as connection:
            return await tables.history_bytes(connection)

    async def history_span(self) -> tuple[int, int] | None:
        """When the oldest and the newest tick were received, or None without any."""
        async with self._session() as connection:
            return await tables.history_span(connection)

    async def delete_ticks(self, until_ns: int, rows_max: int) -> int:
        """Delete ticks received up to `until_ns`, at most `rows_max`; returns how many went."""
        async with self._transaction() as connection:
            return await tables.delete_ticks(connection, until_ns, rows_max)

    async def vacuum(self) -> bool:
        """Give some free pages back to the file system; returns whether there are more."""
        async with self._session() as connection:
            # Through `execute` this pragma would free a single page.
            await connection.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
            ((free_pages,),) = await connection.execute_fetchall("PRAGMA freelist_count")
            return bool(free_pages)

    # --- inside -----------------------------------------------------------------------------

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[aiosqlite.Connection]:
        async with self._lock:
            if self.fault or self._connection is None:
                raise sqlite3.OperationalError((self.fault or Fault.UNOPENED).value)
            try:
                if not self._known.names_valid:
                    await tables.learn(self._connection, self._known)
                yield self._connection
            except sqlite3.DatabaseError as error:
                self._suspect(error)
                raise

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        async with self._session() as connection:
            self._check_files()
            async with self._atomically(connection):
                yield connection

    @asynccontextmanager
    async def _atomically(self, connection: aiosqlite.Connection) -> AsyncIterator[None]:
        try:
            await connection.execute("BEGIN IMMEDIATE")
            yield
            await connection.execute("COMMIT")
        except BaseException:
            # New ids may not have been stored; or, after a time-out, they may.
            self._known.names_valid = False
            await _roll_back(connection)
            raise

    def _check_files(self) -> None:
        """Writes to a file that lost its name would succeed, and be gone with the process."""
        now_s = time.monotonic()
        if now_s - self._file_checked_s < self._file_check_interval_s:
            return
        self._file_checked_s = now_s
        if identity_of(self._path) != self._files:
            self.fault = Fault.LOST
            raise sqlite3.OperationalError(Fault.LOST.value)

    async def _rescue(self) -> None:
        """Write what the nameless file holds, still open as it is, to a new one in its place."""
        assert self._connection is not None, "only an open file can be lost"
        copy = self._path.with_name(self._path.name + ".rescued")
        copy.unlink(missing_ok=True)
        try:
            await self._connection.execute("VACUUM INTO ?", (str(copy),))
        except sqlite3.DatabaseError as error:
            self._suspect(error)
            raise
        self._put_aside("another file took its place")
        os.replace(copy, self._path)
        self.fault = Fault.UNOPENED

    async def _begin(self) -> None:
        await self._disconnect()
        self._connection = await connect(self._path)
        await tables.learn(self._connection, self._known)
        async with self._atomically(self._connection):
            await tables.write_promises(self._connection, self._known)
        self._files = identity_of(self._path)
        self.fault = None

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        self._known.names_valid = False
        if connection is not None:
            await connection.close()

    def _suspect(self, error: sqlite3.DatabaseError) -> None:
        if is_damage(error):
            self.fault = Fault.DAMAGED
            self._damage = str(error)

    def _put_aside(self, error: str) -> None:
        moved_to = move_aside(self._path)
        if moved_to is not None:
            self.facts.append(StoreSetAside(STORE_NAME, error, str(moved_to)))


async def _roll_back(connection: aiosqlite.Connection) -> None:
    """Queue a ROLLBACK behind whatever the connection still does, and wait for it a little.

    The connection's thread works in order: what comes later runs after it in any case. Whether a
    transaction is open is decided there, when its turn comes; asking here could be wrong.
    """
    rollback = asyncio.ensure_future(connection.rollback())
    rollback.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait({rollback}, timeout=ROLLBACK_WAIT_S)
