"""What the operator writes becomes a source, or an error that says what to write instead."""

import random
from pathlib import Path

import pytest
from trio.testing import MockClock

from meshnode.adapters.sources.spec import parse_source
from meshnode.errors import ConfigError
from meshnode.ports import Observation, Source
from simulations.clock import VirtualClock


def parse(spec: str, rng: random.Random | None = None) -> Source:
    return parse_source(spec, rng=rng or random.Random(1), wall_clock=VirtualClock())


async def first_batches(source: Source, count: int) -> list[Observation]:
    taken: list[Observation] = []
    async with source.open() as batches:
        async for batch in batches:
            taken += batch
            count -= 1
            if not count:
                break
    return taken


@pytest.mark.parametrize("file", ["builtin", "btcusdt-trades-2021-01-08.csv"])
async def test_the_shipped_recording_needs_no_path(autojump_clock: MockClock, file: str) -> None:
    source = parse(f"replay:{file}?speed=10&loop=true")
    assert source.name == f"replay:{file}"
    observation = (await first_batches(source, 1))[0]
    assert (observation.asset, str(observation.price)) == ("BTCUSDT", "39432.48")


async def test_a_file_is_replayed_at_its_speed(tmp_path: Path, autojump_clock: MockClock) -> None:
    path = tmp_path / "my.csv"
    path.write_text(
        "timestamp,asset,price\n2021-01-08T00:00:00Z,A,1\n2021-01-08T00:00:10Z,A,2\n",
        encoding="utf-8",
    )
    one, two = await first_batches(parse(f"replay:{path}?speed=2.5"), 2)
    assert two.observed_ns - one.observed_ns == 4 * 10**9


async def test_a_walk_takes_its_interval_and_seed(autojump_clock: MockClock) -> None:
    spec = "walk:BTC-USD,ETH-USD?interval_s=0.5&seed=7"
    alice = await first_batches(parse(spec, random.Random(1)), 3)
    bob = await first_batches(parse(spec, random.Random(2)), 3)
    assert [one.price for one in alice] == [one.price for one in bob], "the seed decides"
    assert [one.asset for one in alice] == ["BTC-USD", "ETH-USD"] * 3
    assert alice[2].observed_ns - alice[0].observed_ns == 5 * 10**8


async def test_without_a_seed_the_nodes_generator_decides(autojump_clock: MockClock) -> None:
    alice = await first_batches(parse("walk:BTC-USD", random.Random(1)), 3)
    bob = await first_batches(parse("walk:BTC-USD", random.Random(2)), 3)
    assert alice[-1].price != bob[-1].price


def test_a_name_is_short() -> None:
    spec = "walk:" + ",".join(f"ASSET-{number}" for number in range(100))
    assert parse(spec).name == spec[:64]


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("http:example", "'http:example': it must begin with one of replay:, walk:"),
        ("replay", "must begin with one of replay:, walk:"),
        ("", "must begin with one of"),
        ("replay:", "there is no file ''; name a CSV file, or 'builtin'"),
        ("replay:no/such.csv", "there is no file 'no/such.csv'"),
        ("replay:.", "there is no file '.'"),
        ("replay:builtin?speed=fast", "speed=fast is not a number from 0.001 to 1000000"),
        ("replay:builtin?speed=0", "speed=0 is not"),
        ("replay:builtin?speed=-1", "speed=-1 is not"),
        ("replay:builtin?speed=nan", "speed=nan is not"),
        ("replay:builtin?speed=1e9", "speed=1e9 is not"),
        ("replay:builtin?speed=9999999", "speed=9999999 is not"),
        ("replay:builtin?loop=yes", "loop=yes is neither true nor false"),
        ("replay:builtin?sped=1", "unknown option 'sped'; there are speed, loop"),
        ("replay:builtin?speed", "'speed' is not NAME=VALUE"),
        ("replay:builtin?speed=1&speed=2", "speed is given twice"),
        ("walk:", "'' is not an asset's name; write it like BTC-USD"),
        ("walk:btc", "'btc' is not an asset's name"),
        ("walk:BTC\n", "is not an asset's name"),
        ("walk:A,,B", "'' is not an asset's name"),
        ("walk:A,B,A", "asset A is named twice"),
        ("walk:A?interval_s=0", "interval_s=0 is not a number from 0.01 to 86400"),
        ("walk:A?seed=x", "seed=x is not a whole number"),
        ("walk:A?speed=1", "unknown option 'speed'; there are interval_s, seed"),
    ],
)
def test_an_error_names_the_part_and_the_remedy(spec: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(spec)
    assert says in str(caught.value)
    assert str(caught.value).startswith("source ")
