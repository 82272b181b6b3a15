import random
import subprocess
import sys
from pathlib import Path

import pytest

from meshnode.ports import EnvelopeKey, Mark
from protocols.ids import Topic
from tests.adapters.storage.story import (
    ALICE,
    EPOCH,
    Witness,
    envelope_of,
    open_store,
    query,
    quote_at,
)


def last_acknowledged(path: Path, first_seq: int, rng: random.Random) -> tuple[int, int]:
    """Let a child commit, kill it at any moment; returns its epoch and what it last got through."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.adapters.storage.crash_child", str(path), str(first_seq)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    with child:
        lines = [child.stdout.readline() for _ in range(rng.randrange(2, 40))]
        child.kill()
        # It went on between the last line read and its death.
        lines += child.stdout.read().splitlines()
    said = [line.split() for line in lines if line.strip()]
    return int(said[0][1]), int(said[-1][1])


async def kill_it(times: int, path: Path, seed: int) -> None:
    rng = random.Random(seed)
    epochs: list[int] = []
    seq = 0
    for _ in range(times):
        epoch, acknowledged = last_acknowledged(path, seq + 1, rng)
        epochs.append(epoch)
        witness = Witness()
        async with open_store(path, witness) as store:
            found = await store.load()
            history = await store.history("ASSET0", 10_000)
        assert witness.facts == []
        assert found.damaged == 0
        # One more than acknowledged may have been committed; a part of one, never.
        (seq,) = {stored.seq for stored in found.latest}
        assert acknowledged <= seq <= acknowledged + 1
        assert sorted(found.latest) == sorted(quote_at(seq, f"ASSET{n}") for n in range(50))
        assert found.envelopes == {EnvelopeKey(ALICE, EPOCH, seq): envelope_of(seq)}
        assert set(found.marks) == {Mark(ALICE, topic, EPOCH, seq) for topic in Topic}
        assert [stored.seq for stored in history] == list(range(seq, 0, -1))
        assert query(path, "PRAGMA quick_check") == [("ok",)]
    assert epochs == list(range(EPOCH, EPOCH + times))


async def test_killed_at_any_moment_it_loses_nothing_acknowledged(tmp_path: Path) -> None:
    await kill_it(5, tmp_path / "store.db", seed=5)


@pytest.mark.long
async def test_killed_a_hundred_times_it_loses_nothing_acknowledged(tmp_path: Path) -> None:
    await kill_it(100, tmp_path / "store.db", seed=100)
