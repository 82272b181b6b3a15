"""What a provider in a process of its own reads: prices that move, and troubles on command."""

import random
from decimal import Decimal
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from meshnode.adapters.sources.spec import parse_source
from meshnode.errors import SourceUnavailable
from simulations.clock import VirtualClock
from simulations.processes.recording import Recording
from simulations.upstreams import Trouble

Told = list[tuple[float, dict[str, Decimal]]]


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    made = Recording(tmp_path / "alice.csv", seed=7, update_every_s=5)
    made.write(Trouble())
    return made


async def told_by(recording: Recording, batches: int) -> Told:
    """So many batches, each with when it came, in seconds."""
    source = parse_source(recording.spec, rng=random.Random(1), wall_clock=VirtualClock())
    began_at = trio.current_time()
    told: Told = []
    async with source.open() as came:
        async for batch in came:
            prices = {o.asset: o.price for o in batch}
            told.append((round(trio.current_time() - began_at, 2), prices))
            if len(told) == batches:
                break
    return told


async def test_prices_move_at_the_pace_that_was_asked_for(
    recording: Recording, autojump_clock: MockClock
) -> None:
    told = [(at_s, prices) for at_s, prices in await told_by(recording, 7) if len(prices) > 1]
    assert [at_s for at_s, _ in told] == [0, 5, 10, 15, 20]
    first, second, *others = (prices for _, prices in told)
    assert all(first[asset] != second[asset] for asset in first)
    assert others == [first, second, first]


async def test_one_that_is_down_cannot_be_read_until_it_is_well_again(
    recording: Recording, autojump_clock: MockClock
) -> None:
    recording.write(Trouble(is_down=True))
    with pytest.raises(SourceUnavailable):
        await told_by(recording, 1)
    recording.write(Trouble())
    assert len(await told_by(recording, 2)) == 2


async def test_one_that_is_frozen_or_lies(recording: Recording, autojump_clock: MockClock) -> None:
    [(_, honest)] = await told_by(recording, 1)
    recording.write(Trouble(is_frozen=True))
    assert [prices for _, prices in await told_by(recording, 2)] == [honest, honest]
    recording.write(Trouble(factor=Decimal(10)))
    [(_, lied)] = await told_by(recording, 1)
    assert lied == {asset: price * 10 for asset, price in honest.items()}
