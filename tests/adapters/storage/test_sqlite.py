import random
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from meshnode.adapters.storage import database as database_module
from meshnode.adapters.storage import sqlite as sqlite_module
from meshnode.adapters.storage.portal import open_portal
from meshnode.adapters.storage.schema import VERSION
from meshnode.adapters.storage.sqlite import SqliteStore, open_sqlite_store
from meshnode.core.facts import Fact, StoreSetAside
from meshnode.errors import StoreUnavailable
from meshnode.ports import Batch, EnvelopeKey, Mark
from protocols.ids import Topic
from tests.adapters.storage.story import (
    ALICE,
    BOB,
    EPOCH,
    START_NS,
    Witness,
    envelope_of,
    names_in,
    open_store,
    query,
    quote_at,
    update,
)


def set_aside(facts: Sequence[Fact]) -> list[Path]:
    return [Path(fact.moved_to) for fact in facts if isinstance(fact, StoreSetAside)]


async def test_it_is_durable_and_compact_by_its_settings(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with open_store(path) as store:
        await store.commit(update(1))
        connection = store._database._connection
        assert connection is not None
        settings = []
        for name in ("journal_mode", "synchronous", "auto_vacuum", "user_version"):
            statement = connection.execute_fetchall
            found = await store._portal.call(statement, f"PRAGMA {name}", timeout_s=5)
            settings += [value for (value,) in found]
    full, incremental = 2, 2
    assert settings == ["wal", full, incremental, VERSION]
    assert names_in(tmp_path) == ["store.db"]


async def test_a_directory_under_its_name_is_named(tmp_path: Path) -> None:
    (tmp_path / "store.db").mkdir()
    with pytest.raises(
        StoreUnavailable, match=r"/store\.db is a directory where a file is expected"
    ):
        async with open_store(tmp_path / "store.db"):
            pass


async def test_a_commit_that_fails_half_way_wrote_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with open_store(path) as store:
        await store.commit(update(1))
        query(
            path,
            "CREATE TRIGGER refuse BEFORE INSERT ON mark BEGIN SELECT RAISE(ABORT, 'no'); END",
        )
        with pytest.raises(StoreUnavailable, match="sqlite: no"):
            await store.commit(update(2, assets=5))
        found = await store.load()
        assert {stored.seq for stored in found.latest} == {1}
        assert len(found.latest) == 3
        assert list(found.envelopes) == [EnvelopeKey(ALICE, EPOCH, 1)]
        assert len(await store.history("ASSET0", 9)) == 1
        # The names that went with it are given their ids anew.
        query(path, "DROP TRIGGER refuse")
        await store.commit(update(1, assets=1, author=BOB))
        await store.commit(update(3, assets=6))
        assert len((await store.load()).latest) == 7
    async with open_store(path) as store:
        assert len((await store.load()).latest) == 7


async def test_a_full_disk_is_survived_and_named(tmp_path: Path) -> None:
    async with open_store(tmp_path / "store.db") as store:
        await store.commit(update(1))
        connection = store._database._connection
        assert connection is not None
        await store._portal.call(connection.execute, "PRAGMA max_page_count = 20", timeout_s=5)
        with pytest.raises(StoreUnavailable, match=r"full: free some space"):
            await store.commit(update(2, assets=2_000))
        assert {stored.seq for stored in (await store.load()).latest} == {1}
        await store._portal.call(connection.execute, "PRAGMA max_page_count = 20000", timeout_s=5)
        await store.commit(update(2, assets=2_000))
        assert {stored.seq for stored in (await store.load()).latest} == {2}


async def test_a_time_limit_tears_nothing_and_the_batch_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.db"
    async with open_store(path) as store:
        await store.commit(update(1))
        monkeypatch.setattr(sqlite_module, "COMMIT_TIMEOUT_S", 0.05)
        monkeypatch.setattr(database_module, "ROLLBACK_WAIT_S", 0.05)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable, match="no answer within"):
                await store.commit(update(2))
            other.execute("ROLLBACK")
        monkeypatch.undo()
        await store.commit(update(3))
        assert {stored.seq for stored in (await store.load()).latest} == {3}


