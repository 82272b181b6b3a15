"""One node under a shell: restarts, signals, a lost reader, and what its log must not say."""

import base64
import os
import random
import signal
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
import trio

from meshnode.services import ask
from protocols.queries import WatchEvent
from tests.processes.harness import (
    WALK,
    client_of,
    environment,
    node_process,
    provider,
    run_arguments,
)

FIRST_ANSWER_S = 1.0
COMMITS_EVERY_S = 0.15


async def test_a_warm_restart_serves_at_once_what_it_kept(tmp_path: Path) -> None:
    """Killed, started within seconds, ended in order, and then without any provider."""
    async with node_process(tmp_path, *provider()) as killed:
        await killed.kill()
    first_epoch = own_epoch_on_disk(tmp_path)
    async with node_process(tmp_path, *provider()) as alice, client_of(alice) as client:
        assert own_epoch_on_disk(tmp_path) > first_epoch
        await client.wait_event("price", has_both_prices, within_s=5)
        kept = await ask.prices(client.mesh, client.peer)
        assert await alice.terminate() == 0
    async with node_process(tmp_path) as alone:
        ready_at = trio.current_time()
        async with client_of(alone) as client:
            served = await ask.prices(client.mesh, client.peer)
            assert trio.current_time() - ready_at <= FIRST_ANSWER_S
            status = await ask.status(client.mesh, client.peer, ["outage", "warnings"])
        assert served.keys() == kept.keys() == {"BTC-USD", "ETH-USD"}
        assert {answer.state for answer in served.values()} == {"cached"}
        assert status["outage"] is not None
        assert "NO_PROVIDERS" in {warning.code for warning in status["warnings"]}


def has_both_prices(told: WatchEvent) -> bool:
    """Whether a price event tells of each asset that the walk has."""
    return len(told.fields["prices"]) == 2


def own_epoch_on_disk(data_dir: Path) -> int:
    """The epoch that the last start stored before it said anything."""
    with closing(sqlite3.connect(data_dir / "meshnode.db")) as database:
        ((epoch,),) = database.execute("SELECT epoch FROM own_epoch")
    return int(epoch)


async def kill_it_while_it_writes(times: int, seed: int, tmp_path: Path) -> None:
    """What the database held before a start it holds after it, and marks never go back."""
    rng = random.Random(seed)
    async with node_process(tmp_path / "alice", *provider()) as alice:
        marks: dict[tuple[int, int], tuple[int, int]] = {}
        for _ in range(times):
            async with node_process(tmp_path / "bob", "--connect", alice.addr) as bob:
                assert "store_set_aside" not in bob.events()
                restored = await bob.logged("store_restored", within_s=1)
                assert restored["damaged"] == 0
                async with client_of(bob) as client:
                    await client.wait_event("price", has_both_prices, within_s=5)
                await trio.sleep(rng.uniform(0, COMMITS_EVERY_S))
                await bob.kill()
            found = marks_on_disk(tmp_path / "bob")
            assert found.keys() >= marks.keys()
            assert all(found[key] >= mark for key, mark in marks.items())
            marks = found
        assert marks
        assert not alice.has_ended


def marks_on_disk(data_dir: Path) -> dict[tuple[int, int], tuple[int, int]]:
    """The (epoch, seq) of every author and topic in a database that is sound."""
    with closing(sqlite3.connect(data_dir / "meshnode.db")) as database:
        assert database.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        rows = database.execute("SELECT author_id, topic, epoch, seq FROM mark").fetchall()
    return {(author, topic): (epoch, seq) for author, topic, epoch, seq in rows}


async def test_killed_while_it_writes_it_loses_nothing(tmp_path: Path) -> None:
    await kill_it_while_it_writes(5, 5, tmp_path)


@pytest.mark.long
async def test_killed_a_hundred_times_while_it_writes_it_loses_nothing(tmp_path: Path) -> None:
    await kill_it_while_it_writes(100, 100, tmp_path)


@asynccontextmanager
async def unread(command: Sequence[str]) -> AsyncIterator[trio.Process]:
    """A process whose output nobody reads, its pipes closed; killed on leaving."""
    read_end, write_end = os.pipe()
    try:
        process = await trio.lowlevel.open_process(
            command, stdout=write_end, stderr=write_end, env=environment()
        )
    finally:
        os.close(read_end)
        os.close(write_end)
    try:
        yield process
    finally:
        with trio.CancelScope(shield=True):
            process.kill()
            await process.wait()


async def test_it_goes_on_when_nobody_reads_what_it_says(tmp_path: Path) -> None:
    """`meshnode run | head -1`, its stderr gone as well."""
    async with unread(run_arguments(tmp_path, "--log-level", "debug", *provider())) as process:
        with trio.fail_after(20):
            while not (tmp_path / "node.json").exists():
                assert process.poll() is None
                await trio.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        with trio.fail_after(10):
            assert await process.wait() == 0


async def test_sigint_ends_it_in_order_and_no_secret_is_in_its_log(tmp_path: Path) -> None:
    async with node_process(tmp_path, "--log-level", "debug", *provider(WALK)) as alice:
        async with client_of(alice) as client:
            await ask.status(client.mesh, client.peer)
        assert await alice.terminate(signal.SIGINT) == 0
        assert "leaving" in alice.events()
        assert not alice.data_dir.joinpath("node.json").exists()
        assert "peer_joined" in alice.events()  # it did log in detail
    text = (tmp_path / "key").read_text().strip()
    seed = bytes.fromhex(text)
    spellings = (
        text.encode(),
        text.upper().encode(),
        seed,
        repr(seed).encode()[2:-1],
        base64.b64encode(seed),
        base64.urlsafe_b64encode(seed).rstrip(b"="),
    )
    for spelling in spellings:
        assert spelling not in alice.stderr
