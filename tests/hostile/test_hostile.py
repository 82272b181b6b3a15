"""Whatever a hostile peer does, the victim lives, answers, and relays every honest update."""

import os
from collections.abc import Iterator
from itertools import count, cycle
from pathlib import Path
from random import Random

import pytest
import trio

from tests.hostile.gossip_attacks import GOSSIP_ATTACKS
from tests.hostile.hostile_peer import BROKEN
from tests.hostile.stage import RSS_GROWTH_MAX, Stage, open_stage, until
from tests.hostile.stream_attacks import STREAM_ATTACKS
from tests.hostile.wire_attacks import WIRE_ATTACKS, Attack

ATTACKS = (*WIRE_ATTACKS, *GOSSIP_ATTACKS, *STREAM_ATTACKS)
AT_ONCE = 6
ATTACK_S = 30.0
ANSWER_S = 1.0
LATE_S = 1.6
CALM_S = 10.0  # until what attackers left is closed
DESCRIPTORS_SPARE = 10  # databases and logs come and go by a few
LONG_S = float(os.environ.get("HOSTILE_S", "600"))
LOOK_EVERY_S = 60.0


async def attack_with(attack: Attack, stage: Stage, rng: Random) -> None:
    """One attack; that the victim hangs up in its middle is no failure, that it dies is."""
    with trio.fail_after(ATTACK_S):
        try:
            await attack(stage.target, rng)
        except* BROKEN:  # alone, or out of the attack's own tasks
            pass
    assert not stage.victim.has_ended, f"{attack.__name__} ended the victim"


async def attack_at_random(stage: Stage, attacks: Iterator[Attack], rng: Random) -> None:
    """So many at once, one after the other."""

    async def attacker(rng: Random) -> None:
        for attack in attacks:
            await attack_with(attack, stage, rng)

    async with trio.open_nursery() as nursery:
        for _ in range(AT_ONCE):
            nursery.start_soon(attacker, Random(rng.random()))


async def watch_memory(stage: Stage, before: int) -> None:
    """Say how it grows: what levels off is a cache, what does not is a leak."""
    for number in count(1):
        await trio.sleep(LOOK_EVERY_S)
        grown = (stage.resident_bytes() - before) / 2**20
        print(f"{number * LOOK_EVERY_S / 60:.0f} min: memory {grown:+.1f} MiB", flush=True)


async def endured(stage: Stage, attacks: Iterator[Attack], rng: Random) -> None:
    """Attack, and look what it did."""
    memory, descriptors = stage.resident_bytes(), stage.descriptors()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stage.probe)
        nursery.start_soon(watch_memory, stage, memory)
        await attack_at_random(stage, attacks, rng)
        with trio.fail_after(CALM_S):  # an attack may be over before anything was measured
            await until(stage.has_measured)
        nursery.cancel_scope.cancel()
    missing, said = await stage.lost()
    print(
        f"\n{said} updates, {len(missing)} lost, 99% within {stage.late_s():.2f} s;"
        f" status ≤ {max(stage.answered_s):.2f} s, joined ≤ {max(stage.joined_s):.2f} s;"
        f" memory {(stage.resident_bytes() - memory) / 2**20:+.0f} MiB"
    )
    assert said
    assert not missing
    assert stage.late_s() <= LATE_S
    assert max(stage.answered_s) <= ANSWER_S
    assert stage.resident_bytes() - memory <= RSS_GROWTH_MAX
    assert stage.not_log_lines() == []
    with trio.fail_after(CALM_S):
        await until(lambda: stage.descriptors() <= descriptors + DESCRIPTORS_SPARE)
    assert await stage.victim.terminate() == 0


async def test_everything_at_once_in_a_random_order(tmp_path: Path) -> None:
    rng = Random(20261)
    async with open_stage(tmp_path) as stage:
        await endured(stage, iter(rng.sample(ATTACKS, len(ATTACKS))), rng)


@pytest.mark.long
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
async def test_each_alone(attack: Attack, tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        await endured(stage, iter([attack]), Random(attack.__name__))


@pytest.mark.long
async def test_ten_minutes_at_random(tmp_path: Path) -> None:
    rng = Random()
    async with open_stage(tmp_path) as stage:
        ends_at = trio.current_time() + LONG_S

        def until_the_end() -> Iterator[Attack]:
            for _ in cycle([None]):
                if trio.current_time() >= ends_at:
                    return
                yield rng.choice(ATTACKS)

        await endured(stage, until_the_end(), rng)
