"""Commits one update after the other and says which were acknowledged, until it is killed.

Run by test_crash.py: `python -m tests.adapters.storage.crash_child DATABASE FIRST_SEQ`.
"""

import sys
from pathlib import Path

import trio

from tests.adapters.storage.story import EPOCH, open_store, update


async def commit_for_ever(path: Path, seq: int) -> None:
    async with open_store(path) as store:
        print("epoch", await store.begin_epoch(EPOCH), flush=True)
        while True:
            await store.commit(update(seq, assets=50))
            print("acknowledged", seq, flush=True)
            seq += 1


if __name__ == "__main__":
    trio.run(commit_for_ever, Path(sys.argv[1]), int(sys.argv[2]))
