"""The command as a shell sees it: what it loads, prints and returns."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from meshnode.__main__ import main
from protocols.ids import peer_id

ALICE = peer_id(bytes(SigningKey(b"a" * 32).verify_key))
HEAVY = ("trio", "libp2p", "pydantic", "structlog", "aiosqlite", "nacl", "rich.live")


@dataclass(frozen=True)
class Answer:
    code: int
    stdout: str
    stderr: str


Meshnode = Callable[..., Answer]


@pytest.fixture
def meshnode(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Meshnode:
    """The command in this process, in an environment without settings."""
    for name in os.environ:
        if name.startswith("MESHNODE_"):
            monkeypatch.delenv(name)

    def run(*arguments: str) -> Answer:
        code = main(arguments)
        output = capsys.readouterr()
        return Answer(code, output.out, output.err)

    return run


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"], ["version"]])
def test_help_and_version_load_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys; from meshnode.__main__ import main; code = main(sys.argv[1:]);"
        f"print([name for name in {HEAVY!r} if name in sys.modules], code, file=sys.stderr)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert answer.stderr == "[] 0\n"


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_while_the_command_loads_is_quiet(tmp_path: Path) -> None:
    library = tmp_path / "cyclopts.py"  # found before the real one
    library.write_text("import signal; signal.raise_signal(signal.SIGINT)")
    search = os.pathsep.join([str(tmp_path), *sys.path])
    answer = subprocess.run(
        [sys.executable, "-m", "meshnode", "version"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, "PYTHONPATH": search},
    )
    assert (answer.returncode, answer.stdout, answer.stderr) == (130, "", "")


def test_an_output_that_takes_nothing_is_an_error_and_no_traceback() -> None:
    with open(os.devnull) as read_only:
        answer = subprocess.run(
            [sys.executable, "-m", "meshnode", "version"],
            stdout=read_only,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            check=False,
        )
    assert answer.returncode == 1
    assert answer.stderr == "error: cannot write the output: Bad file descriptor\n"


def test_help_lists_the_commands_and_exit_codes(meshnode: Meshnode) -> None:
    text = meshnode("--help").stdout
    for command in ("demo", "run", "status", "prices", "watch", "id", "version"):
        assert f" {command} " in text
    assert "3 peer" in text


def test_both_versions_agree(meshnode: Meshnode) -> None:
    text = meshnode("--version").stdout
    assert meshnode("version").stdout == text
    assert text == f"meshnode {json.loads(meshnode('version', '--json').stdout)['version']}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["run", "--frobnicate"],
        ["run", "--role", "relay"],
        ["status"],
        ["status", "192.0.2.1:4201"],
        ["prices", f"/ip4/192.0.2.1/tcp/1/p2p/{ALICE}", "btc-usd"],
        ["watch", "x", "--event", "weather"],
        ["watch", "x", "--seconds", "0"],
        ["run", "--print-config", "--connect", "/ip4/192.0.2.1/tcp/1"],
        ["run", "--config", "missing.toml"],
    ],
)
def test_wrong_usage_exits_2_with_an_error_and_no_traceback(
    arguments: list[str], meshnode: Meshnode
) -> None:
    answer = meshnode(*arguments)
    assert answer.code == 2
    assert answer.stdout == ""
    assert answer.stderr.startswith("error: ")
    assert len(answer.stderr.splitlines()) <= 2
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "help_"),
    [
        (["frobnicate"], "meshnode --help lists the commands"),
        (["run", "--frobnicate"], "meshnode run --help lists its options"),
        (["watch", "x", "--seconds", "0"], "meshnode watch --help lists its options"),
    ],
)
def test_wrong_usage_names_the_help_that_helps(
    arguments: list[str], help_: str, meshnode: Meshnode
) -> None:
    assert meshnode(*arguments).stderr.splitlines()[1:] == [f"       {help_}"]


def test_an_error_is_json_on_stderr_when_asked(meshnode: Meshnode) -> None:
    answer = meshnode("run", "--role", "provider", "--json")
    assert (answer.code, answer.stdout) == (2, "")
    error = json.loads(answer.stderr)["error"]
    assert error["code"] == "config_error"
    assert "a provider needs a source" in error["message"]
    usage = json.loads(meshnode("frobnicate", "--json").stderr)["error"]
    assert usage["code"] == "usage"


def test_a_directory_without_a_running_node_exits_3(tmp_path: Path, meshnode: Meshnode) -> None:
    answer = meshnode("status", str(tmp_path), "--json")
    assert answer.code == 3
    assert json.loads(answer.stderr)["error"]["code"] == "peer_unreachable"


def test_lists_are_repeated_or_follow_one_flag(meshnode: Meshnode) -> None:
    addrs = [f"/ip4/192.0.2.1/tcp/{port}/p2p/{ALICE}" for port in (1, 2, 3)]
    answer = meshnode(
        "run", "--print-config", "--json", "--connect", addrs[0], "--connect", *addrs[1:]
    )
    document = json.loads(answer.stdout)
    assert document["config"]["connect"] == addrs
    assert document["origins"]["connect"] == "flag --connect"


def test_every_flag_reaches_the_configuration(tmp_path: Path, meshnode: Meshnode) -> None:
    flags = {
        "role": "provider",
        "network": "test",
        "listen": "/ip4/127.0.0.1/tcp/0",
        "announce": "/dns4/alice.example/tcp/1",
        "allow": ALICE,
        "data_dir": str(tmp_path),
        "source": "walk:BTC-USD",
        "log_format": "json",
        "log_level": "debug",
    }
    arguments = [
        part for name, value in flags.items() for part in (f"--{name.replace('_', '-')}", value)
    ]
    config = json.loads(meshnode("run", "--print-config", "--json", *arguments).stdout)["config"]
    flags["sources"] = flags.pop("source")
    for key, value in flags.items():
        assert config[key] in (value, [value])


def test_the_environment_reaches_the_configuration(
    meshnode: Meshnode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESHNODE_NETWORK", "test")
    answer = meshnode("run", "--print-config")
    assert 'network = "test"  # environment MESHNODE_NETWORK' in answer.stdout


def test_an_id_is_made_once_and_kept(meshnode: Meshnode, tmp_path: Path) -> None:
    first = meshnode("id", "--data-dir", str(tmp_path))
    again = meshnode("id", "--data-dir", str(tmp_path), "--json")
    assert first.code == again.code == 0
    assert json.loads(again.stdout) == {
        "node_id": first.stdout.strip(),
        "data_dir": str(tmp_path),
    }
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_the_shell_gets_the_exit_code() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "meshnode", "frobnicate"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "Traceback" not in answer.stderr


def test_a_reader_that_left_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "meshnode", "version"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Unbuffered, the failure would not wait for the end of the interpreter.
        env={name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"},
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as errors:
        assert errors.read() == b""
    assert process.wait(timeout=30) == 0


@pytest.mark.parametrize(
    ("redirection", "arguments", "code"),
    [
        ("2>&1 >/dev/null | true", "frobnicate", 2),
        ("2>&-", "frobnicate", 2),
        ("| true", "--help", 0),
        (">/dev/full", "--help", 1),
        (">/dev/full", "version", 1),
        ("2>/dev/full", "frobnicate", 2),
        (">&-", "version", 0),
        ("2>&-", "version", 0),
    ],
)
def test_the_exit_code_is_the_same_where_nobody_reads(
    redirection: str, arguments: str, code: int
) -> None:
    answer = subprocess.run(
        [
            *("bash", "-o", "pipefail", "-c"),
            f'"$0" -m meshnode {arguments} {redirection}',
            sys.executable,
        ],
        env={name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"},
        timeout=30,
        check=False,
        capture_output=True,
    )
    assert answer.returncode == code
