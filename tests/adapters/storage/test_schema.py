import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from meshnode.adapters.storage import schema
from meshnode.core.facts import StoreSetAside
from meshnode.errors import ConfigError, StoreUnavailable
from meshnode.ports import Batch, EnvelopeKey, KnownAddr, KnownNode, Mark
from protocols.ids import Topic
from tests.adapters.storage.story import (
    ALICE,
    BOB,
    EPOCH,
    START_NS,
    Witness,
    names_in,
    open_store,
    query,
    update,
)

# Version 1, as its nodes wrote it. uint64 max is -1 there as it is now.
TAGS_1 = "'chain\teth' || char(10) || 'recorded\tyes'"
ROWS_1 = f"""
INSERT INTO author VALUES (1, x'{ALICE.hex()}'), (7, x'{BOB.hex()}');
INSERT INTO asset VALUES (1, 'BTC-USD'), (3, 'ETH-USD');
INSERT INTO latest VALUES
    (1, 1, {EPOCH}, 5, {START_NS}, {START_NS - 9}, 3943248, -2, 15, 2, NULL),
    (1, 7, {EPOCH}, 6, {START_NS + 1}, -1, 3943249, -2, 0, 1, {TAGS_1}),
    (3, 7, -1, -1, -1, -1, {2**63 - 1}, 18, {2**63 - 1}, 255, NULL);
INSERT INTO envelope VALUES (1, {EPOCH}, 5, x'00ff'), (7, -1, -1, x'01');
INSERT INTO mark VALUES (1, 1, {EPOCH}, 5), (1, 2, {EPOCH}, 77), (7, 1, -1, -1);
INSERT INTO own_epoch VALUES (1, {EPOCH + 1000});
"""


def make_version_1(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;")
        connection.executescript(schema.creation(1))
        connection.executescript(ROWS_1)


async def test_a_database_of_version_1_loses_nothing(tmp_path: Path) -> None:
    path, witness = tmp_path / "store.db", Witness()
    make_version_1(path)
    async with open_store(path, witness) as store:
        found = await store.load()
        assert await store.begin_epoch(0) == EPOCH + 1001
    assert witness.facts == []
    assert found.damaged == 0
    quotes = {(stored.quote.asset, stored.author): stored for stored in found.latest}
    assert len(found.latest) == len(quotes) == 3
    alice, bob = quotes["BTC-USD", ALICE], quotes["BTC-USD", BOB]
    assert alice == (
        # When it arrived was not kept: about when it was issued.
        (ALICE, EPOCH, 5, START_NS, START_NS),
        ("BTC-USD", 3943248, -2, START_NS - 9, 15, 2, None),
    )
    assert bob.quote.tags == {"chain": "eth", "recorded": "yes"}
    assert bob.quote.observed_ns == 2**64 - 1
    assert quotes["ETH-USD", BOB].seq == 2**64 - 1
    assert found.envelopes == {
        EnvelopeKey(ALICE, EPOCH, 5): b"\x00\xff",
        EnvelopeKey(BOB, 2**64 - 1, 2**64 - 1): b"\x01",
    }
    assert set(found.marks) == {
        Mark(ALICE, Topic.PRICES, EPOCH, 5),
        Mark(ALICE, Topic.PRESENCE, EPOCH, 77),
        Mark(BOB, Topic.PRICES, 2**64 - 1, 2**64 - 1),
    }


async def test_a_database_of_version_2_loses_nothing_and_remembers_more(tmp_path: Path) -> None:
    path, witness = tmp_path / "store.db", Witness()
    async with open_store(path) as store:
        await store.commit(update(1))
        before = (await store.load()).latest
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "DROP TABLE known_node; DROP TABLE known_addr; DROP TABLE last_sign;"
            "PRAGMA user_version = 2;"
        )
    others = Batch(
        nodes=[KnownNode(BOB, START_NS)],
        addrs=[KnownAddr(BOB, "/ip4/198.51.100.7/tcp/1", None, 2)],
        last_sign_ns=START_NS,
    )
    async with open_store(path, witness) as store:
        found = await store.load()
        assert set(map(str, found.latest)) == set(map(str, before)) != set()
        assert (found.nodes, found.last_sign_ns) == ((), None)
        await store.commit(others)
    async with open_store(path, witness) as store:
        found = await store.load()
    assert (found.nodes, found.addrs) == (tuple(others.nodes), tuple(others.addrs))
    assert (found.last_sign_ns, found.damaged, witness.facts) == (START_NS, 0, [])


async def test_a_migrated_database_is_like_a_new_one(tmp_path: Path) -> None:
    migrated, new = tmp_path / "migrated.db", tmp_path / "new.db"
    make_version_1(migrated)
    tables = "SELECT name, sql FROM sqlite_schema ORDER BY name"
    for path in (migrated, new):
        async with open_store(path):
            pass
    assert query(migrated, tables) == query(new, tables)
    assert query(migrated, "PRAGMA user_version") == [(schema.VERSION,)]


async def test_a_migration_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.db"
    make_version_1(path)
    before = query(path, "SELECT * FROM latest"), query(path, "SELECT sql FROM sqlite_schema")
    broken = schema.MIGRATIONS[1].replace("COMMIT;", "INSERT INTO mark SELECT * FROM nowhere;")
    monkeypatch.setattr(schema, "MIGRATIONS", {1: broken})
    with pytest.raises(StoreUnavailable, match="nowhere"):
        async with open_store(path):
            pass
    after = query(path, "SELECT * FROM latest"), query(path, "SELECT sql FROM sqlite_schema")
    assert after == before
    assert query(path, "PRAGMA user_version") == [(1,)]


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path, witness = tmp_path / "store.db", Witness()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            f"CREATE TABLE future (n); PRAGMA user_version = {schema.VERSION + 1};"
        )
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"newer meshnode .*upgrade"):
        async with open_store(path, witness):
            pass
    assert path.read_bytes() == before
    assert names_in(tmp_path) == ["store.db"]
    assert witness.facts == []


@pytest.mark.parametrize("version", range(schema.VERSION + 1))
async def test_tables_that_are_not_ours_are_put_aside(tmp_path: Path, version: int) -> None:
    path, witness = tmp_path / "store.db", Witness()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"CREATE TABLE latest (n); PRAGMA user_version = {version};")
    async with open_store(path, witness) as store:
        assert (await store.load()).latest == ()
    (fact,) = witness.facts
    assert isinstance(fact, StoreSetAside)
    assert query(Path(fact.moved_to), "SELECT name FROM sqlite_schema") == [("latest",)]
