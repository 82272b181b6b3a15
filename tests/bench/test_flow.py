"""Two processes on loopback: 100 updates a second of 100 quotes, for a minute."""

import json
import os
import sqlite3
from collections import Counter
from pathlib import Path

import pytest
import trio

from tests.bench.figures import percentile, show
from tests.processes.harness import meshnode, node_process, provider

pytestmark = pytest.mark.bench

# Some steps of a walk are none: this makes about a hundred quotes a hundred times a second.
ASSETS = ",".join(f"A{number:03}-USD" for number in range(104))
INTERVAL_S = 0.01
SECONDS = float(os.environ.get("BENCH_FLOW_S", "60"))
SETTLE_S = 2.0  # after joining; what it took up then was said before it came
NS = 10**9


async def test_flow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A window of a millisecond: every change is an update of its own, as it must be for the rate.
    faster = tmp_path / "faster.toml"
    faster.write_text("publish_window_ms = 1\n")
    source = f"walk:{ASSETS}?interval_s={INTERVAL_S}"
    # Where anybody may publish, an author has a budget that is about a third of this.
    own_id = json.loads(
        (await meshnode("id", "--data-dir", str(tmp_path / "alice"), "--json")).stdout
    )
    allow = ("--allow", own_id["node_id"])
    run_alice = ("--config", str(faster), *provider(source), *allow)
    async with (
        node_process(tmp_path / "alice", *run_alice) as alice,
        node_process(tmp_path / "bob", "--connect", alice.addr, *allow) as bob,
    ):
        await trio.sleep(SETTLE_S + SECONDS)
        cpu_s = {node: _cpu_s(process.pid) for node, process in (("a", alice), ("b", bob))}
        assert await bob.terminate() == 0
        assert await alice.terminate() == 0
    heard = _updates(tmp_path / "bob" / "meshnode.db")
    first, last = min(heard), max(heard)
    missing = [seq for seq in range(first, last + 1) if seq not in heard]
    begin_ns = min(received for _, received, _ in heard.values()) + SETTLE_S * NS
    measured = [update for update in heard.values() if update[0] > begin_ns]
    lags_ms = [(received - issued) / 1e6 for issued, received, _ in measured]
    span_s = (max(u[0] for u in measured) - min(u[0] for u in measured)) / NS
    sizes = Counter(quotes for *_, quotes in measured)
    show(
        "publish to the other process's book",
        updates=len(measured),
        per_s=len(measured) / span_s,
        quotes=sizes.most_common(1)[0][0],
        lost=len(missing),
        p50_ms=percentile(lags_ms, 0.5),
        p99_ms=percentile(lags_ms, 0.99),
        max_ms=max(lags_ms),
        cpu_s=f"{cpu_s['a']:.1f}+{cpu_s['b']:.1f}",
    )
    assert not missing


def _updates(database: Path) -> dict[int, tuple[int, int, int]]:
    """By number: when it was issued and received (Unix ns), and its quotes, from the history."""
    connection = sqlite3.connect(database)
    rows = connection.execute(
        "SELECT seq, min(issued_ns), min(received_ns), count(*) FROM tick GROUP BY seq"
    )
    updates = {seq: (issued, received, quotes) for seq, issued, received, quotes in rows}
    connection.close()
    return updates


def _cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
