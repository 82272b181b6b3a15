"""Which addresses Bob dials on somebody's word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshnode.core.dial_rules import DialRules, Refusal
from tests.cast import ALICE, BOB, CAROL, id_of

PEER = id_of(ALICE)
PUBLIC = DialRules(id_of(BOB), ("/ip4/198.51.100.1/tcp/4201/p2p/" + id_of(BOB),))
LOOPBACK = DialRules(id_of(BOB), ("/ip4/127.0.0.1/tcp/4201", "/ip6/::1/tcp/4201"))
PRIVATE = DialRules(id_of(BOB), ("/ip4/127.0.0.1/tcp/4201", "/ip4/192.168.7.1/tcp/4201"))
LINK_LOCAL = DialRules(id_of(BOB), ("/ip4/169.254.1.1/tcp/4201",))
SIMULATED = DialRules(id_of(BOB), ("/memory/7",))


@pytest.mark.parametrize(
    ("addr", "refusal"),
    [
        ("/ip4/127.0.0.1/tcp/22", Refusal.LOOPBACK),
        ("/ip4/127.9.9.9/tcp/22", Refusal.LOOPBACK),
        ("/ip6/::1/tcp/22", Refusal.LOOPBACK),
        ("/ip6/::ffff:127.0.0.1/tcp/22", Refusal.LOOPBACK),
        ("/ip6/::ffff:7f00:1/tcp/22", Refusal.LOOPBACK),
        ("/ip4/0.0.0.0/tcp/22", Refusal.RESERVED),
        ("/ip4/0.1.2.3/tcp/22", Refusal.RESERVED),
        ("/ip6/::/tcp/22", Refusal.RESERVED),
        ("/ip6/::127.0.0.1/tcp/22", Refusal.RESERVED),
        ("/ip6/64:ff9b::7f00:1/tcp/22", Refusal.RESERVED),
        ("/ip6/2002:7f00:1::/tcp/22", Refusal.RESERVED),
        ("/ip4/255.255.255.255/tcp/22", Refusal.RESERVED),
        ("/ip4/240.0.0.1/tcp/22", Refusal.RESERVED),
        ("/ip4/224.0.0.251/tcp/22", Refusal.MULTICAST),
        ("/ip6/ff02::1/tcp/22", Refusal.MULTICAST),
        ("/ip4/169.254.169.254/tcp/80", Refusal.LINK_LOCAL),
        ("/ip6/fe80::1/tcp/80", Refusal.LINK_LOCAL),
        ("/ip6/fe80::1%eth0/tcp/80", Refusal.MALFORMED),
        ("/ip4/10.1.2.3/tcp/80", Refusal.PRIVATE),
        ("/ip4/172.31.0.1/tcp/80", Refusal.PRIVATE),
        ("/ip4/192.168.0.1/tcp/80", Refusal.PRIVATE),
        ("/ip4/100.64.0.1/tcp/80", Refusal.PRIVATE),
        ("/ip6/fd00::1/tcp/80", Refusal.PRIVATE),
        ("/ip6/::ffff:10.0.0.1/tcp/80", Refusal.PRIVATE),
        ("/dns4/example.org/tcp/80", Refusal.NAME),
        ("/dns/localhost/tcp/80", Refusal.NAME),
        ("/dnsaddr/example.org", Refusal.NAME),
        ("/ip4/198.51.100.7/udp/53", Refusal.TRANSPORT),
        ("/ip4/198.51.100.7/udp/53/quic-v1", Refusal.TRANSPORT),
        ("/ip4/198.51.100.7/tcp/80/ws", Refusal.TRANSPORT),
        ("/ip4/198.51.100.7/tcp/80/p2p-circuit", Refusal.TRANSPORT),
        ("/memory/7", Refusal.TRANSPORT),
        ("/unix/tmp/socket", Refusal.TRANSPORT),
        ("/ip4/198.51.100.7/tcp/0", Refusal.MALFORMED),
        ("/ip4/198.51.100.7/tcp/65536", Refusal.MALFORMED),
        ("/ip4/198.51.100.7/tcp/x", Refusal.MALFORMED),
        ("/ip4/198.51.100.7", Refusal.MALFORMED),
        ("/ip4/198.51.100.007/tcp/1", Refusal.MALFORMED),
        ("/ip4/::1/tcp/1", Refusal.MALFORMED),
        ("ip4/198.51.100.7/tcp/1", Refusal.MALFORMED),
        ("/ip4//tcp/1", Refusal.MALFORMED),
        ("", Refusal.MALFORMED),
        ("/", Refusal.MALFORMED),
        ("/ip4/198.51.100.7/tcp/" + "1" * 300, Refusal.MALFORMED),
        (f"/ip4/198.51.100.7/tcp/1/p2p/{id_of(CAROL)}", Refusal.MALFORMED),
        ("/ip4/198.51.100.1/tcp/4201", Refusal.OWN),
        ("/ip4/198.51.100.1/tcp/04201", Refusal.OWN),
        ("/ip6/::ffff:198.51.100.1/tcp/4201", Refusal.OWN),
    ],
)
def test_a_node_on_the_internet_refuses(addr: str, refusal: Refusal) -> None:
    assert PUBLIC.judge(PEER, addr) is refusal


@pytest.mark.parametrize(
    ("rules", "addr", "place"),
    [
        (PUBLIC, "/ip4/198.51.100.7/tcp/4201", "/ip4/198.51.100.7/tcp/4201"),
        (PUBLIC, f"/ip4/198.51.100.7/tcp/1/p2p/{PEER}", "/ip4/198.51.100.7/tcp/1"),
        (PUBLIC, "/ip4/198.51.100.1/tcp/4202", "/ip4/198.51.100.1/tcp/4202"),
        (PUBLIC, "/ip6/2A00:0::0001/tcp/0080", "/ip6/2a00::1/tcp/80"),
        (LOOPBACK, "/ip4/127.0.0.1/tcp/9", "/ip4/127.0.0.1/tcp/9"),
        (LOOPBACK, "/ip6/::1/tcp/9", "/ip6/::1/tcp/9"),
        (PRIVATE, "/ip4/10.0.0.1/tcp/9", "/ip4/10.0.0.1/tcp/9"),
        (LINK_LOCAL, "/ip4/169.254.2.2/tcp/9", "/ip4/169.254.2.2/tcp/9"),
        (SIMULATED, "/memory/8", "/memory/8"),
    ],
)
def test_an_address_is_taken_in_one_spelling(rules: DialRules, addr: str, place: str) -> None:
    assert rules.judge(PEER, addr) == place


@pytest.mark.parametrize(
    ("rules", "addr", "refusal"),
    [
        (PRIVATE, "/ip4/127.0.0.1/tcp/9", Refusal.LOOPBACK),  # others listen there as well
        (LOOPBACK, "/ip4/10.0.0.1/tcp/9", Refusal.PRIVATE),
        (LOOPBACK, "/ip4/169.254.1.1/tcp/9", Refusal.LINK_LOCAL),
        (LINK_LOCAL, "/ip6/fe80::1/tcp/9", Refusal.LINK_LOCAL),
        (SIMULATED, "/ip4/198.51.100.7/tcp/9", Refusal.TRANSPORT),
        (SIMULATED, "/memory/8/memory/9", Refusal.TRANSPORT),
        (SIMULATED, "/memory/7", Refusal.OWN),
    ],
)
def test_where_we_listen_decides(rules: DialRules, addr: str, refusal: Refusal) -> None:
    assert rules.judge(PEER, addr) is refusal


def test_nobody_dials_himself_or_somebody_without_an_id() -> None:
    assert PUBLIC.judge(id_of(BOB), "/ip4/198.51.100.7/tcp/1") is Refusal.OWN
    assert PUBLIC.judge("QmNobody", "/ip4/198.51.100.7/tcp/1") is Refusal.MALFORMED
    assert PUBLIC.judge("", "/ip4/198.51.100.7/tcp/1") is Refusal.MALFORMED


def test_who_does_not_listen_dials_tcp() -> None:
    rules = DialRules(id_of(BOB), ())
    assert rules.judge(PEER, "/ip4/198.51.100.7/tcp/1") == "/ip4/198.51.100.7/tcp/1"
    assert rules.judge(PEER, "/ip4/127.0.0.1/tcp/1") is Refusal.LOOPBACK
    assert rules.judge(PEER, "/memory/1") is Refusal.TRANSPORT


@given(st.text(alphabet="/ip46tcpdns:.0127abf%memory", max_size=40))
def test_judging_never_raises_and_what_is_taken_is_taken_again(addr: str) -> None:
    judged = PUBLIC.judge(PEER, addr)
    if isinstance(judged, str):
        assert PUBLIC.judge(PEER, judged) == judged
