"""Files as crashes, disks and people leave them: never a wrong quote, and always a way on."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
import trio

from meshnode.adapters.storage.files import move_aside
from meshnode.adapters.storage.schema import VERSION
from meshnode.core.facts import StoreSetAside
from meshnode.errors import ConfigError, StoreUnavailable
from meshnode.ports import Batch, EnvelopeKey, Mark, Restored
from protocols.ids import Topic
from tests.adapters.storage.story import (
    ALICE,
    BOB,
    EPOCH,
    Witness,
    envelope_of,
    names_in,
    open_store,
    query,
    quote_at,
    update,
)

LAST_SEQ = 12
ASSETS = 60
Damage: TypeAlias = Callable[[Path, random.Random], None]


def content(file: Path) -> bytearray:
    return bytearray(file.read_bytes() if file.exists() else b"")


def flip_bytes(database: Path, rng: random.Random) -> None:
    raw = content(database)
    for _ in range(rng.choice((1, 1, 4, 64))):
        # Not the version number: changed, it may look like a newer database.
        place = rng.choice([*range(60), *range(64, 100), *rng.sample(range(100, len(raw)), 400)])
        raw[place] ^= 1 << rng.randrange(8)
    database.write_bytes(raw)


def flip_payload(database: Path, rng: random.Random) -> None:
    """Where SQLite itself does not look."""
    raw = content(database)
    for name in (b"ASSET1", ALICE, BOB, envelope_of(LAST_SEQ)):
        found = (
            [n for n in range(len(raw)) if raw.startswith(name, n)] if rng.random() < 0.7 else []
        )
        for place in found[:1]:
            raw[place + rng.randrange(len(name))] ^= 1 << rng.randrange(8)
    database.write_bytes(raw)


def flip_log(database: Path, rng: random.Random) -> None:
    log = database.with_name(database.name + "-wal")
    raw = content(log)
    for _ in range(rng.choice((1, 8))):
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    log.write_bytes(raw)


def truncate(database: Path, rng: random.Random) -> None:
    os.truncate(database, rng.randrange(database.stat().st_size))


def truncate_log(database: Path, rng: random.Random) -> None:
    log = database.with_name(database.name + "-wal")
    os.truncate(log, rng.randrange(log.stat().st_size))


def delete_log(database: Path, _: random.Random) -> None:
    database.with_name(database.name + "-wal").unlink()


def overwrite_header(database: Path, rng: random.Random) -> None:
    raw = content(database)
    raw[:100] = rng.randbytes(100)
    database.write_bytes(raw)


def zero_page(database: Path, rng: random.Random) -> None:
    raw = content(database)
    page = rng.randrange(len(raw) // 4096)
    raw[page * 4096 : (page + 1) * 4096] = bytes(4096)
    database.write_bytes(raw)


def overwrite_root(database: Path, table: str) -> None:
    columns = "rootpage, page_size FROM sqlite_schema, pragma_page_size"
    ((root, size),) = query(database, f"SELECT {columns} WHERE name = '{table}'")
    with database.open("r+b") as file:
        file.seek((int(str(root)) - 1) * int(str(size)))
        file.write(b"\xff" * int(str(size)))


def empty(database: Path, _: random.Random) -> None:
    database.write_bytes(b"")


def delete(database: Path, _: random.Random) -> None:
    database.unlink()


DAMAGES = (
    flip_bytes,
    flip_payload,
    flip_log,
    truncate,
    truncate_log,
    delete_log,
    overwrite_header,
    zero_page,
    empty,
    delete,
)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as a kill leaves it: some in the file, some in the log."""
    directory = tmp_path_factory.mktemp("killed")

    async def live() -> None:
        async with open_store(directory / "live.db") as store:
            await store.begin_epoch(EPOCH)
            for seq in range(1, LAST_SEQ + 1):
                for author in (ALICE, BOB):
                    await store.commit(update(seq, ASSETS, author))
                if seq == LAST_SEQ - 3:
                    query(directory / "live.db", "PRAGMA wal_checkpoint")
            for suffix in ("", "-wal"):
                shutil.copy(directory / f"live.db{suffix}", directory / f"store.db{suffix}")

    trio.run(live)
    return directory / "store.db"


