"""What Bob remembers of others, and what of it reaches the disk."""

import trio
from trio.testing import MockClock

from meshnode.core.acquaintances import NOTED_EVERY_NS
from meshnode.core.facts import ProviderDiscovered, ProviderReturned
from meshnode.core.records import KnownAddr, KnownNode
from meshnode.services.remember import CHANGES_MAX
from protocols.messages import Presence, PresenceUpdate, Role
from simulations.clock import START_NS
from tests.cast import ALICE, BOB, CAROL, NS_PER_S, id_of, key_of, presence, said
from tests.services.bench import Bench, open_bench

ADDR = "/ip4/127.0.0.1/tcp/9"


def at(role: Role, *addrs: str, state: Presence = Presence.ACTIVE) -> PresenceUpdate:
    return PresenceUpdate(role, state, 5_000, 5_000, addrs, "meshnode/0", 0)


def on_disk(bob: Bench) -> tuple[set[KnownNode], set[KnownAddr], int | None]:
    bob.remember.keep()
    batch = bob.outbox.take()
    return set(batch.nodes), set(batch.addrs), batch.last_sign_ns


async def test_providers_and_addresses_are_kept_consumers_addresses_only(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob:
        bob.hears(said(payload=at(Role.PROVIDER, ADDR)))
        bob.hears(said(by=CAROL, payload=at(Role.CONSUMER, ADDR)))
        nodes, addrs, sign_ns = on_disk(bob)
        assert nodes == {KnownNode(key_of(ALICE), START_NS)}
        assert addrs == {KnownAddr(key_of(who), ADDR, None, 0) for who in (ALICE, CAROL)}
        assert sign_ns == START_NS
        assert on_disk(bob) == (set(), set(), None)


async def test_what_a_message_changes_is_written_with_it(autojump_clock: MockClock) -> None:
    async with open_bench() as bob:
        bob.hears(said(payload=at(Role.PROVIDER, ADDR)))
        batch = bob.outbox.take()
        assert len(batch.marks) == len(batch.nodes) == len(batch.addrs) == 1
        assert batch.last_sign_ns == START_NS


async def test_a_consumer_s_word_alone_is_written_with_others(autojump_clock: MockClock) -> None:
    filled: list[float] = []
    async with open_bench() as bob:
        bob.outbox.on_filled = lambda: filled.append(trio.current_time())
        bob.hears(said(by=CAROL, seq=1, payload=at(Role.CONSUMER)))
        assert not filled
        assert len(bob.outbox) == 1
        bob.hears(said(seq=1))
        assert len(filled) == 1
        assert {mark.author for mark in bob.outbox.take().marks} == {key_of(ALICE), key_of(CAROL)}


async def test_no_flood_of_changes_waits_for_a_disk_that_hangs(autojump_clock: MockClock) -> None:
    async with open_bench() as bob:
        for number in range(1, 3 * CHANGES_MAX):
            payload = at(Role.PROVIDER)
            bob.remember.heard(number.to_bytes(32, "big"), payload, START_NS)
            assert bob.acquaintances.changes + bob.addresses.changes < CHANGES_MAX
        assert len(bob.outbox) >= 2 * CHANGES_MAX  # though nobody has taken any of it


async def test_who_leaves_names_no_address_and_we_are_no_acquaintance_of_ours(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob:
        bob.hears(said(payload=at(Role.PROVIDER, ADDR, state=Presence.LEAVING)))
        bob.hears(said(by=BOB, payload=at(Role.PROVIDER, ADDR)))
        assert len(bob.addresses) == 0
        assert [node.author for node in on_disk(bob)[0]] == [key_of(ALICE)]


async def test_a_provider_that_says_prices_only_is_kept_too(autojump_clock: MockClock) -> None:
    async with open_bench() as bob:
        bob.hears(said())
        assert on_disk(bob)[0] == {KnownNode(key_of(ALICE), START_NS)}


async def test_an_outage_s_beginning_is_kept_not_its_length(autojump_clock: MockClock) -> None:
    async with open_bench() as bob:
        bob.hears(said(payload=presence()))
        on_disk(bob)
        await trio.sleep(2)
        issued_ns = START_NS + 2 * NS_PER_S
        bob.hears(said(seq=2, issued_ns=issued_ns, payload=presence(state=Presence.LEAVING)))
        since_ns = bob.presence.outage.since_ns
        assert since_ns is not None
        assert on_disk(bob)[2] == since_ns
        await trio.sleep(100)
        assert on_disk(bob)[2] is None


async def test_a_provider_that_presence_forgot_returns_and_is_no_discovery(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob:
        bob.acquaintances.heard(key_of(ALICE), START_NS - 3600 * NS_PER_S)
        for seq in (1, 2):
            bob.hears(said(seq=seq, issued_ns=bob.clock.now_ns(), payload=presence()))
            await trio.sleep(5)
        assert bob.witness.of(ProviderDiscovered) == []
        (returned,) = bob.witness.of(ProviderReturned)
        assert isinstance(returned, ProviderReturned)
        assert returned.provider_id == id_of(ALICE)
        assert 3600 <= returned.gone_s <= 3610


async def test_a_store_that_was_begun_anew_is_told_everything_again(
    autojump_clock: MockClock,
) -> None:
    async with open_bench() as bob:
        bob.hears(said(payload=at(Role.PROVIDER, ADDR)))
        before = on_disk(bob)
        bob.store.begin_anew()
        assert on_disk(bob) == before


async def test_on_leaving_the_last_word_of_each_is_written(autojump_clock: MockClock) -> None:
    async with open_bench() as bob:
        bob.hears(said(payload=presence()))
        on_disk(bob)
        await trio.sleep(5)
        issued_ns = START_NS + 5 * NS_PER_S
        assert 5 * NS_PER_S < NOTED_EVERY_NS
        bob.hears(said(seq=2, issued_ns=issued_ns, payload=presence()))
        assert on_disk(bob)[0] == set()
        bob.remember.keep(everything=True)
        assert bob.outbox.take().nodes == (KnownNode(key_of(ALICE), issued_ns),)
