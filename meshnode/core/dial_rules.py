"""Which addresses may be dialled on a stranger's word.

Whoever speaks on the network can name any address. None of them may make a node knock at its own
machine's doors, at its site's, or at names that somebody else resolves. Seeds are the operator's
word and are not judged here.
"""

import ipaddress
import re
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from meshnode.core.multiaddrs import check_peer_id
from protocols.limits import ADDR_BYTES_MAX

Ip: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_PRIVATE: Final = tuple(
    map(
        ipaddress.ip_network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"),
    )
)
# Nobody's unicast address: "this network", broadcast and what was never given out. IPv4 within
# IPv6 (translated, tunnelled) would lead to an address that was not judged.
_RESERVED: Final = tuple(
    map(
        ipaddress.ip_network,
        ("0.0.0.0/8", "240.0.0.0/4", "::/96", "64:ff9b::/32", "100::/64", "2002::/16", "2001::/32"),
    )
)
_IP_KINDS: Final = ("ip4", "ip6")
_NAME_KINDS: Final = ("dns", "dns4", "dns6", "dnsaddr")
_NUMBER: Final = re.compile(r"[0-9]{1,20}")
_PORT_MAX: Final = 65_535
_TCP: Final = ("tcp", "*")
_KNOWN_MAX: Final = 2_048  # addresses of which it is remembered what they are


class Refusal(Enum):
    """Why an address is not dialled; the values are the names under which they are counted."""

    OWN = "addr_own"
    MALFORMED = "addr_malformed"
    TRANSPORT = "addr_transport"
    NAME = "addr_name"
    RESERVED = "addr_reserved"
    MULTICAST = "addr_multicast"
    LINK_LOCAL = "addr_link_local"
    LOOPBACK = "addr_loopback"
    PRIVATE = "addr_private"


class _Place(NamedTuple):
    """An address taken apart: its IP address, if it has one, and the transport that follows it.

    Numbers of the transport are `*`. `spelt` is the address in its one spelling; `refusal` is why
    somebody who has none like it would not dial it, None where anybody may.
    """

    ip: Ip | None
    transport: tuple[str, ...]
    spelt: str
    refusal: Refusal | None


class DialRules:
    """Judges addresses by where we ourselves listen, or are announced.

    `own_addrs` are multiaddrs, with or without `/p2p`. Loopback is dialled where we listen on
    nothing else, private and link-local ranges where we have an address in one; transports other
    than TCP where we listen on them ourselves.
    """

    def __init__(self, own_id: str, own_addrs: Sequence[str]) -> None:
        self._own_id = own_id
        self._own_places = frozenset(addr.partition("/p2p/")[0] for addr in own_addrs)
        ours = [found for addr in own_addrs if (found := _taken_apart(addr)) is not None]
        ips = [place.ip for place in ours if place.ip is not None]
        self._transports = frozenset(place.transport for place in ours)
        self._speaks_tcp = not ours or any(one.ip and one.transport == _TCP for one in ours)
        self._loopback = bool(ips) and all(ip.is_loopback for ip in ips)
        self._link_local = any(ip.version == 4 and ip.is_link_local for ip in ips)
        self._private = any(_within(ip, _PRIVATE) for ip in ips)

    def judge(self, peer_id: str, addr: str) -> str | Refusal:
        """The address in its one spelling, without `/p2p`, or why it must not be dialled."""
        if peer_id == self._own_id:
            return Refusal.OWN
        bare, _, named = addr.partition("/p2p/")
        if named not in ("", peer_id):
            return Refusal.MALFORMED
        try:
            check_peer_id(peer_id)
        except ValueError:
            return Refusal.MALFORMED
        place = _taken_apart(bare)
        if place is None:
            return Refusal.MALFORMED
        if place.transport[0] in _NAME_KINDS:
            return Refusal.NAME
        is_tcp = place.ip is not None and place.transport == _TCP
        if not (self._speaks_tcp if is_tcp else place.transport in self._transports):
            return Refusal.TRANSPORT
        if (refusal := self._judge_range(place)) is not None:
            return refusal
        return Refusal.OWN if place.spelt in self._own_places else place.spelt

    def _judge_range(self, place: _Place) -> Refusal | None:
        match place.refusal:
            case Refusal.LOOPBACK if self._loopback:
                return None
            # In IPv6 such an address means nothing without an interface, which none can name.
            case Refusal.LINK_LOCAL if self._link_local and place.ip and place.ip.version == 4:
                return None
            case Refusal.PRIVATE if self._private:
                return None
            case refusal:
                return refusal


def _range_of(ip: Ip) -> Refusal | None:
    """Why an address would not be dialled by somebody who has none like it; None: anybody may."""
    if ip.is_loopback:
        return Refusal.LOOPBACK
    if ip.is_multicast:
        return Refusal.MULTICAST
    if ip.is_unspecified or _within(ip, _RESERVED):
        return Refusal.RESERVED
    if ip.is_link_local:
        return Refusal.LINK_LOCAL
    return Refusal.PRIVATE if _within(ip, _PRIVATE) else None


# Neighbours name the same addresses for hours, and each newcomer's goes round.
@lru_cache(maxsize=_KNOWN_MAX)
def _taken_apart(addr: str) -> _Place | None:
    place = addr.partition("/p2p/")[0]
    if not place.startswith("/") or len(place) > ADDR_BYTES_MAX:
        return None
    tokens = place[1:].split("/")
    if len(tokens) < 2 or not all(tokens):
        return None
    ip: Ip | None = None
    refusal: Refusal | None = None
    if tokens[0] in _IP_KINDS:
        try:
            ip = ipaddress.ip_address(tokens[1])
        except ValueError:
            return None
        if tokens[0] != f"ip{ip.version}" or "%" in tokens[1]:
            return None
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        tokens = tokens[2:]
        if len(tokens) < 2 or not _is_port(tokens[1]):
            return None
        protocol, port, *rest = tokens
        place = "/".join(("", f"ip{ip.version}", str(ip), protocol, str(int(port)), *rest))
        refusal = _range_of(ip)
    transport = tuple("*" if _NUMBER.fullmatch(token) else token for token in tokens)
    return _Place(ip, transport, place, refusal)


def _is_port(token: str) -> bool:
    return _NUMBER.fullmatch(token) is not None and 0 < int(token) <= _PORT_MAX


def _within(ip: Ip, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    return any(ip.version == network.version and ip in network for network in networks)
