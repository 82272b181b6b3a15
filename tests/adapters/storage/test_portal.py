import asyncio
import random
import threading
from pathlib import Path

import aiosqlite
import pytest
import trio
import trio.testing

from meshnode.adapters.storage import portal as portal_module
from meshnode.adapters.storage.portal import (
    PORTAL_CALLS_MAX,
    PortalBusy,
    PortalClosed,
    open_portal,
)

TRANSACTIONS = 100
ROWS_PER_TRANSACTION = 500


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


async def test_results_and_exceptions_come_back() -> None:
    async def fail() -> None:
        raise ZeroDivisionError("by the other side")

    async with open_portal() as portal:
        assert await portal.call(double, 21, timeout_s=5) == 42
        with pytest.raises(ZeroDivisionError, match="by the other side"):
            await portal.call(fail, timeout_s=5)
        assert portal.statistics().in_flight == 0


async def test_calls_run_side_by_side_in_one_other_thread() -> None:
    barrier = asyncio.Barrier(3)
    threads: set[int] = set()

    async def meet() -> None:
        threads.add(threading.get_ident())
        await barrier.wait()

    with trio.fail_after(5):
        async with open_portal() as portal, trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(lambda: portal.call(meet, timeout_s=5))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_the_time_limit_is_kept_by_the_other_side() -> None:
    cancelled = threading.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with open_portal(drain_timeout_s=0.1) as portal:
        with trio.fail_after(5), pytest.raises(TimeoutError):
            await portal.call(hang, timeout_s=0.01)
    assert cancelled.is_set()


async def test_a_cancelled_caller_leaves_and_the_operation_finishes() -> None:
    begun, finished = threading.Event(), threading.Event()
    go_on = asyncio.Event()

    async def operation() -> None:
        begun.set()
        await go_on.wait()
        finished.set()

    async def release() -> None:
        go_on.set()

    with trio.fail_after(5):
        async with open_portal() as portal:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lambda: portal.call(operation, timeout_s=5))
                await trio.to_thread.run_sync(begun.wait)
                nursery.cancel_scope.cancel()
            assert portal.statistics().in_flight == 1
            await portal.call(release, timeout_s=5)
        assert finished.is_set()


async def test_a_caller_cancelled_before_begins_nothing() -> None:
    begun = threading.Event()

    async def operation() -> None:
        begun.set()

    async with open_portal() as portal:
        with trio.CancelScope() as scope:
            scope.cancel()
            await portal.call(operation, timeout_s=5)
        await portal.call(double, 1, timeout_s=5)
    assert not begun.is_set()


async def test_too_many_calls_are_refused_and_counted() -> None:
    go_on = asyncio.Event()

    async def release() -> None:
        go_on.set()

    async with open_portal() as portal, trio.open_nursery() as nursery:
        for _ in range(PORTAL_CALLS_MAX):
            nursery.start_soon(lambda: portal.call(go_on.wait, timeout_s=5))
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(PortalBusy):
            await portal.call(release, timeout_s=5)
        assert portal.statistics() == portal_module.PortalStatistics(PORTAL_CALLS_MAX, 1)
        nursery.cancel_scope.cancel()
        # Nobody waits for them any more; they are under way all the same.
        assert portal.statistics().in_flight == PORTAL_CALLS_MAX
        portal._loop.call_soon_threadsafe(go_on.set)


async def test_after_closing_a_call_says_so() -> None:
    async with open_portal() as portal:
        pass
    with pytest.raises(PortalClosed, match="closed"):
        await portal.call(double, 1, timeout_s=5)


async def test_closing_lets_calls_finish_until_the_deadline_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    begun = threading.Event()
    results: list[object] = []

    async def slow() -> str:
        begun.set()
        await asyncio.sleep(0.02)
        return "done"

    async def hang() -> None:
        await asyncio.Event().wait()

    async def caller(fn: object) -> None:
        try:
            results.append(await portal.call(fn, timeout_s=None))  # type: ignore[arg-type]
        except PortalClosed as error:
            results.append(error)

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery, open_portal(drain_timeout_s=0.2) as portal:
            ours = set(threading.enumerate()) - before
            assert [thread.daemon for thread in ours] == [True]
            nursery.start_soon(caller, slow)
            nursery.start_soon(caller, hang)
            await trio.to_thread.run_sync(begun.wait)
    assert results[0] == "done"
    assert isinstance(results[1], PortalClosed)
    assert not any(thread.is_alive() for thread in ours)


async def test_cancels_and_time_limits_at_any_moment_tear_no_transaction(tmp_path: Path) -> None:
    rng = random.Random(7)
    lock = asyncio.Lock()

    async def connect() -> aiosqlite.Connection:
        connection = await aiosqlite.connect(
            tmp_path / "fuzz.db", isolation_level=None, cached_statements=0
        )
        await connection.execute("PRAGMA journal_mode = WAL")
        await connection.execute("CREATE TABLE item (batch INTEGER, number INTEGER)")
        return connection

    async def transaction(connection: aiosqlite.Connection, batch: int) -> None:
        async with lock:
            try:
                await connection.execute("BEGIN")
                for half in range(2):
                    await connection.executemany(
                        "INSERT INTO item VALUES (?, ?)",
                        [(batch, 2 * n + half) for n in range(ROWS_PER_TRANSACTION // 2)],
                    )
                await connection.execute("COMMIT")
            except BaseException:
                await connection.rollback()
                raise

    async def counts(connection: aiosqlite.Connection) -> list[int]:
        # What nobody waits for any more may be half done still: one connection sees its own rows.
        async with lock:
            found = await connection.execute_fetchall("SELECT count(*) FROM item GROUP BY batch")
        return [count for (count,) in found]

    async with open_portal() as portal:
        connection = await portal.call(connect, timeout_s=5)
        interrupted = 0
        for batch in range(TRANSACTIONS):
            with trio.move_on_after(rng.choice((rng.uniform(0, 0.004), 5))) as scope:
                try:
                    limit_s = rng.choice((rng.uniform(0, 0.004), 5))
                    await portal.call(transaction, connection, batch, timeout_s=limit_s)
                except TimeoutError:
                    interrupted += 1
            interrupted += scope.cancelled_caught
        kept = await portal.call(counts, connection, timeout_s=5)
        await portal.call(connection.close, timeout_s=5)
    assert interrupted
    assert set(kept) == {ROWS_PER_TRANSACTION}
