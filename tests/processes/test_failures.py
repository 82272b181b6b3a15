"""What can be wrong at the start: the exit code, and what the operator is told to do."""

import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import trio

from meshnode.services import ask
from tests.processes.harness import (
    LOOPBACK,
    client_of,
    finished,
    meshnode,
    node_process,
    provider,
    run_arguments,
)

FAILS_WITHIN_S = 8.0
NOBODY = "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port of loopback on which somebody else listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


async def test_a_second_process_in_its_directory_is_refused(tmp_path: Path) -> None:
    async with node_process(tmp_path) as alice:
        started_at = trio.current_time()
        second = await finished(run_arguments(tmp_path))
        assert trio.current_time() - started_at < FAILS_WITHIN_S
        assert second.code == 1
        assert f"in use by process {alice.pid}" in second.stderr
        assert "--data-dir" in second.stderr
        async with client_of(alice) as client:
            assert (await ask.status(client.mesh, client.peer, ["role"]))["role"] == "consumer"
        assert (tmp_path / "node.json").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--network", "Main!"], "network"),
        (["--connect", "/ip4/127.0.0.1/tcp/1"], "connect"),
        (["--role", "provider"], "source"),
    ],
)
async def test_a_wrong_setting_is_named(tmp_path: Path, arguments: list[str], named: str) -> None:
    failed = await finished(run_arguments(tmp_path, *arguments))
    assert failed.code == 2
    assert named in failed.stderr
    assert "Traceback" not in failed.stderr


async def test_a_misspelt_key_in_the_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "meshnode.toml"
    file.write_text('netwrok = "main"\n')
    failed = await finished(run_arguments(tmp_path, "--config", str(file)))
    assert failed.code == 2
    assert "netwrok" in failed.stderr
    assert "network" in failed.stderr


async def test_a_peer_that_is_not_there_is_unreachable() -> None:
    failed = await meshnode("status", NOBODY)
    assert (failed.code, failed.stdout) == (3, "")
    assert NOBODY in failed.stderr
    assert "Traceback" not in failed.stderr


async def test_a_source_file_that_is_missing_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "ticks.csv")
    failed = await finished(run_arguments(tmp_path / "node", *provider(f"replay:{missing}")))
    assert failed.code == 2
    assert missing in failed.stderr
    assert "Traceback" not in failed.stderr


async def test_a_port_that_is_taken_is_named(tmp_path: Path, taken_port: int) -> None:
    listen = LOOPBACK.removesuffix("0") + str(taken_port)
    failed = await finished(run_arguments(tmp_path, listen=listen))
    assert failed.code == 2
    assert str(taken_port) in failed.stderr
    assert "Traceback" not in failed.stderr


async def test_a_database_that_cannot_be_read_is_set_aside(tmp_path: Path) -> None:
    database = tmp_path / "meshnode.db"
    database.write_bytes(b"no database at all" * 1000)
    async with node_process(tmp_path) as alice:
        aside = await alice.logged("store_set_aside", within_s=1)
        assert aside["level"] == "error"
        assert await alice.terminate() == 0
    moved_to = tmp_path / "meshnode.db.damaged-1"
    assert aside["moved_to"] == str(moved_to)
    assert moved_to.read_bytes().startswith(b"no database")
    assert database.read_bytes().startswith(b"SQLite format 3")


async def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "meshnode.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript("PRAGMA user_version = 99; CREATE TABLE later (x)")
    before = path.read_bytes()
    failed = await finished(run_arguments(tmp_path))
    assert failed.code == 2
    assert "newer meshnode" in failed.stderr
    assert path.read_bytes() == before
    assert "Traceback" not in failed.stderr
