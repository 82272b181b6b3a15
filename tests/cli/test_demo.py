"""The demo with its real nodes; it leaves no process and no file behind."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from meshnode.adapters.signals import until_signalled
from meshnode.cli.demo import play, processes, run_demo
from meshnode.cli.demo.processes import open_processes
from meshnode.errors import ConfigError, MeshnodeError

# Each line is before the next; on a line, what may come in either order.
IN_ORDER = (
    ("starting",),
    ("ready",),
    ("first_price",),
    ("killed",),
    ("lost",),
    ("cached", "warning"),
    ("restarting",),
    ("returned", "fresh"),
    ("joining",),
    ("joined",),
    ("relayed",),
    ("ending",),
    ("summary",),
)


def start_demo(tmp_path: Path, *options: str) -> subprocess.Popen[str]:
    environ = {**os.environ, "TMPDIR": str(tmp_path), "MESHNODE_NETWORK": "not-for-the-demo"}
    return subprocess.Popen(
        [sys.executable, "-m", "meshnode", "demo", "--seconds", "20", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
    )


def documents_of(demo: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert demo.stdout is not None
    for line in demo.stdout:
        yield json.loads(line)


def end(demo: subprocess.Popen[str]) -> tuple[str, str]:
    """The rest of its output; a demo that hangs is stopped in a way that ends its nodes."""
    try:
        return demo.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        demo.terminate()
        return demo.communicate()


def command_lines_with(text: str) -> list[str]:
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has just ended
        if text in command:
            found.append(command)
    return found


def test_the_whole_story_happens_and_leaves_nothing_behind(tmp_path: Path) -> None:
    demo = start_demo(tmp_path, "--json")
    documents = list(documents_of(demo))
    assert end(demo) == ("", "")
    assert demo.returncode == 0
    events = [document["event"] for document in documents]
    firsts = [sorted(events.index(event) for event in line) for line in IN_ORDER]
    assert firsts == sorted(firsts)
    assert [d["node"] for d in documents if d["event"] == "ready"] == [
        "bob", "carol", "alice", "alice", "dave",
    ]  # fmt: skip
    for event in ("first_price", "lost", "cached", "warning", "returned", "fresh"):
        assert {d["node"] for d in documents if d["event"] == event} == {"bob", "carol"}
    assert [d["prices"] for d in documents if d["event"] == "joined"] == [1]
    summary = documents[-1]
    assert (summary["complete"], summary["missing"]) == (True, [])
    assert all(0 <= ms < 5000 for ms in summary["noticed_ms"].values())
    assert all(ms > 2000 for ms in summary["cached_ms"].values())
    states = {row["state"] for d in documents if d["event"] == "prices" for row in d["prices"]}
    assert states == {"fresh", "cached"}
    assert list(tmp_path.iterdir()) == []
    assert command_lines_with(str(tmp_path)) == []


@pytest.mark.parametrize("moment", ["starting", "ready"])
def test_an_interrupt_ends_everything(moment: str, tmp_path: Path) -> None:
    demo = start_demo(tmp_path, "--json")
    for document in documents_of(demo):
        if document["event"] == moment:
            break
    assert moment == "starting" or command_lines_with(str(tmp_path))
    demo.send_signal(signal.SIGINT)
    _, errors = end(demo)
    assert (demo.returncode, errors) == (130, "")
    assert list(tmp_path.iterdir()) == []
    assert command_lines_with(str(tmp_path)) == []


def test_a_node_that_dies_ends_the_demo_which_says_where_its_log_is(tmp_path: Path) -> None:
    demo = start_demo(tmp_path)
    assert demo.stdout is not None
    for line in demo.stdout:
        if "bob is ready" in line:
            break
    (directory,) = tmp_path.iterdir()
    os.kill(json.loads((directory / "bob" / "node.json").read_text())["pid"], signal.SIGKILL)
    _, errors = end(demo)
    assert demo.returncode == 1
    assert errors.startswith("error: the node bob cannot be watched")
    assert f"the nodes' logs: {directory}" in errors
    assert "Traceback" not in errors
    assert (directory / "bob-1.log").exists()
    assert command_lines_with(str(tmp_path)) == []


def test_a_step_that_does_not_happen_fails_the_demo_and_keeps_the_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(play, "STEP_WITHIN_S", 0.0)
    assert run_demo(20, as_json=True) == 1
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["complete"] is False
    assert summary["missing"] == ["flow", "loss", "return", "join"]
    assert (Path(summary["logs"]) / "alice-3.log").exists()
    assert command_lines_with(str(tmp_path)) == []


async def test_a_node_that_does_not_start_is_reported_with_its_log(tmp_path: Path) -> None:
    with trio.fail_after(20):
        async with open_processes(tmp_path) as nodes:
            mallory = await nodes.start("mallory", source="nonsense:")
            with pytest.raises(MeshnodeError, match="mallory ended with exit code 2") as failure:
                await mallory.wait_ready()
    assert "nonsense" in str(failure.value)


async def test_a_node_that_does_not_listen_to_sigterm_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "END_WITHIN_S", 0.2)
    with trio.fail_after(20):
        async with open_processes(tmp_path) as nodes:
            bob = await nodes.start("bob")
            await bob.wait_ready()
            (pid,) = (json.loads((tmp_path / "bob" / "node.json").read_text())["pid"],)
            os.kill(pid, signal.SIGSTOP)
    assert not bob.is_running
    assert command_lines_with(str(tmp_path)) == []


async def test_a_log_is_waited_for_and_not_for_ever(tmp_path: Path) -> None:
    with trio.fail_after(20):
        async with open_processes(tmp_path) as nodes:
            mallory = await nodes.start("mallory", source="nonsense:")
            await mallory.wait_ended()
            mallory.log.write_text('not json\n[1]\n{"event": "x", "peer_id": "bob"}\n')
            assert await mallory.wait_log("x", 1, peer_id="carol") is None
            found = await mallory.wait_log("x", 1, peer_id="bob")
    assert found == {"event": "x", "peer_id": "bob"}


async def test_a_signal_cancels_and_is_named() -> None:
    async def perform(stop: trio.CancelScope) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        with stop:
            await trio.sleep_forever()

    async def perform_quickly(_stop: trio.CancelScope) -> None:
        await trio.lowlevel.checkpoint()

    with trio.fail_after(5):
        assert await until_signalled(perform) == signal.SIGTERM
        assert await until_signalled(perform_quickly) is None


@pytest.mark.parametrize("seconds", [1, 19, 601])
def test_a_time_too_short_or_too_long_is_refused_by_name(seconds: int) -> None:
    with pytest.raises(ConfigError, match=f"--seconds {seconds}.* 20 to 600"):
        run_demo(seconds, as_json=False)
