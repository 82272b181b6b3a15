"""What a node remembers of others: who provided, where to reach whom, the last sign of life.

Rows, reading and writing together, for nothing else points to them. Everything raises
sqlite3.Error; writes belong inside a transaction.
"""

import struct
from collections.abc import Callable, Iterable
from typing import Final, TypeVar, cast
from zlib import crc32

import aiosqlite

from meshnode.adapters.storage.rows import UNREADABLE, Row, from_signed, to_signed
from meshnode.ports import Batch, KnownAddr, KnownNode, Restored
from protocols.ids import KEY_BYTES
from protocols.limits import ADDR_BYTES_MAX, UINT64_MAX

T = TypeVar("T")

_NUMBER = struct.Struct(">Q")
_ADDR = struct.Struct(">?QQ")

_PUT_NODE: Final = "REPLACE INTO known_node (key, last_seen_ns, checksum) VALUES (?,?,?)"
_PUT_ADDR: Final = (
    "REPLACE INTO known_addr (key, addr, last_success_ns, failures, checksum) VALUES (?,?,?,?,?)"
)
_PUT_SIGN: Final = "REPLACE INTO last_sign (id, at_ns, checksum) VALUES (1,?,?)"
_DROP_NODE: Final = "DELETE FROM known_node WHERE key = ?"
_DROP_ADDR: Final = "DELETE FROM known_addr WHERE key = ? AND addr = ?"


async def load(connection: aiosqlite.Connection) -> Restored:
    """What is remembered, damaged rows left out and counted."""
    nodes = await _read(
        connection, "SELECT key, last_seen_ns, checksum FROM known_node", _read_node
    )
    addrs = await _read(
        connection,
        "SELECT key, addr, last_success_ns, failures, checksum FROM known_addr",
        _read_addr,
    )
    signs = await _read(connection, "SELECT at_ns, checksum FROM last_sign", _read_sign)
    return Restored(
        nodes=tuple(node for node in nodes if node is not None),
        addrs=tuple(addr for addr in addrs if addr is not None),
        last_sign_ns=next(iter(signs), None),
        damaged=nodes.count(None) + addrs.count(None) + signs.count(None),
    )


async def write(connection: aiosqlite.Connection, batch: Batch) -> None:
    """Write what a batch says of others."""
    at_ns = batch.last_sign_ns
    steps: tuple[tuple[str, Iterable[Row]], ...] = (
        (_PUT_NODE, [_node_row(node) for node in batch.nodes]),
        (_PUT_ADDR, [_addr_row(addr) for addr in batch.addrs]),
        (_DROP_NODE, [(author,) for author in batch.nodes_gone]),
        (_DROP_ADDR, batch.addrs_gone),
        (_PUT_SIGN, [] if at_ns is None else [(to_signed(at_ns), _sign_checksum(at_ns))]),
    )
    for statement, values in steps:
        if values:
            await connection.executemany(statement, values)


def _node_row(node: KnownNode) -> Row:
    checksum = _node_checksum(node.author, node.last_seen_ns)
    return node.author, to_signed(node.last_seen_ns), checksum


def _addr_row(known: KnownAddr) -> Row:
    author, addr, success_ns, failures = known
    checksum = _addr_checksum(author, addr, success_ns, failures)
    return author, addr, None if success_ns is None else to_signed(success_ns), failures, checksum


def _read_node(row: Row) -> KnownNode | None:
    author, last_seen_ns, checksum = row
    if len(author) != KEY_BYTES or _node_checksum(author, last_seen_ns) != checksum:
        return None
    return KnownNode(author, from_signed(last_seen_ns))


def _read_addr(row: Row) -> KnownAddr | None:
    author, addr, success_ns, failures, checksum = row
    if len(author) != KEY_BYTES or len(addr) > ADDR_BYTES_MAX:
        return None
    if _addr_checksum(author, addr, success_ns, failures) != checksum:
        return None
    return KnownAddr(
        author, addr, None if success_ns is None else from_signed(success_ns), failures
    )


def _read_sign(row: Row) -> int | None:
    at_ns, checksum = row
    return from_signed(at_ns) if _sign_checksum(at_ns) == checksum else None


def _node_checksum(author: bytes, last_seen_ns: int) -> int:
    return crc32(b"node" + author + _NUMBER.pack(last_seen_ns & UINT64_MAX))


def _addr_checksum(author: bytes, addr: str, success_ns: int | None, failures: int) -> int:
    numbers = _ADDR.pack(success_ns is not None, (success_ns or 0) & UINT64_MAX, failures)
    return crc32(b"addr" + author + numbers + addr.encode())


def _sign_checksum(at_ns: int) -> int:
    return crc32(b"sign" + _NUMBER.pack(at_ns & UINT64_MAX))


async def _read(
    connection: aiosqlite.Connection, query: str, read: Callable[[Row], T | None]
) -> list[T | None]:
    found: list[T | None] = []
    # Without a row factory the driver's rows are tuples, whatever its annotations say.
    for row in cast(list[Row], await connection.execute_fetchall(query)):
        try:
            found.append(read(row))
        except UNREADABLE:
            found.append(None)
    return found
