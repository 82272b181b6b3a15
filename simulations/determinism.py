"""The one place that patches: with it, the same seed gives the same run, in any process.

What the libraries read by themselves — clocks, randomness, the order in which tasks run — follows
virtual time and the seed while a run lasts, and is what it was before when it ends.
"""

import contextvars
import gc
import itertools
import os
import random
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import trio
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from trio._core import _run as scheduler
from trio.testing import MockClock

from simulations.patching import replace
from simulations.virtual_time import virtual_time

T = TypeVar("T")

HASH_SEED = "0"
# Garbage, in virtual minutes: there is little of it, and to look for it takes a run of a thousand
# nodes two seconds. What survived that is looked through more seldom: nearly all is in use.
MINUTE_S = 60.0
COLLECT_YOUNG_EVERY, COLLECT_OLD_EVERY = 20, 40
YOUNG, OLD = 1, 2  # generations


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
    with deterministic(seed), virtual_time(clock), _no_garbage_collection():

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
            replace(patches, owner, name, new)
        if (loaded := sys.modules.get("libp2p.network.stream.net_stream")) is not None:
            # A connection that ends resets its streams in the order of a set.
            patches.callback(setattr, loaded.NetStream, "__hash__", loaded.NetStream.__hash__)
            loaded.NetStream.__hash__ = _stream_id
        yield


def _stream_id(stream: Any) -> int:
    return int(stream.muxed_stream.stream_id)


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
        # Whatever it leaves is old from now on, or all of it would be looked through at once.
        gc.freeze()
        gc.unfreeze()
        if was_enabled:
            gc.enable()


async def _collect_garbage() -> None:
    await trio.sleep(MINUTE_S)
    gc.freeze()  # nearly all of it stays: the libraries, the nodes
    for minute in itertools.count(2):
        await trio.sleep(MINUTE_S)
        if minute % COLLECT_OLD_EVERY == 0:
            gc.collect(OLD)
        elif minute % COLLECT_YOUNG_EVERY == 0:
            gc.collect(YOUNG)
