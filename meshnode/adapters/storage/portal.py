"""From trio to asyncio: one daemon thread with one asyncio loop, for libraries that need it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar, TypeVarTuple

import outcome
import trio

from meshnode.errors import MeshnodeError

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

PORTAL_CALLS_MAX = 256  # refuse what comes beyond, count it; detached calls count as well
DRAIN_TIMEOUT_S = 1.0  # these two, of what a shutdown may take
CANCEL_GRACE_S = 0.5


class PortalClosed(MeshnodeError):
    """The portal was closed before the call could be made, or finished."""


class PortalBusy(MeshnodeError):
    """Too many calls are in flight; nothing of this one was begun."""


@dataclass(frozen=True, slots=True)
class PortalStatistics:
    """Calls begun and not finished, detached ones included; calls refused since the start."""

    in_flight: int
    refused: int


class Portal:
    """Runs coroutine functions on an asyncio loop in another thread. Made by `open_portal`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, drain_timeout_s: float) -> None:
        self._loop = loop
        self._drain_timeout_s = drain_timeout_s
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()  # touched by the loop's thread only
        self._in_flight = 0  # this and the next two by trio's thread only
        self._refused = 0
        self._closed = False

    def statistics(self) -> PortalStatistics:
        """What is under way, and what was refused."""
        return PortalStatistics(self._in_flight, self._refused)

    async def call(
        self, fn: Callable[[*Ts], Awaitable[T]], *args: *Ts, timeout_s: float | None
    ) -> T:
        """Await `fn(*args)` on the asyncio loop and return its result or raise its exception.

        A trio cancel detaches: the operation finishes, its result is dropped, so that no
        transaction is torn. `timeout_s` is real time, kept by the asyncio side, which cancels
        the operation there: TimeoutError. Raises PortalClosed and PortalBusy.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._closed:
            raise PortalClosed("the portal is closed: no call can be made any more")
        if self._in_flight >= PORTAL_CALLS_MAX:
            self._refused += 1
            raise PortalBusy(f"{self._in_flight} calls are under way: try again later")
        token = trio.lowlevel.current_trio_token()
        caller = trio.lowlevel.current_task()
        waiting = True

        def deliver(result: outcome.Outcome[T]) -> None:
            nonlocal waiting
            self._in_flight -= 1
            if waiting:
                waiting = False
                trio.lowlevel.reschedule(caller, result)

        async def run() -> None:
            result = await _captured(fn, *args, timeout_s=timeout_s)
            with suppress(trio.RunFinishedError):  # nobody is left to hear of it
                token.run_sync_soon(deliver, result)

        def abort(_: Any) -> trio.lowlevel.Abort:
            nonlocal waiting
            waiting = False
            return trio.lowlevel.Abort.SUCCEEDED

        self._loop.call_soon_threadsafe(self._start, run)
        self._in_flight += 1
        result: T = await trio.lowlevel.wait_task_rescheduled(abort)
        return result

    def close(self) -> None:
        """Take no more calls; those under way have until the drain deadline."""
        if not self._closed:
            self._closed = True
            self._loop.call_soon_threadsafe(self._stop.set)

    def _start(self, run: Callable[[], Any]) -> None:
        task = self._loop.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self) -> None:
        await self._stop.wait()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._drain_timeout_s)


async def _captured(
    fn: Callable[[*Ts], Awaitable[T]], *args: *Ts, timeout_s: float | None
) -> outcome.Outcome[T]:
    try:
        async with asyncio.timeout(timeout_s):
            return outcome.Value(await fn(*args))
    except asyncio.CancelledError:
        return outcome.Error(PortalClosed("the portal closed before the call was finished"))
    except BaseException as error:  # noqa: BLE001 - carried over to the caller, whatever it is
        return outcome.Error(error)


@asynccontextmanager
async def open_portal(*, drain_timeout_s: float = DRAIN_TIMEOUT_S) -> AsyncIterator[Portal]:
    """A portal with its thread. On leaving, calls under way get `drain_timeout_s` to finish.

    What has not finished then is cancelled. A thread that does not even end `CANCEL_GRACE_S`
    later hangs in a system call; it is left behind, a daemon, so that the process can end.
    """
    runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
    portal = Portal(runner.get_loop(), drain_timeout_s)

    def serve() -> None:
        with runner:
            runner.run(portal._serve())

    # Threads inherit the daemon flag: what the libraries start cannot keep the process either.
    thread = threading.Thread(target=serve, name="storage-asyncio", daemon=True)
    thread.start()
    try:
        yield portal
    finally:
        portal.close()
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(thread.join, drain_timeout_s + CANCEL_GRACE_S)
