import errno
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from meshnode.adapters import datadir
from meshnode.adapters.datadir import open_data_dir, read_or_create_identity
from meshnode.errors import ConfigError, DataDirInUse
from protocols.ids import key_from_peer_id

HOLD = """
import sys
from pathlib import Path
from meshnode.adapters.datadir import open_data_dir
with open_data_dir(Path(sys.argv[1])) as data_dir:
    data_dir.write_node_file(addrs=["/ip4/127.0.0.1/tcp/4001"], started_ns=0)
    print("held", flush=True)
    sys.stdin.read()
"""


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def start_holder(path: Path) -> "subprocess.Popen[str]":
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_alice_keeps_her_identity_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "alice"
    with open_data_dir(home) as first:
        alice = first.identity
    with open_data_dir(home) as second:
        assert second.identity.peer_id == alice.peer_id
    assert key_from_peer_id(alice.peer_id) == alice.public_key
    assert mode_of(home) == 0o700
    assert mode_of(home / "key") == 0o600
    assert sorted(file.name for file in home.iterdir()) == ["key", "lock"]


def test_two_directories_are_two_nodes(tmp_path: Path) -> None:
    alice = read_or_create_identity(tmp_path / "alice")
    bob = read_or_create_identity(tmp_path / "bob")
    assert alice.peer_id != bob.peer_id


def test_a_second_process_is_told_who_holds_the_directory(tmp_path: Path) -> None:
    with start_holder(tmp_path) as holder:
        refusal = rf"process {holder.pid}: stop it"
        with pytest.raises(DataDirInUse, match=refusal), open_data_dir(tmp_path):
            pass
        # Being refused spoils nothing for the one that runs.
        assert json.loads((tmp_path / "node.json").read_text())["pid"] == holder.pid
        identity = read_or_create_identity(tmp_path)
        assert json.loads((tmp_path / "node.json").read_text())["node_id"] == identity.peer_id
        holder.communicate("")
    with open_data_dir(tmp_path) as data_dir:
        assert data_dir.identity.peer_id == identity.peer_id


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    with start_holder(tmp_path) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    (tmp_path / ".node.json-half").write_text("{")
    assert (tmp_path / "node.json").exists()
    with open_data_dir(tmp_path):
        assert sorted(file.name for file in tmp_path.iterdir()) == ["key", "lock"]


def test_the_node_file_is_there_while_the_node_runs(tmp_path: Path) -> None:
    with open_data_dir(tmp_path) as data_dir:
        assert not (tmp_path / "node.json").exists()
        for addrs in (["/ip4/127.0.0.1/tcp/4001/p2p/alice"], ["/ip4/127.0.0.1/tcp/4002/p2p/alice"]):
            data_dir.write_node_file(addrs=addrs, started_ns=1_700_000_000 * 10**9 + 5)
        assert json.loads((tmp_path / "node.json").read_text()) == {
            "node_id": data_dir.identity.peer_id,
            "addrs": ["/ip4/127.0.0.1/tcp/4002/p2p/alice"],
            "pid": os.getpid(),
            "started": "2023-11-14T22:13:20Z",
        }
        assert data_dir.database_path.parent == tmp_path
    assert not (tmp_path / "node.json").exists()


@pytest.mark.parametrize("content", ["", "abc", "g" * 64, "0" * 63, "0" * 65, "00" * 32 + "\nmore"])
def test_a_broken_key_is_refused_and_never_replaced(tmp_path: Path, content: str) -> None:
    key = tmp_path / "key"
    key.write_text(content)
    key.chmod(0o600)
    with pytest.raises(ConfigError, match="restore it from a backup"):
        read_or_create_identity(tmp_path)
    assert key.read_text() == content


def test_a_key_that_others_can_read_is_refused_with_the_remedy(tmp_path: Path) -> None:
    alice = read_or_create_identity(tmp_path)
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(ConfigError, match=r"chmod 600 .*/key") as refused, open_data_dir(tmp_path):
        pass
    assert alice.key.encode().hex() not in str(refused.value)
    (tmp_path / "key").chmod(0o600)
    # The refusal let go of the lock.
    with open_data_dir(tmp_path) as data_dir:
        assert data_dir.identity.peer_id == alice.peer_id


def test_of_two_that_make_a_key_at_once_both_get_the_same(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; sys.stdin.read();"
        "from meshnode.adapters.datadir import read_or_create_identity as read;"
        "print(read(Path(sys.argv[1])).peer_id)"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "new")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    ids = {racer.communicate("")[0] for racer in racers}
    assert len(ids) == 1
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["key"]


def test_a_key_made_by_another_in_the_meantime_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = read_or_create_identity(tmp_path)
    # As if it had not been there yet when we looked.
    monkeypatch.setattr(Path, "exists", lambda _: False)
    assert read_or_create_identity(tmp_path).peer_id == alice.peer_id


@pytest.mark.parametrize(
    ("data_dir", "directory", "why"),
    [
        ("file", None, r"\(.*/file\): .*it is a file where a directory is expected"),
        ("file/alice", None, r"\(.*/file/alice\): .*the file on this path"),
        ("alice", "key", r"\(.*/alice/key\): .*it is a directory where a file is expected"),
        ("alice", "lock", r"\(.*/alice/lock\): .*it is a directory where a file is expected"),
    ],
)
def test_what_is_no_directory_or_no_file_is_named(
    tmp_path: Path, data_dir: str, directory: str | None, why: str
) -> None:
    (tmp_path / "file").write_text("")
    if directory is not None:
        (tmp_path / data_dir / directory).mkdir(parents=True)
    with pytest.raises(ConfigError, match=why), open_data_dir(tmp_path / data_dir):
        pass


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, ": free some space, or choose another --data-dir"),
        (errno.EACCES, ": check its owner and its mode, or choose another --data-dir"),
        (errno.EROFS, ", and how it is mounted, or choose another --data-dir"),
        (errno.EIO, r"\): choose another --data-dir"),
    ],
)
def test_the_remedy_is_that_of_the_error(tmp_path: Path, number: int, remedy: str) -> None:
    with pytest.raises(ConfigError, match=f"{remedy}$"), datadir._explained(tmp_path):
        raise OSError(number, os.strerror(number), str(tmp_path / "key"))


def test_a_directory_that_cannot_be_made_is_the_operators_to_fix(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="--data-dir"), open_data_dir(tmp_path / "file" / "alice"):
        pass