async def test_commits_cancelled_or_timed_out_at_any_moment_are_whole_or_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, rng, assets = tmp_path / "store.db", random.Random(11), 200
    interrupted = 0
    async with open_store(path) as store:
        for seq in range(1, 101):
            limit_s = rng.choice((rng.uniform(0.0001, 0.01), 5))
            monkeypatch.setattr(sqlite_module, "COMMIT_TIMEOUT_S", limit_s)
            with trio.move_on_after(rng.choice((rng.uniform(0, 0.01), 5))) as scope:
                try:
                    await store.commit(update(seq, assets))
                except StoreUnavailable as error:
                    if "no answer within" not in str(error):
                        raise
                    interrupted += 1
            interrupted += scope.cancelled_caught
        await store.load()  # its turn comes after all that was left behind
        ticks = query(path, "SELECT seq, count(*) FROM tick GROUP BY seq ORDER BY seq")
        found = await store.load()
    assert interrupted
    assert {count for _, count in ticks} == {assets}
    assert {stored.seq for stored in found.latest} == {ticks[-1][0]}
    assert found.damaged == 0


async def test_what_is_not_committed_is_not_read(tmp_path: Path) -> None:
    half_done, go_on = threading.Event(), threading.Event()

    def refuse() -> None:
        half_done.set()
        go_on.wait(5)
        raise ValueError

    async def refuse_marks(store: SqliteStore) -> None:
        connection = store._database._connection
        assert connection is not None
        await connection.create_function("refuse", 0, refuse)
        await connection.execute(
            "CREATE TEMP TRIGGER late BEFORE INSERT ON mark BEGIN SELECT refuse(); END"
        )

    async def fail(store: SqliteStore) -> None:
        with pytest.raises(StoreUnavailable, match="raised exception"):
            await store.commit(update(2))

    async def ask(store: SqliteStore) -> None:
        found.extend([stored.seq for stored in await store.history("ASSET0", 9)])

    found: list[int] = []
    async with open_store(tmp_path / "store.db") as store:
        await store.commit(update(1))
        await store._portal.call(refuse_marks, store, timeout_s=5)
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(fail, store)
                await trio.to_thread.run_sync(half_done.wait, 5)
                nursery.start_soon(ask, store)
                await wait_all_tasks_blocked()
                # The connection sees rows of its own that are not committed: a question that does
                # not wait for its turn is before it now, and would find them.
                loop = store._portal._loop
                loop.call_soon_threadsafe(loop.call_later, 0, go_on.set)
    assert found == [1]


async def test_without_its_directory_the_operator_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="check that the directory exists"):
        async with open_store(tmp_path / "missing" / "store.db"):
            pass


async def test_a_closed_store_says_so_and_stays_closed(tmp_path: Path) -> None:
    async with open_portal() as portal:
        path = tmp_path / "store.db"
        async with open_sqlite_store(path, portal=portal, observer=Witness()) as store:
            pass
        with pytest.raises(StoreUnavailable, match="closed"):
            await store.commit(update(1))
    with pytest.raises(StoreUnavailable, match="portal is closed"):
        await store.load()


@pytest.mark.parametrize("with_log", [False, True])
async def test_a_file_removed_under_us_is_noticed_and_written_anew(
    tmp_path: Path, *, with_log: bool
) -> None:
    path = tmp_path / "store.db"
    async with open_store(path) as store:
        epoch = await store.begin_epoch(EPOCH)
        await store.commit(update(1))
        path.unlink()
        if with_log:
            (tmp_path / "store.db-wal").unlink()
        with pytest.raises(StoreUnavailable, match="removed or replaced"):
            await store.commit(update(2))
        await store.commit(update(3, assets=1))
    async with open_store(path) as store:
        found = await store.load()
        # What was acknowledged before is there as well.
        assert sorted(stored.seq for stored in found.latest) == [1, 1, 3]
        assert await store.begin_epoch(0) == epoch + 1
    assert query(path, "PRAGMA quick_check") == [("ok",)]


async def test_a_log_removed_under_us_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with open_store(path) as store:
        await store.commit(update(1))
        (tmp_path / "store.db-wal").unlink()
        with pytest.raises(StoreUnavailable, match="removed or replaced"):
            await store.commit(update(2))
        await store.commit(update(2))
    async with open_store(path) as store:
        assert {stored.seq for stored in (await store.load()).latest} == {2}


async def test_a_file_put_in_our_files_place_is_put_aside(tmp_path: Path) -> None:
    path, witness = tmp_path / "store.db", Witness()
    async with open_store(path, witness) as store:
        await store.commit(update(1))
        (tmp_path / "other").write_text("somebody else's")
        (tmp_path / "other").rename(path)
        with pytest.raises(StoreUnavailable, match="removed or replaced"):
            await store.commit(update(2))
        await store.commit(update(2, assets=1))
    (moved,) = set_aside(witness.facts)
    assert moved.read_text() == "somebody else's"
    async with open_store(path) as store:
        assert sorted(stored.seq for stored in (await store.load()).latest) == [1, 1, 2]


