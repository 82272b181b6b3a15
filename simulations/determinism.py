"""The one place that patches: with it, the same seed gives the same run, in any process.

What the libraries read by themselves — clocks, randomness, the order in which tasks run — follows
virtual time and the seed while a run lasts, and is what it was before when it ends.
"""

import contextvars
import gc
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol, TypeVar

import trio
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from trio._core import _run as scheduler
from trio.testing import MockClock

from simulations.clock import START_NS

T = TypeVar("T")

HASH_SEED = "0"
COLLECT_EVERY_S = 60.0  # garbage, in virtual seconds


def ensure_hash_seed() -> None:
    """Start this process anew with a fixed hash seed, unless it has one.

    Sets of bytes and text are walked in the order of their hashes, in the libraries too.
    """
    if sys.flags.hash_randomization and os.environ.get("PYTHONHASHSEED", "random") == "random":
        environ = {**os.environ, "PYTHONHASHSEED": HASH_SEED}
        os.execve(sys.executable, sys.orig_argv, environ)  # noqa: S606 - ourselves, as we were


def run(main: Callable[..., Awaitable[T]], *args: object, seed: int) -> T:
    """Run an async function in virtual time; raises what it raises.

    No sockets, threads or child processes in there: the clock jumps while they work.
    """
    clock = MockClock(autojump_threshold=0)
    with deterministic(seed), virtual_time(clock), _agendas_of(clock), _no_garbage_collection():

        async def collecting() -> T:
            trio.lowlevel.spawn_system_task(_collect_garbage)
            return await main(*args)

        return trio.run(collecting, clock=clock)


@contextmanager
def deterministic(seed: int) -> Iterator[None]:
    """All chance that nobody hands in comes from the seed: the scheduler's, the libraries' keys."""
    chance = random.Random(f"libraries {seed}")

    def generate(cls: type[X25519PrivateKey]) -> X25519PrivateKey:
        return cls.from_private_bytes(chance.randbytes(32))

    state = random.getstate()
    with ExitStack() as patches:
        patches.callback(random.setstate, state)
        random.seed(seed)
        for owner, name, new in (
            (scheduler, "_ALLOW_DETERMINISTIC_SCHEDULING", True),
            (scheduler, "_r", random.Random(f"scheduler {seed}")),
            (os, "urandom", chance.randbytes),
            (random, "_urandom", chance.randbytes),  # what `secrets` draws from
            (X25519PrivateKey, "generate", classmethod(generate)),  # Noise's, made in Rust
            (scheduler.Runner, "spawn_system_task", _spawn_in_our_context),
        ):
            _replace(patches, owner, name, new)
        if (loaded := sys.modules.get("libp2p.network.stream.net_stream")) is not None:
            # A connection that ends resets its streams in the order of a set.
            patches.callback(setattr, loaded.NetStream, "__hash__", loaded.NetStream.__hash__)
            loaded.NetStream.__hash__ = _stream_id
        yield


def _stream_id(stream: Any) -> int:
    return int(stream.muxed_stream.stream_id)


@contextmanager
def virtual_time(clock: MockClock) -> Iterator[None]:
    """Every clock of the `time` module shows the virtual time, for whoever reads it by its name."""

    def elapsed_ns() -> int:
        return round(clock.current_time() * 10**6) * 1000

    with ExitStack() as patches:
        for name, new in (
            ("time", lambda: START_NS / 10**9 + clock.current_time()),
            ("time_ns", lambda: START_NS + elapsed_ns()),
            ("monotonic", clock.current_time),
            ("monotonic_ns", elapsed_ns),
            ("perf_counter", clock.current_time),
            ("perf_counter_ns", elapsed_ns),
        ):
            _replace(patches, time, name, new)
        yield


def _replace(patches: ExitStack, owner: Any, name: str, new: object) -> None:
    patches.callback(setattr, owner, name, vars(owner)[name])
    setattr(owner, name, new)


def _spawn_in_our_context(
    runner: Any, async_fn: Any, *args: Any, name: Any = None, context: Any = None
) -> Any:
    """A system task belongs to the node that spawned it, and is frozen with it."""
    return runner.spawn_impl(
        async_fn,
        args,
        runner.system_nursery,
        name,
        system_task=True,
        context=contextvars.copy_context() if context is None else context,
    )