def check(found: Restored) -> None:
    """Whatever is there was committed once, to the last bit."""
    for stored in found.latest:
        assert 1 <= stored.seq <= LAST_SEQ
        assert stored == quote_at(stored.seq, stored.quote.asset, stored.author)
    for key, raw in found.envelopes.items():
        assert raw == envelope_of(key.seq)
    for mark in found.marks:
        assert mark.author in (ALICE, BOB)
        assert mark.epoch == EPOCH
        assert mark.seq <= LAST_SEQ
    prices = {mark.author: mark.seq for mark in found.marks if mark.topic is Topic.PRICES}
    for stored in found.latest:
        assert prices[stored.author] >= stored.seq


async def survive(killed: Path, path: Path, damage: Damage, rng: random.Random) -> str:
    for suffix in ("", "-wal"):
        shutil.copy(killed.with_name(killed.name + suffix), path.with_name(path.name + suffix))
    damage(path, rng)
    witness = Witness()
    async with open_store(path, witness) as store:
        found = await store.load()
        check(found)
        for asset in range(0, ASSETS, 20):
            try:
                history = await store.history(f"ASSET{asset}", 100)
            except StoreUnavailable:
                continue  # damage there is noticed here only
            assert all(tick == quote_at(tick.seq, f"ASSET{asset}", tick.author) for tick in history)
        # A file found damaged in use is put aside before the next call; then all is well.
        for attempt in range(3):
            try:
                await store.commit(update(LAST_SEQ + 1, ASSETS))
                break
            except StoreUnavailable:
                assert attempt < 2
    async with open_store(path, witness) as store:
        newest = [stored for stored in (await store.load()).latest if stored.author == ALICE]
        assert len(newest) >= ASSETS
        assert sum(stored.seq == LAST_SEQ + 1 for stored in newest) == ASSETS
    moved = {Path(fact.moved_to) for fact in witness.facts if isinstance(fact, StoreSetAside)}
    assert moved <= set(path.parent.iterdir())
    if moved:
        return "put aside"
    return "rows left out" if found.damaged else "loaded"


@pytest.mark.parametrize("damage", DAMAGES)
async def test_damage_is_survived(killed: Path, tmp_path: Path, damage: Damage) -> None:
    await survive(killed, tmp_path / "store.db", damage, random.Random(1))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("damage", DAMAGES)
async def test_damage_of_every_kind_is_survived(
    killed: Path, tmp_path: Path, damage: Damage, seed: int
) -> None:
    await survive(killed, tmp_path / "store.db", damage, random.Random(seed))


async def test_a_flipped_byte_of_a_name_is_noticed(killed: Path, tmp_path: Path) -> None:
    outcomes = {
        await survive(killed, tmp_path / f"{seed}.db", flip_payload, random.Random(seed))
        for seed in range(3)
    }
    assert "rows left out" in outcomes


async def test_garbage_is_put_aside_under_the_next_free_name(tmp_path: Path) -> None:
    path, rng = tmp_path / "store.db", random.Random(3)
    for number in (1, 2):
        garbage = rng.randbytes(9_000)
        path.write_bytes(garbage)
        witness = Witness()
        async with open_store(path, witness) as store:
            assert await store.load() == Restored()
        aside = tmp_path / f"store.db.damaged-{number}"
        assert witness.facts == [StoreSetAside("sqlite", "file is not a database", str(aside))]
        assert content(aside) == garbage