async def test_history_beyond_its_size_goes_oldest_first_and_the_file_shrinks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_module, "PRUNE_CHUNK_ROWS", 100)
    path, bytes_max = tmp_path / "store.db", 100_000
    async with (
        open_portal() as portal,
        open_sqlite_store(
            path, portal=portal, observer=Witness(), history_bytes_max=bytes_max
        ) as store,
    ):
        await store.commit(Batch(ticks=[quote_at(seq) for seq in range(5_000)]))
        # Envelopes have a bound of their own and are not counted.
        await store.commit(Batch(envelopes=[(EnvelopeKey(ALICE, EPOCH, 1), bytes(100_000))]))
        before = int(str(query(path, "PRAGMA page_count")[0][0]))
        gone = await store.prune(START_NS)
        kept = await store.history("BTC-USD", 10_000)
        assert [stored.seq for stored in kept] == list(range(4_999, gone - 1, -1))
        assert 500 < len(kept) < 2_000
        after = int(str(query(path, "PRAGMA page_count")[0][0]))
        assert after < before / 2
        assert query(path, "PRAGMA freelist_count") == [(0,)]
        assert await store.prune(START_NS) == 0


async def test_commits_come_in_between_the_steps_of_pruning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_module, "PRUNE_CHUNK_ROWS", 10)
    async with open_store(tmp_path / "store.db") as store:
        await store.commit(Batch(ticks=[quote_at(seq) for seq in range(2_000)]))
        now_ns = quote_at(1_999).received_ns + 8 * 86_400 * 10**9
        gone: list[int] = []

        async def prune() -> None:
            gone.append(await store.prune(now_ns))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(prune)
            await store.commit(update(1))
            left = query(tmp_path / "store.db", "SELECT count(*) FROM tick")
            assert left > [(1_000,)], "the commit did not wait for the end"
        assert gone[0] >= 2_000


@pytest.mark.parametrize("limit", [0, 3])
async def test_history_has_a_bound_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(sqlite_module, "HISTORY_ROWS_MAX", 3)
    async with open_store(tmp_path / "store.db") as store:
        await store.commit(Batch(ticks=[quote_at(seq) for seq in range(9)]))
        assert len(await store.history("BTC-USD", limit or 9)) == 3


async def test_times_beyond_ours_are_kept_apart_from_signed_ones(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    near = quote_at(1)
    far_away = near._replace(said=near.said._replace(epoch=2**64 - 1, seq=2**63))
    far = update(1)._replace(latest=[far_away])
    async with open_store(path) as store:
        await store.commit(far)
        await store.commit(Batch(marks=[Mark(ALICE, Topic.PRICES, 2**64 - 1, 1)]))
        await store.commit(Batch(marks=[Mark(ALICE, Topic.PRICES, 2**63 - 1, 5)]))
    async with open_store(path) as store:
        found = await store.load()
        assert found.latest == tuple(far.latest)
        assert Mark(ALICE, Topic.PRICES, 2**64 - 1, 1) in found.marks
        assert found.envelopes[EnvelopeKey(ALICE, EPOCH, 1)] == envelope_of(1)


async def test_history_of_nothing_but_names_is_not_pruned_for_ever(tmp_path: Path) -> None:
    async with (
        open_portal() as portal,
        open_sqlite_store(
            tmp_path / "store.db", portal=portal, observer=Witness(), history_bytes_max=0
        ) as store,
    ):
        with trio.fail_after(5):
            await store.commit(update(1))
            assert await store.prune(START_NS) == 3
            assert await store.prune(START_NS) == 0


async def test_a_cancelled_node_closes_its_file_all_the_same(tmp_path: Path) -> None:
    async with open_portal() as portal:
        path = tmp_path / "store.db"
        with trio.CancelScope() as scope:
            async with open_sqlite_store(path, portal=portal, observer=Witness()) as store:
                await store.commit(update(1))
                scope.cancel()
        # The last to close folds the log into the file.
        assert names_in(tmp_path) == ["store.db"]


async def test_of_a_forgotten_author_no_row_is_left_nor_a_promise(tmp_path: Path) -> None:
    path, stranger = tmp_path / "store.db", b"s" * 32
    async with open_store(path) as store:
        await store.commit(update(1))
        await store.commit(Batch(marks=[Mark(stranger, Topic.PRESENCE, EPOCH, 7)]))
        await store.commit(Batch(forgotten=[stranger, ALICE]))
        assert query(path, "SELECT key FROM author") == [(ALICE,)]
        assert query(path, "SELECT DISTINCT author_id FROM mark") == [(1,)]
        # Nor would it be written to the next file, were this one found damaged.
        known = store._database._known
        assert {author for author, _ in known.marks} == {ALICE}
        assert known.authors.get(stranger) is None
