"""Addresses of nodes as operators write them: checked here, dialled by the libp2p adapter."""

import ipaddress
import re
from typing import NamedTuple

from protocols.errors import ProtocolError
from protocols.ids import key_from_peer_id
from protocols.limits import ADDR_BYTES_MAX

_FORM = re.compile(
    r"/(?P<kind>ip4|ip6|dns|dns4|dns6)/(?P<host>[^/\s]+)/tcp/(?P<port>[0-9]{1,5})(?P<peer>/p2p/[^/\s]+)?"
)
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")


class NodeAddr(NamedTuple):
    """A multiaddr over TCP, taken apart; `peer_id` is None where it ends with the port."""

    host: str
    is_name: bool
    port: int
    peer_id: str | None


def parse_addr(text: str) -> NodeAddr:
    """Take `/ip4|ip6|dns|dns4|dns6/HOST/tcp/PORT[/p2p/ID]` apart.

    Raises ValueError, in words that say what to write instead.
    """
    match = _FORM.fullmatch(text) if len(text) <= ADDR_BYTES_MAX else None
    if match is None:
        raise ValueError(
            "is no TCP multiaddr; write /ip4/HOST/tcp/PORT, /ip6/… or /dns4/…, with /p2p/ID to dial"
        )
    kind, host, port = match["kind"], match["host"], int(match["port"])
    if port > 65535:
        raise ValueError(f"has port {port}; ports end at 65535")
    _check_host(kind, host)
    peer_id = match["peer"].removeprefix("/p2p/") if match["peer"] else None
    if peer_id is not None:
        check_peer_id(peer_id)
    return NodeAddr(host, kind.startswith("dns"), port, peer_id)


def check_peer_id(text: str) -> None:
    """Raises ValueError unless this is the peer id of an Ed25519 key."""
    try:
        key_from_peer_id(text)
    except ProtocolError:
        raise ValueError(
            'holds no peer id (12D3KooW…); run "meshnode id" on that node to get it'
        ) from None


def _check_host(kind: str, host: str) -> None:
    if kind.startswith("dns"):
        if _HOST_NAME.fullmatch(host) is None:
            raise ValueError(f"has {host!r} where a host name should stand")
        return
    version = int(kind.removeprefix("ip"))
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(f"has {host!r} where an IPv{version} address should stand") from None
    if address.version != version:
        raise ValueError(f"has an IPv{address.version} address after /{kind}/")
