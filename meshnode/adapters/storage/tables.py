"""What is read from and written to the tables, on a connection that somebody else holds.

Writes belong inside a transaction. Everything raises sqlite3.Error.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, cast

import aiosqlite

from meshnode.adapters.storage import acquaintances, rows
from meshnode.adapters.storage.rows import Ids, Row, to_signed
from meshnode.ports import Batch, Mark, Restored, StoredQuote
from protocols.ids import Topic

_QUOTE_MARKS: Final = "(?,?,?,?,?,?,?,?,?,?,?,?,?)"
_PUT_QUOTES: Final = f"REPLACE INTO {{table}} ({rows.QUOTE_COLUMNS}) VALUES {{rows}}"  # noqa: S608 - names of ours
CHUNK_ROWS: Final = 64
_PUT_ENVELOPE: Final = (
    "REPLACE INTO envelope (author_id, epoch, seq, raw, checksum) VALUES (?,?,?,?,?)"
)
_DROP_ENVELOPE: Final = "DELETE FROM envelope WHERE author_id = ? AND epoch = ? AND seq = ?"
_DROP_MARKS: Final = "DELETE FROM mark WHERE author_id = ?"
_DROP_AUTHOR: Final = "DELETE FROM author WHERE id = ?"
_PUT_MARK: Final = "REPLACE INTO mark (author_id, topic, epoch, seq, checksum) VALUES (?,?,?,?,?)"
_GET_QUOTED: Final = "SELECT DISTINCT author_id FROM latest"
_HAS_ENVELOPE: Final = "SELECT 1 FROM envelope WHERE author_id = ? LIMIT 1"
_GET_QUOTES: Final = f"SELECT {rows.QUOTE_COLUMNS} FROM"
_GET_MARKS: Final = "SELECT author_id, topic, epoch, seq, checksum FROM mark"
_GET_ENVELOPES: Final = "SELECT author_id, epoch, seq, raw, checksum FROM envelope"
_DELETE_TICKS: Final = """
DELETE FROM tick WHERE (asset_id, received_ns, author_id, epoch, seq) IN (
    SELECT asset_id, received_ns, author_id, epoch, seq
    FROM asset CROSS JOIN tick ON asset_id = asset.id AND received_ns <= ? LIMIT ?)
"""
_SPAN: Final = """
SELECT min((SELECT min(received_ns) FROM tick WHERE asset_id = asset.id)),
       max((SELECT max(received_ns) FROM tick WHERE asset_id = asset.id)) FROM asset
"""
_HISTORY_BYTES: Final = """
SELECT (page_count - freelist_count) * page_size
       - (SELECT coalesce(sum(length(raw)), 0) FROM envelope)
