"""The tables of a node's database, and how older ones become the present ones.

Unsigned 64-bit numbers are kept in SQLite's signed ones (rows.py), so `< 0` means "2^63 and
beyond". Names have no unique index: with one, a damaged name would refuse its own repair; the
single writer keeps them unique. `version` is PRAGMA user_version.
"""

from typing import Final

VERSION: Final = 3

_AUTHOR = """\
CREATE TABLE author (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL
) STRICT"""

_ASSET = """\
CREATE TABLE asset (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL
) STRICT"""

_TABLES_1 = (
    _AUTHOR,
    _ASSET,
    """\
CREATE TABLE latest (
    asset_id INTEGER NOT NULL,
    author_id INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    issued_ns INTEGER NOT NULL,
    observed_ns INTEGER NOT NULL,
    mantissa INTEGER NOT NULL,
    exponent INTEGER NOT NULL,
    confidence INTEGER NOT NULL,
    sources INTEGER NOT NULL,
    tags TEXT,
    PRIMARY KEY (asset_id, author_id)
) STRICT, WITHOUT ROWID""",
    """\
CREATE TABLE envelope (
    author_id INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    raw BLOB NOT NULL,
    PRIMARY KEY (author_id, epoch, seq)
) STRICT""",
    """\
CREATE TABLE mark (
    author_id INTEGER NOT NULL,
    topic INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (author_id, topic)
) STRICT, WITHOUT ROWID""",
    """\
CREATE TABLE own_epoch (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch INTEGER NOT NULL
) STRICT""",
)

_QUOTE_COLUMNS = """\
    asset_id INTEGER NOT NULL,
    author_id INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    issued_ns INTEGER NOT NULL,
    received_ns INTEGER NOT NULL,
    observed_ns INTEGER NOT NULL,
    mantissa INTEGER NOT NULL,
    exponent INTEGER NOT NULL,
    confidence INTEGER NOT NULL,
    sources INTEGER NOT NULL,
    tags TEXT,
    checksum INTEGER NOT NULL,
"""

# Version 2 brought the checksum of each row, the time of arrival and the history.
_TABLES_2 = (
    _AUTHOR,
    _ASSET,
    f"""\
CREATE TABLE latest (
{_QUOTE_COLUMNS}    PRIMARY KEY (asset_id, author_id)
) STRICT, WITHOUT ROWID""",
    f"""\
CREATE TABLE tick (
{_QUOTE_COLUMNS}    PRIMARY KEY (asset_id, received_ns, author_id, epoch, seq)
) STRICT, WITHOUT ROWID""",
    """\
CREATE TABLE envelope (
    author_id INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    raw BLOB NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (author_id, epoch, seq)
) STRICT""",
    """\
CREATE TABLE mark (
    author_id INTEGER NOT NULL,
    topic INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (author_id, topic)
) STRICT, WITHOUT ROWID""",
    """\
CREATE TABLE own_epoch (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch INTEGER NOT NULL,
    checksum INTEGER NOT NULL
) STRICT""",
)

# Version 3 brought what a node remembers of others: these rows name keys, not authors' ids, for
# who is remembered need not have said a price.
_ADDED_IN_3 = (
    """\
CREATE TABLE known_node (
    key BLOB PRIMARY KEY,
    last_seen_ns INTEGER NOT NULL,
    checksum INTEGER NOT NULL
) STRICT, WITHOUT ROWID""",
    """\
CREATE TABLE known_addr (
    key BLOB NOT NULL,
    addr TEXT NOT NULL,
    last_success_ns INTEGER,
    failures INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (key, addr)
) STRICT, WITHOUT ROWID""",
    """\
CREATE TABLE last_sign (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at_ns INTEGER NOT NULL,
    checksum INTEGER NOT NULL
) STRICT""",
)

TABLES: Final = {1: _TABLES_1, 2: _TABLES_2, VERSION: (*_TABLES_2, *_ADDED_IN_3)}

_CHANGED_IN_2 = ("latest", "envelope", "mark", "own_epoch")

# When a version-1 quote arrived is not known; it was issued at most a minute before.
_COPY_TO_2 = """
INSERT INTO latest SELECT asset_id, author_id, epoch, seq, issued_ns, issued_ns, observed_ns,
    mantissa, exponent, confidence, sources, tags,
    quote_checksum(name, key, epoch, seq, issued_ns, issued_ns, observed_ns,
        mantissa, exponent, confidence, sources, tags)
    FROM latest_1 JOIN asset ON asset.id = asset_id JOIN author ON author.id = author_id;
INSERT INTO envelope SELECT author_id, epoch, seq, raw, envelope_checksum(key, epoch, seq, raw)
    FROM envelope_1 JOIN author ON author.id = author_id;
INSERT INTO mark SELECT author_id, topic, epoch, seq, mark_checksum(key, topic, epoch, seq)
    FROM mark_1 JOIN author ON author.id = author_id;
INSERT INTO own_epoch SELECT id, epoch, epoch_checksum(epoch) FROM own_epoch_1;
"""

# The old tables are renamed, not the new ones: a renamed table's SQL is no longer as written
# here, and is compared when a database is opened.
_MIGRATE_1_TO_2 = "".join(
    (
        *(f"ALTER TABLE {table} RENAME TO {table}_1;\n" for table in _CHANGED_IN_2),
        *(f"{table};\n" for table in _TABLES_2 if table not in (_AUTHOR, _ASSET)),
        _COPY_TO_2,
        *(f"DROP TABLE {table}_1;\n" for table in _CHANGED_IN_2),
    )
)


def _transaction(statements: str, version: int) -> str:
    return f"BEGIN IMMEDIATE;\n{statements}PRAGMA user_version = {version};\nCOMMIT;\n"


# By the version that a database has: the script to the next one, in one transaction. It calls the
# functions of rows.CHECKSUMS.
MIGRATIONS: Final = {
    1: _transaction(_MIGRATE_1_TO_2, 2),
    2: _transaction("".join(f"{table};\n" for table in _ADDED_IN_3), 3),
}


def creation(version: int = VERSION) -> str:
    """The script that makes an empty database one of `version`, in one transaction."""
    return _transaction("".join(f"{table};\n" for table in TABLES[version]), version)
