"""One process of a benchmark: `python -m tests.bench.station_process '{"stack": "ours", …}'`.

It prints its address, then `live` when it hears what was just said, then what it measured; it
starts in earnest when a line comes in on stdin.
"""

import json
import math
import os
import resource
import sys
import time
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import trio
from nacl.signing import SigningKey

from meshnode.adapters.interpreter import settle
from protocols.messages import Message, PriceUpdate
from tests.bench.figures import percentile
from tests.bench.stations import NETWORK, STATIONS, Station, prices

WARM_UP_S = 0.1
SETTLED = 10  # warm-up messages that came at once
SETTLED_MS = 1000
PATIENCE_S = 8.0  # after that long nothing more will come


@dataclass(frozen=True)
class Work:
    """What a process is to do. `rate` 0: flat out. `count` messages, after those to warm up.

    `ticks`: watch the event loop. That costs two calls of the system a turn, the more for whoever
    turns more often, so what is watched is not compared.
    """

    stack: str
    says: bool
    count: int
    quotes: int = 1
    tagged: bool = False
    ticks: bool = False
    rate: float = 0
    connect: str = ""


class Ticks(trio.abc.Instrument):
    """How long the event loop was kept from looking at its sockets, at most."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._began = math.inf

    def after_io_wait(self, timeout: float) -> None:
        self._began = time.thread_time()

    def before_io_wait(self, timeout: float) -> None:
        # CPU time: being preempted by another process is not our doing.
        self.longest_s = max(self.longest_s, time.thread_time() - self._began)


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def tell(**said: Any) -> None:
    print(json.dumps(said), flush=True)


async def until_told() -> None:
    async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as words:
        await words.receive_some(1)


async def drain(station: Station) -> None:
    while True:
        await station.hear()


async def speak(station: Station, work: Work, key: SigningKey) -> None:
    """Warm up until told, then say everything."""
    epoch = int(time.time())
    author = bytes(key.verify_key)
    warm_up, payload = prices(1), prices(work.quotes, tagged=work.tagged)

    def message(epoch: int, seq: int, payload: PriceUpdate) -> Message:
        return Message(NETWORK, author, epoch, seq, time.time_ns(), payload)

    async with trio.open_nursery() as nursery:
        if work.stack != "bare":
            nursery.start_soon(drain, station)
        told = trio.Event()

        async def wait_for_word() -> None:
            await until_told()
            told.set()

        nursery.start_soon(wait_for_word)
        for seq in count(1):
            if told.is_set():
                break
            await station.say(message(epoch, seq, warm_up))
            await trio.sleep(WARM_UP_S)
        ticks = Ticks()
        if work.ticks:
            trio.lowlevel.add_instrument(ticks)
        began, began_cpu = time.perf_counter(), cpu_s()
        due = trio.current_time()
        for number in range(work.count):
            await station.say(message(epoch + 1, number + 1, payload))
            if work.rate:
                due += 1 / work.rate
                await trio.sleep_until(due)
        await station.flush()
        tell(
            seconds=time.perf_counter() - began,
            cpu_us=(cpu_s() - began_cpu) / work.count * 1e6,
            longest_tick_ms=1000 * ticks.longest_s,
        )
        await until_told()
        nursery.cancel_scope.cancel()


async def listen(station: Station, work: Work) -> None:
    """Hear what warms up until it comes at once, then as much as was announced."""
    settled = 0
    ticks = Ticks()
    lags_ms: list[float] = []
    first = last = began_cpu = longest_gap_s = 0.0
    warm_up_epoch = None
    patience_s = math.inf
    while len(lags_ms) < work.count:
        with trio.move_on_after(patience_s) as patience:
            heard = await station.hear()
        if patience.cancelled_caught:
            break
        now = time.perf_counter()
        lag_ms = (time.time_ns() - heard.issued_ns) / 1e6
        warm_up_epoch = warm_up_epoch or heard.epoch
        if heard.epoch == warm_up_epoch:
            if lag_ms > SETTLED_MS:
                continue
            settled += 1
            if settled == SETTLED:
                if work.ticks:
                    trio.lowlevel.add_instrument(ticks)
                tell(live=True)
            continue
        if lags_ms:
            longest_gap_s = max(longest_gap_s, now - last)
        else:
            first, began_cpu, patience_s = now, cpu_s(), PATIENCE_S
        last = now
        lags_ms.append(lag_ms)
    lags_ms.sort()
    tell(
        heard=len(lags_ms),
        per_s=(len(lags_ms) - 1) / (last - first),
        cpu_us=(cpu_s() - began_cpu) / (len(lags_ms) - 1) * 1e6,
        p50_ms=percentile(lags_ms, 0.5),
        p99_ms=percentile(lags_ms, 0.99),
        longest_gap_ms=1000 * longest_gap_s,
        longest_tick_ms=1000 * ticks.longest_s,
    )


async def main(work: Work) -> None:
    settle()
    key = SigningKey.generate()
    async with STATIONS[work.stack](key) as station:
        tell(addr=station.addr)
        if work.connect:
            await station.connect(work.connect)
        if work.says:
            await speak(station, work, key)
        else:
            await listen(station, work)
            await until_told()


if __name__ == "__main__":
    trio.run(partial(main, Work(**json.loads(sys.argv[1]))))
