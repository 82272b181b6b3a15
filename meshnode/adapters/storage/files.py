"""The files of a SQLite database: which they are, and how they are put aside."""

import os
from pathlib import Path
from typing import TypeAlias

# Device and inode of the database and of its write-ahead log; None for one that is missing.
FileIdentity: TypeAlias = tuple[tuple[int, int] | None, ...]

_SUFFIXES = ("", "-wal", "-shm")


def identity_of(path: Path) -> FileIdentity:
    """Which files the names lead to at the moment."""
    return tuple(_inode(path.with_name(path.name + suffix)) for suffix in ("", "-wal"))


def move_aside(path: Path) -> Path | None:
    """Rename a database with its log to `<name>.damaged-<n>`, the first free number.

    Returns the new path, or None where there was no file at all. Raises OSError.
    """
    number = 1
    while (target := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    # The log comes last: SQLite discards one whose database is missing or empty.
    present = [suffix for suffix in _SUFFIXES if path.with_name(path.name + suffix).exists()]
    for suffix in present:
        path.with_name(path.name + suffix).rename(target.with_name(target.name + suffix))
    return target if present else None


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