def test_a_log_goes_with_its_database(killed: Path, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    for suffix in ("", "-wal"):
        shutil.copy(killed.with_name(killed.name + suffix), path.with_name(path.name + suffix))
    assert move_aside(path) == tmp_path / "store.db.damaged-1"
    # Another would be replayed into whatever comes next.
    assert names_in(tmp_path) == ["store.db.damaged-1", "store.db.damaged-1-wal"]
    assert move_aside(path) is None


async def test_the_version_number_damaged_is_refused_not_overwritten(
    killed: Path, tmp_path: Path
) -> None:
    path = tmp_path / "store.db"
    raw = content(killed)
    raw[63] = VERSION + 1
    path.write_bytes(raw)
    with pytest.raises(ConfigError, match="newer"):
        async with open_store(path):
            pass
    assert content(path) == raw


async def test_a_damaged_mark_is_raised_to_what_its_authors_quotes_show(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with open_store(path) as store:
        await store.commit(update(5))
        await store.commit(update(9, author=BOB))
    query(path, f"UPDATE mark SET seq = 2 WHERE seq = {5}")
    async with open_store(path) as store:
        found = await store.load()
        assert found.damaged == 2
        assert set(found.marks) == {
            Mark(ALICE, Topic.PRICES, EPOCH, 5),
            Mark(ALICE, Topic.PRESENCE, EPOCH, 0),
            Mark(BOB, Topic.PRICES, EPOCH, 9),
            Mark(BOB, Topic.PRESENCE, EPOCH, 9),
        }
        await store.commit(Batch(marks=[Mark(ALICE, Topic.PRICES, EPOCH, 6)]))
    async with open_store(path) as store:
        assert Mark(ALICE, Topic.PRICES, EPOCH, 6) in (await store.load()).marks


async def test_a_damaged_envelope_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with open_store(path) as store:
        await store.commit(update(1))
        await store.commit(update(1, author=BOB))
    query(path, "UPDATE envelope SET raw = zeroblob(800) WHERE author_id = 1")
    async with open_store(path) as store:
        found = await store.load()
        assert found.damaged == 1
        assert list(found.envelopes) == [EnvelopeKey(BOB, EPOCH, 1)]
        assert len(found.latest) == 6


async def test_a_page_found_damaged_while_loading_is_put_aside_at_once(tmp_path: Path) -> None:
    path, witness = tmp_path / "store.db", Witness()
    async with open_store(path) as store:
        await store.commit(update(1, ASSETS))
    overwrite_root(path, "latest")
    async with open_store(path, witness) as store:
        assert witness.facts == []
        found = await store.load()
        assert found.latest == ()
        assert len(found.marks) == 2
    assert len(witness.facts) == 1


async def test_a_damaged_epoch_falls_back_on_the_clock(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with open_store(path) as store:
        await store.begin_epoch(EPOCH)
    query(path, "UPDATE own_epoch SET epoch = 2000000000000")
    async with open_store(path) as store:
        assert await store.begin_epoch(EPOCH + 60) == EPOCH + 60


async def test_marks_and_epoch_outlive_a_file_found_damaged_in_use(tmp_path: Path) -> None:
    path, witness = tmp_path / "store.db", Witness()
    async with open_store(path, witness) as store:
        for seq in range(1, 9):
            await store.commit(update(seq, ASSETS))
    async with open_store(path, witness) as store:
        epoch = await store.begin_epoch(EPOCH)
        overwrite_root(path, "tick")
        with pytest.raises(StoreUnavailable, match="put aside"):
            await store.commit(update(9, ASSETS))
        await store.commit(update(10, ASSETS, BOB))
    assert len(witness.facts) == 1
    async with open_store(path, witness) as store:
        found = await store.load()
        assert {mark for mark in found.marks if mark.author == ALICE} == {
            Mark(ALICE, topic, EPOCH, 8) for topic in Topic
        }
        assert {stored.author for stored in found.latest} == {BOB}
        assert await store.begin_epoch(0) == epoch + 1
    assert EnvelopeKey(BOB, EPOCH, 10) in found.envelopes


async def test_a_name_that_is_no_text_any_more_spoils_its_own_rows_only(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with open_store(path) as store:
        await store.commit(update(1))
    query(path, "UPDATE asset SET name = CAST(x'ff41' AS TEXT) WHERE name = 'ASSET1'")
    async with open_store(path) as store:
        found = await store.load()
        assert {stored.quote.asset for stored in found.latest} == {"ASSET0", "ASSET2"}
        assert found.damaged == 1
        await store.commit(update(2))
        assert len((await store.load()).latest) == 3
