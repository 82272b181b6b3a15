"""What a seed decides, what is put back afterwards, and what it is like to be frozen."""

import gc
import os
import random
import secrets
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from trio._core import _run as scheduler
from trio.testing import MockClock

from simulations.clock import START_NS, VirtualClock
from simulations.determinism import run
from simulations.freezer import Freezer, running_node
from simulations.virtual_time import agendas

ROOT = Path(__file__).parents[2]


def patched() -> list[object]:
    return [
        time.time,
        time.time_ns,
        time.monotonic,
        time.monotonic_ns,
        time.perf_counter,
        time.perf_counter_ns,
        os.urandom,
        vars(random)["_urandom"],
        vars(X25519PrivateKey)["generate"],
        vars(scheduler)["_r"],
        vars(scheduler)["_ALLOW_DETERMINISTIC_SCHEDULING"],
        scheduler.Runner.spawn_system_task,
        scheduler.Runner.reschedule,
        gc.isenabled(),
        agendas.get(None),
    ]


async def draw() -> list[object]:
    """A little of everything that chance decides."""
    ran: list[int] = []

    async def note(number: int) -> None:
        await trio.lowlevel.checkpoint()
        ran.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(note, number)
    return [
        ran,
        random.random(),
        secrets.token_bytes(8),
        os.urandom(8),
        X25519PrivateKey.generate().private_bytes_raw(),
    ]


def test_the_same_seed_draws_the_same() -> None:
    first, again, other = run(draw, seed=1), run(draw, seed=1), run(draw, seed=2)
    assert first == again
    assert all(mine != theirs for mine, theirs in zip(first, other, strict=True))


def test_everything_is_as_it_was_afterwards() -> None:
    async def fail() -> None:
        assert patched() != before
        raise ZeroDivisionError

    before, state = patched(), random.getstate()
    run(draw, seed=1)
    assert (patched(), random.getstate()) == (before, state)
    with pytest.raises(ZeroDivisionError):
        run(fail, seed=1)
    assert (patched(), random.getstate()) == (before, state)


def test_every_clock_shows_virtual_time() -> None:
    async def main() -> None:
        assert time.time_ns() == START_NS
        monotonic, counter = time.monotonic(), time.perf_counter()
        await trio.sleep(600)
        assert time.time_ns() == START_NS + 600 * 10**9 == VirtualClock().now_ns()
        assert time.time() == pytest.approx(START_NS / 10**9 + 600)
        assert time.monotonic() - monotonic == time.perf_counter() - counter == 600
        assert time.monotonic_ns() == time.perf_counter_ns() == 600 * 10**9

    began_at = time.monotonic()
    run(main, seed=1)
    assert time.monotonic() - began_at < 60


def test_garbage_is_collected_by_virtual_time() -> None:
    class Cycle:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            died_at.append(trio.current_time())

    async def main() -> None:
        await trio.sleep(100)
        Cycle()
        await trio.sleep(1200)

    died_at: list[float] = []
    run(main, seed=1)
    assert died_at == [1200.0]


SCRIPT = """
from simulations.determinism import ensure_hash_seed
ensure_hash_seed()
print(hash("a name"), sep="")
"""


def test_a_process_is_started_anew_with_a_fixed_hash_seed() -> None:
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONHASHSEED"}
    hashes = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            check=True,
            capture_output=True,
            cwd=ROOT,
            env=environ | given,
            timeout=60,
        ).stdout
        for given in ({}, {}, {"PYTHONHASHSEED": "random"}, {"PYTHONHASHSEED": "0"})
    }
    assert len(hashes) == 1


# --- frozen ---------------------------------------------------------------------------------


class Ticking:
    """A loop of a node that notes the time, ten times a second."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.ticks: list[float] = []

    async def run(self) -> None:
        running_node.set(self.node)
        while True:
            with trio.move_on_after(0.1):
                await trio.sleep(10)
            self.ticks.append(trio.current_time())


async def test_a_frozen_node_does_nothing_and_then_goes_on(autojump_clock: MockClock) -> None:
    alice, bob = Ticking("alice"), Ticking("bob")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(alice.run)
        nursery.start_soon(bob.run)
        await trio.sleep(10.05)
        with Freezer() as freezer:
            freezer.freeze("bob")
            await trio.sleep(120)
            assert (len(alice.ticks), len(bob.ticks)) == (1300, 100)
            freezer.thaw("bob")
            await trio.sleep(0.01)
            # A timer that expired meanwhile fires late, once.
            assert bob.ticks[100:] == pytest.approx([130.05], abs=0.02)
            await trio.sleep(10)
            assert len(bob.ticks) == 201
        nursery.cancel_scope.cancel()


async def test_tasks_that_a_frozen_node_was_starting_are_frozen_too(
    autojump_clock: MockClock,
) -> None:
    did: list[str] = []

    async def child() -> None:
        did.append("ran")

    async def parent() -> None:
        running_node.set("bob")
        await event.wait()
        nursery.start_soon(child)

    event = trio.Event()
    with Freezer() as freezer:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(parent)
            await trio.sleep(1)
            event.set()  # its task is scheduled already when it is frozen
            freezer.freeze("bob")
            await trio.sleep(60)
            assert did == []
            freezer.thaw("bob")
    assert did == ["ran"]


async def test_what_a_frozen_node_is_sent_waits_for_it(autojump_clock: MockClock) -> None:
    sender, receiver = trio.open_memory_channel[int](10)
    heard: list[tuple[int, float]] = []

    async def listen() -> None:
        running_node.set("bob")
        async for number in receiver:
            heard.append((number, trio.current_time()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        await trio.sleep(1)
        with Freezer() as freezer:
            freezer.freeze("bob")
            for number in range(3):
                sender.send_nowait(number)
            await trio.sleep(30)
            assert heard == []
        # Leaving the freezer thaws everybody.
        await sender.aclose()
    assert heard == [(0, 31.0), (1, 31.0), (2, 31.0)]
    assert vars(scheduler.Runner)["reschedule"].__name__ == "reschedule"


async def test_who_is_cancelled_while_frozen_ends_when_thawed(autojump_clock: MockClock) -> None:
    alice = Ticking("alice")
    with Freezer() as freezer:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(alice.run)
            await trio.sleep(1.05)
            freezer.freeze("alice")
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await trio.sleep(60)
            assert len(nursery.child_tasks) == 1
            freezer.thaw("alice")
    assert len(alice.ticks) == 10


def test_system_tasks_of_a_frozen_node_are_frozen_too() -> None:
    async def main() -> None:
        bob = Ticking("bob")

        async def start() -> None:
            running_node.set("bob")
            trio.lowlevel.spawn_system_task(tick)

        async def tick() -> None:
            for _ in range(1000):
                await trio.sleep(0.1)
                bob.ticks.append(trio.current_time())

        with Freezer() as freezer:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(start)
            await trio.sleep(1.05)
            freezer.freeze("bob")
            await trio.sleep(60)
            assert len(bob.ticks) == 10

    run(main, seed=1)
