"""Pings of the muxer: answered by any Yamux, faked by nobody, ended with the connection."""

from typing import Any

import pytest
import trio
from libp2p.stream_muxer.exceptions import MuxedConnUnavailable
from libp2p.stream_muxer.yamux import yamux as library
from libp2p.stream_muxer.yamux.yamux import FLAG_ACK, FLAG_SYN, TYPE_PING
from trio.testing import MockClock, wait_all_tasks_blocked

from meshnode.adapters.libp2p.yamux_io import Yamux
from tests.adapters.libp2p.muxing import attacked, muxed


@pytest.mark.parametrize("bob_kind", [Yamux, library.Yamux])
async def test_a_ping_is_answered(bob_kind: Any) -> None:
    async with muxed(Yamux, bob_kind) as (alice, _bob):
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                for _ in range(10):
                    nursery.start_soon(alice.ping)


async def test_another_s_answer_is_none(autojump_clock: MockClock) -> None:
    async with attacked() as (mallory, bob):
        for guess in range(2):
            await mallory.send(TYPE_PING, FLAG_ACK, 0, guess)
        with trio.move_on_after(60) as patience:
            await bob.ping()
        assert patience.cancelled_caught
        kind, flags, _, asked = await mallory.frame()
        assert (kind, flags) == (TYPE_PING, FLAG_SYN)
        await mallory.send(TYPE_PING, FLAG_ACK, 0, asked)  # too late: nobody asks any more
        await wait_all_tasks_blocked()
        assert not bob.is_closed


async def test_no_two_pings_ask_the_same() -> None:
    async with attacked() as (mallory, bob), trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(bob.ping)
        asked = [(await mallory.frame())[3] for _ in range(2)]
        assert len(set(asked)) == 2
        for number in asked:
            await mallory.send(TYPE_PING, FLAG_ACK, 0, number)


async def test_who_waits_for_an_answer_learns_that_the_connection_ended() -> None:
    async with attacked() as (mallory, bob), trio.open_nursery() as nursery:

        async def ping() -> None:
            with pytest.raises(MuxedConnUnavailable):
                await bob.ping()

        nursery.start_soon(ping)
        await mallory.frame()
        await bob.close()
        await ping()  # and who asks afterwards does not wait
