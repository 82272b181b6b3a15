"""Multiaddrs, checked before the library sees them."""

import errno
from typing import Any

import trio
from libp2p.peer.peerinfo import InvalidAddrError, info_from_p2p_addr
from libp2p.utils.address_validation import expand_wildcard_address
from multiaddr import Multiaddr

from meshnode.errors import ConfigError, PeerUnreachable
from protocols.errors import Malformed
from protocols.ids import key_from_peer_id

WILDCARDS = ("/ip4/0.0.0.0/", "/ip6/::/")
FAMILIES = {
    "dns": trio.socket.AF_UNSPEC,
    "dns4": trio.socket.AF_INET,
    "dns6": trio.socket.AF_INET6,
}


def parse(addr: str) -> tuple[Any, Any]:
    """The multiaddr to dial, without `/p2p`, and the ID expected. Raises PeerUnreachable."""
    try:
        info = info_from_p2p_addr(Multiaddr(addr))
        key_from_peer_id(str(info.peer_id))
    except (ValueError, LookupError, InvalidAddrError, Malformed) as error:
        raise PeerUnreachable(
            f"{addr} is no node's address: it looks like /ip4/192.0.2.1/tcp/4001/p2p/12D3KooW…"
        ) from error
    return info.addrs[0], info.peer_id


async def resolve(addr: Any) -> Any:
    """A multiaddr whose host name is replaced by its first address; others as they are.

    By the system's resolver, which knows the machine's own names; the library asks name servers
    only. Raises OSError.
    """
    kind, host, rest = str(addr).removeprefix("/").split("/", 2)
    if kind not in FAMILIES:
        return addr
    found = await trio.socket.getaddrinfo(host, None, FAMILIES[kind], trio.socket.SOCK_STREAM)
    family, *_, (ip, *_) = found[0]
    return Multiaddr(f"/{'ip6' if family == trio.socket.AF_INET6 else 'ip4'}/{ip}/{rest}")


def concrete_addrs(addr: Any) -> list[Any]:
    """The addresses of this machine that a wildcard such as 0.0.0.0 stands for; others as they are.

    Nobody can dial a wildcard, and who copies one from a ready line would dial itself.
    """
    text = str(addr)
    if not text.startswith(WILDCARDS):
        return [addr]
    place, slash, peer = text.partition("/p2p/")
    return [
        Multiaddr(f"{found}{slash}{peer}") for found in expand_wildcard_address(Multiaddr(place))
    ]


def without_peer(addr: Any) -> str:
    """A multiaddr in text, its `/p2p` part left out."""
    return str(addr).partition("/p2p/")[0]


async def check_free(addr: Any) -> None:
    """Raises ConfigError where another process listens on a TCP address already.

    The library shares a port with whoever else would share it: two nodes started with the same
    address would both seem to listen, and peers would meet now one, now the other.
    """
    parts = {protocol.name: addr.value_for_protocol(protocol.code) for protocol in addr.protocols()}
    host = parts.get("ip4") or parts.get("ip6")
    port = int(parts.get("tcp") or 0)
    if host is None or port == 0:
        return
    family = trio.socket.AF_INET6 if "ip6" in parts else trio.socket.AF_INET
    with trio.socket.socket(family, trio.socket.SOCK_STREAM) as probe:
        probe.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_REUSEADDR, 1)
        try:
            await probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ConfigError(
                    f"cannot listen on {addr}: another process does; stop it or choose another port"
                ) from error
            raise ConfigError(f"cannot listen on {addr}: {error.strerror}") from error
