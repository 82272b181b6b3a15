"""A provider that is killed and starts again within seconds, and those that leave."""

import signal
import sqlite3
from contextlib import closing
from itertools import count
from pathlib import Path

import trio

from meshnode.cli.run import SHUTDOWN_S
from meshnode.services import ask
from protocols.queries import WatchEvent
from tests.processes.harness import WALK, client_of, node_process, provider
from tests.processes.test_two_nodes import (
    LEAVING_KNOWN_S,
    fresh_from,
    is_of,
    last_on_disk,
    newest_name,
)

UPDATES_MIN = 10
# Two thousand quotes a second, in ten updates.
LOAD = f"walk:{','.join(f'A{number}-USD' for number in range(200))}?interval_s=0.05"


def epochs_on_disk(data_dir: Path) -> dict[int, set[int]]:
    """By the epoch of the only provider: the numbers of its updates in the history."""
    with closing(sqlite3.connect(data_dir / "meshnode.db")) as database:
        rows = database.execute("SELECT DISTINCT epoch, seq FROM tick").fetchall()
    return {epoch: {seq for of, seq in rows if of == epoch} for epoch, _ in rows}


async def test_nothing_is_lost_that_is_said_after_a_restart(tmp_path: Path) -> None:
    async with node_process(tmp_path / "bob") as bob:
        async with (
            node_process(tmp_path / "alice", *provider(WALK, connect=bob.addr)) as alice,
            client_of(bob) as client,
        ):
            await client.wait_event("price", is_of(alice.node_id), within_s=5)
            await alice.kill()
        async with (
            node_process(tmp_path / "alice", *provider(WALK, connect=bob.addr)) as alice,
            client_of(bob) as client,
        ):
            updates = count(1)
            is_fresh = fresh_from(alice.node_id)

            def has_said_enough(told: WatchEvent) -> bool:
                return is_fresh(told) and next(updates) >= UPDATES_MIN

            await client.wait_event("price", has_said_enough, within_s=10)
            assert await alice.terminate() == 0
        assert await bob.terminate() == 0
    said, heard = epochs_on_disk(tmp_path / "alice"), epochs_on_disk(tmp_path / "bob")
    last = max(said)  # the first one may have been killed before it wrote anything
    assert last == max(heard)
    assert said[last] == set(range(1, max(said[last]) + 1))
    assert heard[last] == said[last]


async def test_under_load_leaving_is_as_quick_and_nothing_is_left_unwritten(
    tmp_path: Path,
) -> None:
    async with (
        node_process(tmp_path / "bob") as bob,
        node_process(tmp_path / "alice", *provider(LOAD, connect=bob.addr)) as alice,
        client_of(bob) as client,
    ):
        await client.wait_event("price", is_of(alice.node_id), within_s=5)
        asked_at = trio.current_time()
        alice.send(signal.SIGTERM)
        await bob.logged("provider_left", within_s=LEAVING_KNOWN_S, provider_id=alice.node_id)
        assert await alice.exit_code() == 0
        assert trio.current_time() - asked_at < 10
        status = await ask.status(client.mesh, client.peer, ["known_providers"])
        assert [known.state for known in status["known_providers"]] == ["left"]
        last_heard = await newest_name(client, alice.node_id)
        assert last_on_disk(alice.data_dir) >= last_heard
        assert await bob.terminate() == 0
        assert last_on_disk(bob.data_dir) == last_heard
        assert max(said := epochs_on_disk(alice.data_dir)) == last_heard[0]
        assert epochs_on_disk(bob.data_dir)[last_heard[0]] == said[last_heard[0]]


async def test_who_cannot_write_before_it_ends_says_so_with_its_exit_code(tmp_path: Path) -> None:
    async with (
        node_process(tmp_path / "bob") as bob,
        node_process(tmp_path / "alice", *provider(WALK, connect=bob.addr)) as alice,
        client_of(bob) as client,
    ):
        await client.wait_event("price", is_of(alice.node_id), within_s=5)
        with closing(sqlite3.connect(tmp_path / "alice" / "meshnode.db")) as locked:
            locked.execute("BEGIN IMMEDIATE")
            await client.wait_event("price", is_of(alice.node_id), within_s=5)
            asked_at = trio.current_time()
            assert await alice.terminate() == 1
            assert trio.current_time() - asked_at < SHUTDOWN_S
        left = await alice.logged("store_left_behind", within_s=1)
        assert left["rows"] > 0
        assert await bob.terminate() == 0
