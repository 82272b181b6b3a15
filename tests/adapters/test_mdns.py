"""Alice and Bob on one local network: what they announce, and what is made of it."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from meshnode.adapters import mdns
from meshnode.adapters.mdns import MdnsLan, nodes_in, open_mdns, text_of
from meshnode.errors import LanUnavailable
from meshnode.ports import FoundOnLan
from protocols.limits import ADDRS_MAX
from tests.cast import ALICE, BOB, id_of

ADDRS = [f"/ip4/127.0.0.1/tcp/{port}/p2p/{id_of(ALICE)}" for port in (1, 2)]


def test_what_is_announced_is_read() -> None:
    text = text_of(id_of(ALICE), [*ADDRS, f"/ip4/127.0.0.1/tcp/3/p2p/{id_of(BOB)}"])
    (found,) = nodes_in(text)
    assert found == FoundOnLan(id_of(ALICE), ("/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/2"))


def test_other_implementations_number_the_keys() -> None:
    strings = [b"dnsaddr=/a/1/p2p/x", b"dnsaddr2=/a/2/p2p/x", b"version=1", b"dnsaddr=/a/3"]
    text = b"".join(bytes([len(string)]) + string for string in strings)
    assert list(nodes_in(text)) == [FoundOnLan("x", ("/a/1", "/a/2"))]


def test_few_addresses_of_a_node_are_read() -> None:
    string = b"dnsaddr=/a/1/p2p/x"
    text = (bytes([len(string)]) + string) * 100
    (found,) = nodes_in(text)
    assert len(found.addrs) == ADDRS_MAX


@given(st.binary(max_size=600))
def test_no_record_raises(text: bytes) -> None:
    list(nodes_in(text))


async def test_who_is_not_asked_for_is_dropped_and_counted() -> None:
    lan = MdnsLan()
    for number in range(mdns.FOUND_MAX + 3):
        lan.take(FoundOnLan(str(number), ()))
    assert lan.dropped == 3
    assert (await lan.next_found()).peer_id == "0"


async def test_where_there_is_no_such_interface_that_is_said() -> None:
    with trio.fail_after(30), pytest.raises(LanUnavailable, match="multicast"):
        async with open_mdns(id_of(ALICE), ADDRS, interfaces=["nonsense"]):
            pass


async def test_two_on_the_loopback_interface_find_each_other() -> None:
    with trio.fail_after(30):
        async with (
            open_mdns(id_of(ALICE), ADDRS, interfaces=["127.0.0.1"]),
            open_mdns(id_of(BOB), [], interfaces=["127.0.0.1"]) as bob,
        ):
            found = await bob.next_found()
    assert found.peer_id == id_of(ALICE)
