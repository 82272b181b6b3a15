"""A world of processes whose nodes fail: what is told, and that nothing of it is left running."""

import tempfile
from pathlib import Path

import pytest
import trio

from meshnode.errors import MeshnodeError
from simulations.account import Account
from simulations.processes.ports import Ports
from simulations.processes.world import open_process_world
from simulations.world_node import Part
from tests.processes.harness import READY_S, processes_with


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


async def test_a_node_that_does_not_start_ends_it_and_its_log_is_kept(temporary: Path) -> None:
    lines: list[str] = []
    with trio.fail_after(READY_S), fails() as failure:
        async with open_process_world(
            Account(), tell=lines.append, settings={"network": "Main!"}
        ) as world:
            await world.start_as(world.node("alice"), Part())
            await world.settle()
            await trio.sleep_forever()
    assert "alice ended with exit code 2" in told_by(failure.value)
    (kept,) = files_in(temporary)
    assert lines == [f"the nodes' files and logs: {kept}"]
    assert "network" in (kept / "alice-1.log").read_text()
    assert processes_with(temporary) == []


async def test_a_node_that_ends_by_itself_ends_it(temporary: Path) -> None:
    account = Account()
    with trio.fail_after(2 * READY_S), fails() as failure:
        async with open_process_world(account) as world:
            alice = await world.start_as(world.node("alice"), Part())
            await world.settle()
            assert [name for _, name in account.starts] == ["alice"]
            world.process_of(alice).ask_to_end()
            await trio.sleep_forever()
    assert "ended by itself, with exit code 0" in told_by(failure.value)
    assert processes_with(temporary) == []


async def test_a_node_is_the_same_again_with_its_key_its_place_and_its_disk(
    temporary: Path,
) -> None:
    with trio.fail_after(3 * READY_S):
        async with open_process_world(Account(), seed=5) as world:
            alice = await world.start_as(world.node("alice"), Part())
            await world.settle()
            process = world.process_of(alice)
            world.freeze(alice)
            await world.kill(alice)
            assert not process.is_running
            await world.start_as(alice)
            await world.settle()
            assert (world.data_dir(alice) / "meshnode.db").exists()
            await world.stop(alice)
    assert processes_with(temporary) == []
    assert files_in(temporary) == []


def test_no_port_is_given_twice() -> None:
    ports = Ports()
    assert len({ports.take() for _ in range(50)}) == 50


def fails() -> pytest.RaisesGroup[MeshnodeError]:
    return pytest.RaisesGroup(MeshnodeError, flatten_subgroups=True)


def files_in(directory: Path) -> list[Path]:
    return list(directory.iterdir())


def told_by(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "\n".join(told_by(part) for part in error.exceptions)
    return str(error)
