"""How often the beat looks."""

import math
import random
from itertools import pairwise

import trio
from trio.testing import MockClock

from meshnode.services.beat import BEAT_S, QUIET_BEAT_S, Beat


class Looker:
    """When it looked, and from when on it says that something may change."""

    def __init__(self) -> None:
        self.looked_at: list[float] = []
        self.until = math.inf

    def look(self) -> float:
        self.looked_at.append(trio.current_time())
        return self.until

    def pauses_s(self, first: float = 0.0, last: float = math.inf) -> set[float]:
        within = [at for at in self.looked_at if first <= at < last]
        return {round(later - at, 6) for at, later in pairwise(within)}


async def beat_for(seconds: float, *lookers: Looker) -> list[float]:
    paused: list[float] = []
    beat = Beat([looker.look for looker in lookers], paused.append, random.Random(1))
    with trio.move_on_after(seconds):
        await beat.run()
    return paused


async def test_while_nothing_presses_the_beat_is_slow(autojump_clock: MockClock) -> None:
    calm = Looker()
    assert await beat_for(20, calm) == []
    assert calm.pauses_s(first=QUIET_BEAT_S) == {QUIET_BEAT_S}


async def test_one_of_whom_something_presses_has_all_look_sooner(
    autojump_clock: MockClock,
) -> None:
    calm, pressed = Looker(), Looker()
    pressed.until = trio.current_time() + 10
    await beat_for(20, calm, pressed)
    assert calm.looked_at == pressed.looked_at
    assert calm.pauses_s(first=QUIET_BEAT_S, last=10 - QUIET_BEAT_S) == {QUIET_BEAT_S}
    assert calm.pauses_s(first=10) == {BEAT_S}
    assert min(at for at in calm.looked_at if at >= 10) < 10 + BEAT_S
