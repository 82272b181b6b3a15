"""What is remembered of others, on a disk that damages it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from meshnode.ports import Batch, KnownAddr, KnownNode
from tests.adapters.storage.story import ALICE, BOB, START_NS, open_store

ADDR = "/ip4/198.51.100.7/tcp/4201"


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE known_node SET last_seen_ns = last_seen_ns + 1",
        "UPDATE known_node SET key = x'00'",
        "UPDATE known_addr SET addr = addr || '1'",
        "UPDATE known_addr SET last_success_ns = NULL",
        "UPDATE known_addr SET failures = -1",
        "UPDATE known_addr SET failures = failures + 1",
        "UPDATE last_sign SET at_ns = at_ns - 1",
    ],
)
async def test_a_damaged_row_is_left_out_counted_and_written_over(
    tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "store.db"
    batch = Batch(
        nodes=[KnownNode(ALICE, START_NS)],
        addrs=[KnownAddr(BOB, ADDR, START_NS, 1)],
        last_sign_ns=START_NS,
    )
    async with open_store(path) as store:
        await store.commit(batch)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(damage)
    async with open_store(path) as store:
        found = await store.load()
        assert found.damaged == 1
        kept = (len(found.nodes), len(found.addrs), found.last_sign_ns is not None)
        assert sorted(kept) == [0, 1, 1]
        await store.commit(batch)
        again = await store.load()
    assert set(batch.nodes) <= set(again.nodes)
    assert set(batch.addrs) <= set(again.addrs)
    assert again.last_sign_ns == START_NS
