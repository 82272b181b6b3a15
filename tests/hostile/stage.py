"""An honest provider and an honest consumer who meet only through the victim."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import trio

from protocols.ids import key_from_peer_id
from tests.hostile.hostile_peer import Target
from tests.processes.harness import NodeProcess, node_process, provider

SOURCE = "walk:BTC-USD,ETH-USD,SOL-USD,XRP-USD,ADA-USD,DOT-USD?interval_s=0.05"
SETTLE_S = 3.0
RSS_GROWTH_MAX = 64 * 1024 * 1024


class Stage:
    """Three processes, and what is to be seen of them from outside."""

    def __init__(self, victim: NodeProcess, alice: NodeProcess, bob: NodeProcess) -> None:
        self.victim = victim
        self.alice = alice
        self.bob = bob
        self.target = Target.at(victim.addr)
        self.answered_s: list[float] = []
        self.joined_s: list[float] = []
        self._first = self._last = (0, 0)

    async def begin(self) -> None:
        """From here on nothing may be lost."""
        await self.bob.logged("provider_discovered", within_s=10, provider_id=self.alice.node_id)
        with trio.fail_after(10):
            await until(lambda: bool(names(self.bob, self.alice)))
        self._first = max(names(self.bob, self.alice))

    async def probe(self) -> None:
        """Have a stranger join and ask for the status, again and again."""
        command = [sys.executable, "-m", "tests.hostile.stranger", self.victim.addr]
        process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        try:
            pending = b""
            async for part in process.stdout:
                *lines, pending = (pending + part).split(b"\n")
                for took in map(json.loads, lines):
                    self.joined_s.append(took["joined_s"])
                    self.answered_s.append(took["answered_s"])
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.stdout.aclose()
                await process.wait()
        raise AssertionError("the stranger was kept outside for too long, or not answered")

    def has_measured(self) -> bool:
        """Whether a stranger was answered, and an update was heard."""
        return bool(self.answered_s) and max(names(self.bob, self.alice)) > self._first

    def late_s(self) -> float:
        """From issue to arrival at the consumer: all but one in a hundred updates were faster."""
        heard = names(self.bob, self.alice)
        delays = sorted(took_s for name, took_s in heard.items() if name > self._first)
        return delays[len(delays) * 99 // 100]

    async def lost(self) -> tuple[set[tuple[int, int]], int]:
        """Which of the provider's updates the consumer lacks, and how many there were."""
        said = {name for name in names(self.alice, self.alice) if name >= self._first}
        with trio.move_on_after(SETTLE_S):
            await until(lambda: said <= names(self.bob, self.alice).keys())
        return said - names(self.bob, self.alice).keys(), len(said)

    def resident_bytes(self) -> int:
        """The victim's memory."""
        fields = Path(f"/proc/{self.victim.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        """The victim's open files and sockets."""
        return len(os.listdir(f"/proc/{self.victim.pid}/fd"))

    def not_log_lines(self) -> list[str]:
        """What the victim wrote to stderr that is no record of its log, such as a traceback."""
        return [record["line"] for record in self.victim.log if record["event"] == "not_json"]


async def until(is_so: Callable[[], bool]) -> None:
    """Look again and again: other processes, and their files, tell nobody when they change."""
    while not is_so():  # noqa: ASYNC110 - see above
        await trio.sleep(0.2)


def names(holder: NodeProcess, author: NodeProcess) -> dict[tuple[int, int], float]:
    """An author's updates in a node's history on disk: (epoch, seq), and the seconds they took."""
    path = f"file:{holder.data_dir / 'meshnode.db'}?mode=ro"
    with closing(sqlite3.connect(path, uri=True)) as database:
        rows = database.execute(
            "SELECT DISTINCT epoch, seq, received_ns - issued_ns FROM tick"
            " JOIN author ON author.id = tick.author_id WHERE author.key = ?",
            (key_from_peer_id(author.node_id),),
        )
        return {(epoch, seq): took_ns / 1e9 for epoch, seq, took_ns in rows}


@asynccontextmanager
async def open_stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A victim, a provider connected to it, a consumer connected to it, and prices flowing."""
    async with (
        node_process(tmp_path / "victim") as victim,
        node_process(tmp_path / "alice", *provider(SOURCE, connect=victim.addr)) as alice,
        node_process(tmp_path / "bob", "--connect", victim.addr) as bob,
    ):
        stage = Stage(victim, alice, bob)
        await stage.begin()
        yield stage
