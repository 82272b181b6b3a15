"""What a scenario does to links, disks and upstreams, and what checkers make of it."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from meshnode.adapters.sources.spec import builtin_recording
from meshnode.errors import DialRefused, SourceUnavailable
from meshnode.ports import Batch
from simulations.clock import VirtualClock
from simulations.faults import Kind
from simulations.links import Links
from simulations.runner import Outcome, Setup, simulate
from simulations.scenario import Scenario
from simulations.stage import Stage
from simulations.upstreams import Recorded, SetPrices, Trouble, Troubled


def played(
    play: Callable[[Stage], Awaitable[None]],
    *,
    nodes: int = 4,
    minutes: float = 1.0,
    stack: str = "model",
) -> Outcome:
    return simulate(Setup(Scenario("trial", "A trial.", play), nodes, 1, minutes, stack))


def broken(outcome: Outcome) -> set[str]:
    return {violation.rule for violation in outcome.violations}


# --- links ----------------------------------------------------------------------------------


def test_a_link_that_stalls_and_is_cut_stays_cut() -> None:
    links = Links(lambda _one, _other: 0.0)
    links.cut("a", "b", one_way=True)
    for _ in range(2):
        links.stall("a", "b")
    links.resume("a", "b")
    assert not links.is_open("b", "a")
    links.resume("a", "b")
    assert links.is_open("b", "a")
    assert not links.is_open("a", "b")
    links.mend("a", "b")
    assert links.is_whole


def test_who_is_cut_from_two_is_well_when_both_links_are_mended() -> None:
    found = []

    async def play(stage: Stage) -> None:
        await stage.grow(providers=1)
        one, two, three = stage.nodes[1:]
        stage.cut(one, two)
        stage.cut(one, three)
        for other in (two, three):
            stage.mend(one, other)
            nodes = (one, two, three)
            found.append([stage.faults.is_hampered(node, Kind.CUT) for node in nodes])

    played(play)
    assert found == [[True, False, True], [False, False, False]]


@pytest.mark.parametrize("stack", ["model", "libp2p"])
def test_a_dial_is_refused_between_two_nodes_only(stack: str) -> None:
    async def play(stage: Stage) -> None:
        await stage.grow(providers=1)
        one, two, three = stage.nodes[1:]
        assert one.mesh is not None
        for other in (two, three):
            await one.mesh.disconnect(other.peer_id)
        stage.refuse_dials(one, two)
        with pytest.raises(DialRefused):
            await one.mesh.connect(two.addr)
        await one.mesh.connect(three.addr)
        stage.accept_dials(one, two)
        await stage.wait(2)  # no place is dialled twice in a second
        await one.mesh.connect(two.addr)

    assert broken(played(play, stack=stack)) == set()


def test_no_dial_is_refused_any_more_when_the_scenario_is_over() -> None:
    found = []

    async def play(stage: Stage) -> None:
        await stage.grow(providers=1)
        one, other = stage.nodes[:2]
        links = stage.world.network.links
        stage.refuse_dials(one, other)
        found.append(links.refuses(one.peer_id, other.peer_id))
        stage.calm_down()
        found.append(links.refuses(one.peer_id, other.peer_id))

    played(play)
    assert found == [True, False]


def test_a_link_that_is_cut_explains_no_loss() -> None:
    """Everybody has one link that is cut; that the provider is not passed on is the fault."""

    async def play(stage: Stage) -> None:
        await stage.grow(providers=1)
        for one, other in zip(stage.nodes, stage.nodes[1:], strict=False):
            stage.cut(one, other, one_way=True)
        await stage.wait(60)
        stage.world.network.muted.add(stage.providers[0].peer_id)  # type: ignore[attr-defined]
        await stage.play_out()

    assert "every update reaches every node" in broken(played(play, nodes=8, minutes=2.5))


@pytest.mark.parametrize("is_muted", [True, False])
def test_a_side_of_a_split_gets_all_that_is_said_there(is_muted: bool) -> None:
    async def play(stage: Stage) -> None:
        await stage.grow(providers=1)
        stage.split([stage.nodes[:4], stage.nodes[4:]])
        await stage.wait(60)
        if is_muted:
            stage.world.network.muted.add(stage.providers[0].peer_id)  # type: ignore[attr-defined]
        await stage.play_out()

    outcome = played(play, nodes=8, minutes=2.5)
    assert ("every update reaches every node" in broken(outcome)) == is_muted
    assert outcome.expected > 0


# --- disks ----------------------------------------------------------------------------------


def test_what_was_accepted_while_the_disk_failed_is_due_once_it_works() -> None:
    """Here it is not: from then on the store takes everything, and keeps nothing."""

    async def play(stage: Stage) -> None:
        await stage.grow(providers=1)
        node = stage.consumers[0]
        stage.break_disk(node, "full")
        await stage.wait(30)
        node.store.commit = lose  # type: ignore[method-assign]
        stage.mend_disk(node)
        await stage.play_out()

    async def lose(batch: Batch) -> None:
        await trio.lowlevel.checkpoint()

    seen = [v for v in played(play, minutes=1.5).violations if "written once" in v.rule]
    assert seen
    assert "not on disk yet" in seen[0].saw


# --- upstreams ------------------------------------------------------------------------------


async def test_an_outlier_is_told_once(autojump_clock: MockClock) -> None:
    source, trouble = SetPrices({"A": "2"}, VirtualClock()), Trouble()
    trouble.outlier = Decimal(100)
    source.set({"A": "3"})
    source.fail()
    told = []
    async with Troubled(source, trouble).open() as batches:
        with pytest.raises(SourceUnavailable):
            async for batch in batches:
                told.append(batch[0].price)
    assert told == [200, 3]


async def test_of_a_recording_the_last_trade_of_each_step_is_told(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    file = tmp_path / "trades.csv"
    rows = [("00.000", "A", 1), ("00.900", "A", 2), ("00.950", "B", 7), ("02.100", "A", 3)]
    lines = [f"2021-01-08T00:00:{second}Z,{asset},{price}" for second, asset, price in rows]
    file.write_text("\n".join(["timestamp,asset,price", *lines]))
    told: list[tuple[float, dict[str, int]]] = []
    began_at = trio.current_time()
    async with Recorded(file, VirtualClock(), interval_s=1.0).open() as batches:
        async for batch in batches:
            at_s = trio.current_time() - began_at
            told.append((round(at_s, 3), {one.asset: int(one.price) for one in batch}))
            if len(told) == 3:
                break
    assert told == [(0, {"A": 2, "B": 7}), (2, {"A": 3}), (3, {"A": 2, "B": 7})]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("timestamp,asset,price\n", "no row"),
        ("timestamp,asset\n", "names no column price"),
        ("timestamp,asset,price\nnonsense,A,1\n", "nonsense"),
    ],
)
def test_a_recording_that_cannot_be_read_is_told(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "trades.csv"
    file.write_text(text)
    with pytest.raises(SourceUnavailable, match=said):
        Recorded(file, VirtualClock(), interval_s=1.0)


def test_recorded_trades_are_prices_like_any_other() -> None:
    async def play(stage: Stage) -> None:
        await stage.grow(providers=1, update_every_s=1.0, recording=builtin_recording())
        await stage.play_out()
        found.extend(stored.asset for stored in stage.consumers[0].store.latest())

    found: list[str] = []
    assert broken(played(play)) == set()
    assert found == ["BTCUSDT"]