FROM pragma_page_count, pragma_freelist_count, pragma_page_size
"""


@dataclass(slots=True)
class Known:
    """What a file says, held in memory.

    `authors`, `assets` and `quoted` (ids of the authors with quotes, None until somebody needs to
    know; a quote is replaced, never deleted) save look-ups and are doubtful after a failure, until
    `learn`. `marks` and `own_epoch` are promises: they only grow, and outlive the file; but those
    of an author that is forgotten go.
    """

    authors: Ids[bytes] = field(default_factory=lambda: Ids(()))
    assets: Ids[str] = field(default_factory=lambda: Ids(()))
    quoted: set[int] | None = None
    names_valid: bool = False
    marks: dict[tuple[bytes, Topic], tuple[int, int]] = field(default_factory=dict)
    own_epoch: int = 0

    def raised(self, marks: Iterable[Mark]) -> dict[tuple[bytes, Topic], tuple[int, int]]:
        """Those of `marks` that are higher than what is known, the highest of each."""
        higher: dict[tuple[bytes, Topic], tuple[int, int]] = {}
        for author, topic, epoch, seq in marks:
            key = author, topic
            before = higher.get(key) or self.marks.get(key)
            if before is None or (epoch, seq) > before:
                higher[key] = epoch, seq
        return higher

    def forget(self, author: bytes) -> None:
        """Drop an author nothing of which is stored but marks."""
        self.authors.drop(author)
        for topic in Topic:
            self.marks.pop((author, topic), None)


async def learn(connection: aiosqlite.Connection, known: Known) -> None:
    """Read the names and their ids again, and raise the known marks to the stored ones."""
    known.authors = Ids(rows.readable_authors(await _fetch(connection, "SELECT * FROM author")))
    known.assets = Ids(rows.readable_assets(await _fetch(connection, "SELECT * FROM asset")))
    marks = (
        rows.read_mark(row, known.authors.names) for row in await _fetch(connection, _GET_MARKS)
    )
    known.marks |= known.raised(mark for mark in marks if mark is not None)
    known.quoted = None
    known.names_valid = True


async def load(connection: aiosqlite.Connection, known: Known) -> Restored:
    """Everything that was committed, damaged rows left out and counted."""
    assets, authors = known.assets.names, known.authors.names
    quotes = [
        rows.read_quote(row, assets, authors)
        for row in await _fetch(connection, f"{_GET_QUOTES} latest")
    ]
    envelopes = [
        rows.read_envelope(row, authors) for row in await _fetch(connection, _GET_ENVELOPES)
    ]
    marks = [rows.read_mark(row, authors) for row in await _fetch(connection, _GET_MARKS)]
    latest = [quote for quote in quotes if quote is not None]
    sound = [mark for mark in marks if mark is not None]
    others = await acquaintances.load(connection)
    return Restored(
        latest=tuple(latest),
        envelopes=dict(envelope for envelope in envelopes if envelope is not None),
        marks=tuple(sound if len(sound) == len(marks) else rows.marks_covering(latest, sound)),
        nodes=others.nodes,
        addrs=others.addrs,
        last_sign_ns=others.last_sign_ns,
        damaged=quotes.count(None) + envelopes.count(None) + marks.count(None) + others.damaged,
    )


async def write(connection: aiosqlite.Connection, batch: Batch, known: Known) -> None:
    """Write a batch; new names go into `known` with it. Marks never go back, but may go."""
    if batch.forgotten:
        await _forget(connection, batch.forgotten, known)
    made: dict[int, Row] = {}
    latest = [_quote_row(stored, known, made) for stored in batch.latest]
    ticks = [_quote_row(stored, known, made) for stored in batch.ticks]
    if known.quoted is not None:
        known.quoted.update(map(known.authors.take, {one.author for one in batch.latest}))
    envelopes = [
        (
            known.authors.take(author),
            to_signed(epoch),
            to_signed(seq),
            raw,
            rows.envelope_checksum(author, epoch, seq, raw),
        )
        for (author, epoch, seq), raw in batch.envelopes
    ]
    released = [
        (known.authors.get(author), to_signed(epoch), to_signed(seq))
        for author, epoch, seq in batch.released
    ]
    marks = _mark_rows(known.raised(batch.marks), known)
    for statement, values in (
        ("INSERT INTO author (id, key) VALUES (?,?)", known.authors.take_added()),
        ("INSERT INTO asset (id, name) VALUES (?,?)", known.assets.take_added()),
        *_in_chunks("latest", latest),
        *_in_chunks("tick", ticks),
        (_PUT_ENVELOPE, envelopes),
        (_DROP_ENVELOPE, released),
        (_PUT_MARK, marks),
    ):
        if values:
            await connection.executemany(statement, values)
    await acquaintances.write(connection, batch)


async def _forget(connection: aiosqlite.Connection, authors: Iterable[bytes], known: Known) -> None:
    # Whoever has ticks has a latest quote as well: no row is left that points to nobody.
    if known.quoted is None:
        found = await _fetch(connection, _GET_QUOTED)
        known.quoted = {id_ for (id_,) in found}
    gone = []
    for author in authors:
        id_ = known.authors.get(author)
        if id_ is None or id_ in known.quoted or await _fetch(connection, _HAS_ENVELOPE, (id_,)):
            continue
        known.forget(author)
        gone.append((id_,))
    await connection.executemany(_DROP_MARKS, gone)
    await connection.executemany(_DROP_AUTHOR, gone)


async def write_promises(connection: aiosqlite.Connection, known: Known) -> None:
    """Write the known marks and our own epoch whether the file has them or not."""
    marks = _mark_rows(known.marks, known)
    await connection.executemany(
        "INSERT INTO author (id, key) VALUES (?,?)", known.authors.take_added()
    )
    await connection.executemany(_PUT_MARK, marks)
    if known.own_epoch:
        await write_epoch(connection, known.own_epoch)


async def read_epoch(connection: aiosqlite.Connection) -> int:
    """Our own last epoch, 0 where there is none or it is damaged."""
    return rows.read_epoch(await _fetch(connection, "SELECT epoch, checksum FROM own_epoch"))


async def write_epoch(connection: aiosqlite.Connection, epoch: int) -> None:
    """Store our own epoch."""
    await connection.execute(
        "REPLACE INTO own_epoch (id, epoch, checksum) VALUES (1, ?, ?)",
        (to_signed(epoch), rows.epoch_checksum(epoch)),
    )


async def history(
    connection: aiosqlite.Connection, known: Known, asset: str, limit: int
) -> list[StoredQuote]:
    """The newest ticks of an asset, newest received first, damaged ones left out."""
    asset_id = known.assets.get(asset)
    if asset_id is None:
        return []
    found = await _fetch(
        connection,
        f"{_GET_QUOTES} tick WHERE asset_id = ? ORDER BY received_ns DESC LIMIT ?",
        (asset_id, limit),
    )
    quotes = (rows.read_quote(row, known.assets.names, known.authors.names) for row in found)
    return [quote for quote in quotes if quote is not None]


async def history_bytes(connection: aiosqlite.Connection) -> int:
    """About how much room the history takes: all but free pages and envelopes."""
    ((size,),) = await _fetch(connection, _HISTORY_BYTES)
    return int(size)


async def history_span(connection: aiosqlite.Connection) -> tuple[int, int] | None:
    """When the oldest and the newest tick were received, or None where there is none."""
    ((oldest_ns, newest_ns),) = await _fetch(connection, _SPAN)
    return None if oldest_ns is None else (oldest_ns, newest_ns)


async def delete_ticks(connection: aiosqlite.Connection, until_ns: int, rows_max: int) -> int:
    """Delete ticks received up to `until_ns`, at most `rows_max`; returns how many went."""
    return (await connection.execute(_DELETE_TICKS, (until_ns, rows_max))).rowcount


def _in_chunks(table: str, quotes: list[Row]) -> Iterator[tuple[str, list[Row]]]:
    """Statements and values that put quotes into `latest` or `tick`, many rows a statement.

    SQLite gives the interpreter's lock away for each row that a statement of one row writes; with
    a busy event loop beside it, waiting to get it back took longer than all the writing.
    """
    whole = len(quotes) - len(quotes) % CHUNK_ROWS
    yield (
        _PUT_QUOTES.format(table=table, rows=",".join([_QUOTE_MARKS] * CHUNK_ROWS)),
        [
            tuple(chain.from_iterable(quotes[start : start + CHUNK_ROWS]))
            for start in range(0, whole, CHUNK_ROWS)
        ],
    )
    yield _PUT_QUOTES.format(table=table, rows=_QUOTE_MARKS), quotes[whole:]


def _quote_row(stored: StoredQuote, known: Known, made: dict[int, Row]) -> Row:
    # By identity: most quotes are both the latest and a tick, and making a row costs as much as
    # writing one.
    row = made.get(id(stored))
    if row is None:
        asset_id = known.assets.take(stored.asset)
        row = rows.quote_row(stored, asset_id, known.authors.take(stored.author))
        made[id(stored)] = row
    return row


def _mark_rows(marks: Mapping[tuple[bytes, Topic], tuple[int, int]], known: Known) -> list[Row]:
    return [
        (
            known.authors.take(author),
            number := rows.TOPIC_NUMBERS[topic],
            to_signed(epoch),
            to_signed(seq),
            rows.mark_checksum(author, number, epoch, seq),
        )
        for (author, topic), (epoch, seq) in marks.items()
    ]


async def _fetch(
    connection: aiosqlite.Connection, query: str, values: Sequence[object] = ()
) -> list[Row]:
    # Without a row factory the driver's rows are tuples, whatever its annotations say.
    return cast(list[Row], await connection.execute_fetchall(query, values))
