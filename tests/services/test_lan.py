"""Bob looks for nodes on his local network, if he is told to."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio
from trio.testing import MockClock

from meshnode.core.facts import LanSearchFailed
from meshnode.errors import LanUnavailable
from meshnode.platform import no_lan
from meshnode.ports import FoundOnLan, Lan, OpenLan
from meshnode.services.lan import RETRY_AFTER_S, LanSearch
from tests.cast import ALICE, id_of
from tests.services.bench import Bench, open_bench


class Found:
    """A local network with one node on it, found once."""

    def __init__(self, found: FoundOnLan) -> None:
        self._found = [found]

    async def next_found(self) -> FoundOnLan:
        if not self._found:
            await trio.sleep_forever()
        return self._found.pop()


def lan_of(found: FoundOnLan, announced: list[tuple[str, Sequence[str]]]) -> OpenLan:
    @asynccontextmanager
    async def open_lan(own_id: str, addrs: Sequence[str]) -> AsyncIterator[Lan]:
        if not announced:
            announced.append((own_id, addrs))
            raise LanUnavailable("not yet")
        announced.append((own_id, addrs))
        yield Found(found)

    return open_lan


async def search(bench: Bench, open_lan: OpenLan, *, is_wanted: bool, for_s: float) -> None:
    service = LanSearch(open_lan, bench.mesh, bench.addresses, bench.witness, is_wanted=is_wanted)
    with trio.move_on_after(for_s):
        await service.run()


async def test_who_is_found_is_taken_under_the_rules_and_a_missing_network_is_looked_for_again(
    autojump_clock: MockClock,
) -> None:
    announced: list[tuple[str, Sequence[str]]] = []
    found = FoundOnLan(id_of(ALICE), ("/ip4/224.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/9"))
    async with open_bench() as bob:
        await search(bob, lan_of(found, announced), is_wanted=True, for_s=RETRY_AFTER_S + 1)
        assert announced == [(bob.mesh.peer_id, bob.mesh.addrs())] * 2
        assert bob.witness.of(LanSearchFailed) == [LanSearchFailed("not yet", RETRY_AFTER_S)]
        assert [one.place for one in bob.addresses.of(id_of(ALICE))] == ["/ip4/127.0.0.1/tcp/9"]


async def test_nobody_looks_unless_told_to(autojump_clock: MockClock) -> None:
    async with open_bench() as bob:
        await search(bob, no_lan, is_wanted=False, for_s=10)
        assert bob.witness.of(LanSearchFailed) == []


async def test_a_node_without_a_local_network_is_told_and_goes_on(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob:
        await search(bob, no_lan, is_wanted=True, for_s=3 * RETRY_AFTER_S - 1)
        assert len(bob.witness.of(LanSearchFailed)) == 3
