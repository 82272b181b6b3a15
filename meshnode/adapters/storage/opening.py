"""Opening a database file: create, recognise, migrate or refuse it."""

import sqlite3
from pathlib import Path
from typing import Final

import aiosqlite

from meshnode.adapters.storage import rows, schema
from meshnode.errors import ConfigError

BUSY_TIMEOUT_S: Final = 2.0
WAL_BYTES_KEPT_MAX: Final = 16 * 1024 * 1024

# auto_vacuum must come before the first write of a new file, and WAL is one.
_SETTINGS = f"""
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA journal_size_limit = {WAL_BYTES_KEPT_MAX};
PRAGMA cell_size_check = ON;
PRAGMA trusted_schema = OFF;
"""
_DAMAGE_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Unreadable(sqlite3.DatabaseError):
    """The file is a database, but its tables are none that we ever made."""


def is_damage(error: BaseException) -> bool:
    """Whether the file itself is at fault, so that only another one helps."""
    if isinstance(error, Unreadable):
        return True
    # The low byte is the primary code, the rest a finer distinction.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE_CODES


async def connect(path: Path) -> aiosqlite.Connection:
    """Open a database of the present version; an older one is migrated, an absent one created.

    Raises sqlite3.Error (see `is_damage`), and ConfigError for a database of a newer version,
    which is left as it is.
    """
    failures: list[sqlite3.Error] = []

    def opened() -> sqlite3.Connection:
        try:
            # No statement is shared between cursors: after a time-out an abandoned cursor dies in
            # another thread, and would reset a statement that the next one is executing.
            return sqlite3.connect(
                path, isolation_level=None, timeout=BUSY_TIMEOUT_S, cached_statements=0
            )
        except sqlite3.Error as error:
            # Failing here, aiosqlite leaves its thread behind with nobody waiting for its end.
            failures.append(_not_a_file(path) if path.is_dir() else error)
            return sqlite3.connect(":memory:")

    connection = await aiosqlite.Connection(opened, iter_chunk_size=1)
    if failures:
        await connection.close()
        raise failures[0]
    try:
        connection.text_factory = _text
        version = await _recognised(connection, path)
        await connection.executescript(_SETTINGS)
        if version == 0:
            await connection.executescript(schema.creation())
        elif version < schema.VERSION:
            await _migrate(connection, version)
    except BaseException:
        await connection.close()  # which rolls back as well
        raise
    return connection


def _not_a_file(path: Path) -> sqlite3.Error:
    return sqlite3.OperationalError(f"{path} is a directory where a file is expected: move it away")


async def _recognised(connection: aiosqlite.Connection, path: Path) -> int:
    """The file's version, 0 for an empty one."""
    ((version,),) = await connection.execute_fetchall("PRAGMA user_version")
    found = {sql for (sql,) in await connection.execute_fetchall("SELECT sql FROM sqlite_schema")}
    if version == 0 and not found:
        return 0
    if version > schema.VERSION:
        raise ConfigError(
            f"{path} was written by a newer meshnode (schema {version}, this one knows "
            f"{schema.VERSION}): upgrade meshnode, or use another data directory"
        )
    if version not in schema.TABLES or not found.issuperset(schema.TABLES[version]):
        raise Unreadable(f"not a database of this program (schema {version})")
    return int(version)


async def _migrate(connection: aiosqlite.Connection, version: int) -> None:
    for name, (arity, checksum) in rows.CHECKSUMS.items():
        await connection.create_function(name, arity, checksum, deterministic=True)
    for step in range(version, schema.VERSION):
        await connection.executescript(schema.MIGRATIONS[step])


def _text(raw: bytes) -> str:
    # Damaged text fails its row's checksum; it must not fail the whole query.
    return raw.decode("utf-8", "replace")
