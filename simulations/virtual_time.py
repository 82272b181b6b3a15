"""Virtual time: it stands still while anything runs, then jumps to whatever is due next.

Trio's own clock for tests does the same. What is added here is for thousands of nodes, most of
whose work is to wait: who sleeps needs no cancel scope, what is due at nearly the same time is due
at once, and nobody asks the system for events that cannot come.
"""

import contextvars
import math
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from heapq import heappop, heappush
from typing import Any, Protocol

import trio
from trio import _timeouts as timeouts
from trio._core import _run as scheduler
from trio.testing import MockClock

from simulations.clock import START_NS
from simulations.huge_pages import open_huge_pages
from simulations.patching import replace

# What is due, and who sleeps, is at the end of a slot, at most so late: two milliseconds, which is
# little against what lies between two regions. A power of two: sums of them are exact.
SLOT_S = 2.0**-9
# Who sleeps for long does not know for how long to some hundredths: with slots as wide as at most
# this part of it, many wake at once, and the scheduler runs once for all of them.
SLOT_PART, SLOT_MAX_S = 0.032, 2.0**-5
# Jumps between two looks at the system: at what it has to tell, which is Ctrl-C at most, and at the
# memory that we have of it.
LOOK_EVERY_JUMPS = 1_000


def end_of_sleep(now: float, until: float) -> float:
    """When who sleeps until a time wakes: at the end of a slot that is wider after a long sleep."""
    width_s, widest_s = SLOT_MAX_S, (until - now) * SLOT_PART
    while width_s > SLOT_S and width_s > widest_s:
        width_s /= 2  # not often: most sleep for a second and more
    return math.ceil(until / width_s) * width_s


class Agenda(Protocol):
    """Calls with a time of their own; synchronous ones, which raise nothing."""

    def next_due(self) -> float:
        """When the next is due; infinite if there is none."""
        ...

    def carry_out(self, now: float) -> None:
        """Make the calls that are due."""
        ...


# In a run: what is carried out whenever the clock jumps there. A task that slept till then would
# have to be woken each time, which costs more than most calls do.
agendas: contextvars.ContextVar[dict[Agenda, None]] = contextvars.ContextVar("agendas")


@contextmanager
def virtual_time(clock: MockClock) -> Iterator[None]:
    """Every clock shows `clock`'s time, and trio under it jumps and sleeps as this module says."""
    alarms = Alarms()
    jumping: dict[Agenda, None] = {alarms: None}
    mine = vars(clock)
    # It stands still between jumps: no need to look at the real one. It is read more often than
    # anything else is done, so no function of ours is called for it.
    stands_at: list[float] = [mine["_virtual_base"]]
    current_time: Callable[[], float] = partial(stands_at.__getitem__, 0)

    def elapsed_ns() -> int:
        return round(current_time() * 10**6) * 1000

    def autojump() -> None:
        # A pass of the scheduler for each call would cost more than most calls: it is for tasks.
        runner = scheduler.GLOBAL_RUN_CONTEXT.runner
        while True:
            due = deadline = runner.deadlines.next_deadline()
            for agenda in jumping:
                if (at := agenda.next_due()) < due:
                    due = at
            now = current_time()
            if now < due < math.inf:
                mine["_virtual_base"] = stands_at[0] = now = due
            for agenda in tuple(jumping):
                agenda.carry_out(now)
            if runner.runq or due >= deadline:
                return

    async def sleep_until(deadline: float) -> None:
        now = current_time()
        if deadline == math.inf:
            await trio.sleep_forever()
        elif deadline > now:
            wake_early = alarms.wake_at(end_of_sleep(now, deadline), trio.lowlevel.current_task())
            await trio.lowlevel.wait_task_rescheduled(wake_early)
        else:
            await trio.lowlevel.checkpoint()

    def sleep(seconds: float) -> Coroutine[Any, Any, None]:
        if seconds < 0 or math.isnan(seconds):
            raise ValueError(f"{seconds} s: nobody sleeps so long")
        return sleep_until(current_time() + seconds)

    io_manager: Any = vars(scheduler)["TheIOManager"]  # the platform's own
    token = agendas.set(jumping)
    # The class is final, and an instance's attribute is found first.
    mine.update(_autojump=autojump, current_time=current_time)
    with ExitStack() as patches:
        patches.callback(agendas.reset, token)
        for owner, name, new in (
            (time, "time", lambda: START_NS / 10**9 + current_time()),
            (time, "time_ns", lambda: START_NS + elapsed_ns()),
            (time, "monotonic", current_time),
            (time, "monotonic_ns", elapsed_ns),
            (time, "perf_counter", current_time),
            (time, "perf_counter_ns", elapsed_ns),
            (trio, "current_time", current_time),
            (trio, "sleep", sleep),
            (trio, "sleep_until", sleep_until),
            (timeouts, "sleep_until", sleep_until),
            (io_manager, "get_events", _rare(io_manager.get_events)),
            # Asked several times for every task whether it is there; nobody looks on by one.
            (scheduler, "Instruments", dict.fromkeys),
        ):
            replace(patches, owner, name, new)
        yield


class Alarms:
    """Who sleeps until when. One heap for a whole run; who is woken early stays in it, unnamed."""

    def __init__(self) -> None:
        self._dues: list[float] = []
        self._sleepers: dict[float, dict[trio.lowlevel.Task, None]] = {}

    def wake_at(
        self, due: float, task: trio.lowlevel.Task
    ) -> Callable[[object], trio.lowlevel.Abort]:
        """Wake a task, which goes to sleep now, at a time to come; returns what wakes it early."""
        sleepers = self._sleepers.get(due)
        if sleepers is None:
            sleepers = self._sleepers[due] = {}
            heappush(self._dues, due)
        sleepers[task] = None

        def wake_early(_: object) -> trio.lowlevel.Abort:
            sleepers.pop(task, None)
            return trio.lowlevel.Abort.SUCCEEDED

        return wake_early

    def next_due(self) -> float:
        """See `Agenda`; a time for which nobody sleeps any more is passed over."""
        dues, sleepers = self._dues, self._sleepers
        while dues and not sleepers[dues[0]]:
            del sleepers[heappop(dues)]
        return dues[0] if dues else math.inf

    def carry_out(self, now: float) -> None:
        """See `Agenda`."""
        while self._dues and self._dues[0] <= now:
            for task in self._sleepers.pop(heappop(self._dues)):
                trio.lowlevel.reschedule(task)


def _rare(get_events: Any) -> Any:
    """No sockets, no threads: the system knows of no event but a signal."""
    jumps = 0
    pages = open_huge_pages()

    def look_now_and_then(manager: Any, timeout: float) -> Any:
        nonlocal jumps
        jumps += 1
        if jumps % LOOK_EVERY_JUMPS:
            return []
        pages.look()
        return get_events(manager, timeout)

    return look_now_and_then