# --- the clock's jumps ------------------------------------------------------------------------


class Agenda(Protocol):
    """Calls with a time of their own; synchronous ones, which raise nothing."""

    def next_due(self) -> float:
        """When the next is due; infinite if there is none."""
        ...

    def carry_out(self, now: float) -> None:
        """Make the calls that are due."""
        ...


# In a run: what is carried out whenever the clock jumps there. A task that slept till then would
# have to be cancelled and woken each time, which costs more than most calls do.
agendas: contextvars.ContextVar[dict[Agenda, None]] = contextvars.ContextVar("agendas")


@contextmanager
def _agendas_of(clock: MockClock) -> Iterator[None]:
    jumping: dict[Agenda, None] = {}
    mine = vars(clock)

    def current_time() -> float:
        base_s: float = mine["_virtual_base"]
        return base_s  # the clock stands still between jumps: no need to look at the real one

    def autojump() -> None:
        due = min((agenda.next_due() for agenda in jumping), default=float("inf"))
        jump_s = min(due, _runner().deadlines.next_deadline()) - current_time()
        if 0 < jump_s < float("inf"):
            clock.jump(jump_s)
        for agenda in tuple(jumping):
            agenda.carry_out(current_time())

    # The class is final, and an instance's attribute is found first.
    mine.update(_autojump=autojump, current_time=current_time)
    token = agendas.set(jumping)
    try:
        yield
    finally:
        agendas.reset(token)


# --- garbage --------------------------------------------------------------------------------


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """When garbage is collected depends on the whole process; finalizers run with it."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()


async def _collect_garbage() -> None:
    await trio.sleep(COLLECT_EVERY_S)
    gc.collect()
    gc.freeze()  # most of it stays: the libraries, the nodes
    while True:
        await trio.sleep(COLLECT_EVERY_S)
        gc.collect()


# --- frozen processes -----------------------------------------------------------------------

running_node: contextvars.ContextVar[str] = contextvars.ContextVar("running_node")


class Freezer:
    """Stops all tasks of a node, as SIGSTOP stops a process, and lets them go on.

    A node's tasks are those started where `running_node` is its name. What happens to them while
    they stand still (bytes, expired timers, cancellations) reaches them when they are thawed. Leave
    its context before waiting for tasks to end: nothing ends while it is frozen.
    """

    def __init__(self) -> None:
        self._held: dict[str, list[trio.lowlevel.Task]] = {}
        self._patches = ExitStack()

    def __enter__(self) -> "Freezer":
        return self

    def __exit__(self, *_: object) -> None:
        for node in list(self._held):
            self.thaw(node)

    def freeze(self, node: str) -> None:
        """Let none of a node's tasks run any more; the current step of each is its last."""
        if node in self._held:
            return
        if not self._held:
            self._hold_back()
        runq = _runner().runq
        self._held[node] = [task for task in runq if _node_of(task) == node]
        for task in self._held[node]:
            runq.remove(task)

    def thaw(self, node: str) -> None:
        """Let a node's tasks go on."""
        _runner().runq.extend(self._held.pop(node, ()))
        if not self._held:
            self._patches.close()

    def is_frozen(self, node: str) -> bool:
        """Whether a node stands still."""
        return node in self._held

    def _hold_back(self) -> None:
        reschedule = scheduler.Runner.reschedule

        def reschedule_unless_frozen(runner: Any, task: Any, *outcome: Any) -> None:
            reschedule(runner, task, *outcome)
            held = self._held.get(_node_of(task))
            if held is not None:
                runner.runq.remove(task) if runner.runq[-1] is not task else runner.runq.pop()
                held.append(task)

        _replace(self._patches, scheduler.Runner, "reschedule", reschedule_unless_frozen)


def _node_of(task: trio.lowlevel.Task) -> str:
    return task.context.get(running_node, "")


def _runner() -> Any:
    return scheduler.GLOBAL_RUN_CONTEXT.runner
