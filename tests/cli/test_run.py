import io
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import trio
import trio.testing

from meshnode import node
from meshnode.adapters.storage import portal, sqlite
from meshnode.cli.run import SHUTDOWN_S, ReadyLine, run_until_signalled
from meshnode.config import NodeConfig
from meshnode.core.facts import Fact, NodeLeaving, NodeReady, StoreLeftBehind
from meshnode.errors import DataDirInUse, MeshnodeError
from meshnode.ports import Observer

READY = NodeReady("12D3alice", ("/ip4/127.0.0.1/tcp/1/p2p/12D3alice",))


class Notes:
    """An observer that keeps what it saw."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def observe(self, fact: Fact) -> None:
        self.facts.append(fact)


async def polite_node(_config: NodeConfig, *, observer: Observer, stop: trio.Event) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    await stop.wait()
    observer.observe(NodeLeaving("asked to"))


async def stubborn_node(_config: NodeConfig, *, observer: Observer, stop: trio.Event) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    await stop.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    await trio.sleep_forever()


async def slow_node(_config: NodeConfig, *, observer: Observer, stop: trio.Event) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    await trio.sleep_forever()


async def node_signalled_twice(
    _config: NodeConfig, *, observer: Observer, stop: trio.Event
) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    await stop.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    await trio.testing.wait_all_tasks_blocked()
    observer.observe(NodeLeaving("asked to"))


async def node_whose_terminal_closes(
    _config: NodeConfig, *, observer: Observer, stop: trio.Event
) -> None:
    os.kill(os.getpid(), signal.SIGHUP)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        await stop.wait()
        observer.observe(NodeLeaving("asked to"))


@contextmanager
def hanging_up(handler: signal.Handlers) -> Iterator[None]:
    """What a closed terminal does to a process as it starts."""
    before = signal.signal(signal.SIGHUP, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


async def node_that_ends(_config: NodeConfig, *, observer: Observer, stop: trio.Event) -> None:
    observer.observe(READY)


async def node_that_fails(_config: NodeConfig, *, observer: Observer, stop: trio.Event) -> None:
    raise DataDirInUse("another process runs here")


async def test_a_signal_lets_the_node_leave_in_order() -> None:
    notes = Notes()
    with trio.fail_after(5):
        await run_until_signalled(polite_node, NodeConfig(), notes)
    assert notes.facts == [NodeLeaving("asked to")]


async def test_a_closed_terminal_lets_the_node_leave_in_order() -> None:
    notes = Notes()
    with trio.fail_after(5), hanging_up(signal.SIG_DFL):
        await run_until_signalled(node_whose_terminal_closes, NodeConfig(), notes)
    assert notes.facts == [NodeLeaving("asked to")]


async def test_under_nohup_a_node_outlives_its_terminal() -> None:
    notes = Notes()
    with trio.fail_after(5), hanging_up(signal.SIG_IGN):
        await run_until_signalled(node_whose_terminal_closes, NodeConfig(), notes)
    assert notes.facts == []


async def test_a_later_second_signal_ends_it_at_once() -> None:
    with trio.fail_after(5), pytest.RaisesGroup(MeshnodeError):
        await run_until_signalled(stubborn_node, NodeConfig(), Notes(), second_signal_after_s=0)


async def test_a_node_that_takes_too_long_to_leave_is_ended() -> None:
    with (
        trio.fail_after(5),
        pytest.RaisesGroup(
            pytest.RaisesExc(MeshnodeError, match="stopped 0.01 s after the signal")
        ),
    ):
        await run_until_signalled(slow_node, NodeConfig(), Notes(), shutdown_s=0.01)


def test_each_step_of_a_shutdown_has_its_part_of_the_time() -> None:
    steps = (node.LEAVE_S, node.DRAIN_S, sqlite.CLOSE_TIMEOUT_S)
    assert sum(steps) + portal.DRAIN_TIMEOUT_S + portal.CANCEL_GRACE_S < SHUTDOWN_S


async def test_a_supervisor_s_double_signal_is_one_request() -> None:
    notes = Notes()
    with trio.fail_after(5):
        await run_until_signalled(node_signalled_twice, NodeConfig(), notes)
    assert notes.facts == [NodeLeaving("asked to")]


async def test_a_node_that_ends_by_itself_ends_the_command() -> None:
    notes = Notes()
    with trio.fail_after(5):
        await run_until_signalled(node_that_ends, NodeConfig(), notes)
    assert notes.facts == [READY]


async def test_a_node_that_fails_fails_the_command() -> None:
    with trio.fail_after(5), pytest.RaisesGroup(DataDirInUse):
        await run_until_signalled(node_that_fails, NodeConfig(), Notes())


def test_what_was_left_behind_is_kept_for_the_exit_code() -> None:
    notes = Notes()
    line = ReadyLine(notes, io.StringIO(), as_json=False)
    kept = []
    for fact in (READY, StoreLeftBehind("sqlite", 7), NodeLeaving("x")):
        line.observe(fact)
        kept.append(line.has_left_behind)
    assert kept == [False, True, True]


def test_readiness_is_one_line() -> None:
    for as_json in (True, False):
        stream, notes = io.StringIO(), Notes()
        line = ReadyLine(notes, stream, as_json=as_json)
        line.observe(NodeLeaving("x"))
        line.observe(READY)
        assert notes.facts == [NodeLeaving("x"), READY]
        if as_json:
            assert json.loads(stream.getvalue()) == {
                "event": "ready",
                "node_id": "12D3alice",
                "addrs": ["/ip4/127.0.0.1/tcp/1/p2p/12D3alice"],
            }
        else:
            assert stream.getvalue() == "ready /ip4/127.0.0.1/tcp/1/p2p/12D3alice\n"
