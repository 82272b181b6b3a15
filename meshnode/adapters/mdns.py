"""Nodes on the local network, by multicast DNS as libp2p does it: `_p2p._udp.local`.

The library works in threads of its own; what it finds crosses to trio here. What it finds is
anybody's word, and is judged like other addresses by whoever takes it.
"""

import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager

import trio
from zeroconf import Error, InterfaceChoice, ServiceBrowser, ServiceInfo, ServiceListener, Zeroconf

from meshnode.errors import LanUnavailable
from meshnode.ports import FoundOnLan
from protocols.limits import ADDR_BYTES_MAX, ADDRS_MAX

SERVICE = "_p2p._udp.local."
FOUND_MAX = 64  # not taken yet; the newest is dropped, and is announced again
LOOKUP_TIMEOUT_MS = 3_000
NAME_BYTES = 16  # of chance: a service is not named after its node, says the specification
PORT = 4001  # means nothing: the addresses tell
_KEY = b"dnsaddr"
_TEXT_BYTES_MAX = 255  # of one string in a TXT record


class MdnsLan:
    """The port's Lan over zeroconf."""

    def __init__(self) -> None:
        self._found_in, self._found = trio.open_memory_channel[FoundOnLan](FOUND_MAX)
        self.dropped = 0

    async def next_found(self) -> FoundOnLan:
        """Wait for a node to be found, or found again."""
        return await self._found.receive()

    def take(self, found: FoundOnLan) -> None:
        """Somebody was found."""
        try:
            self._found_in.send_nowait(found)
        except trio.WouldBlock:
            self.dropped += 1


@asynccontextmanager
async def open_mdns(
    own_id: str, addrs: Sequence[str], *, interfaces: Sequence[str] | None = None
) -> AsyncIterator[MdnsLan]:
    """Announce our addresses, each ending in `/p2p/<own id>`, and look for others.

    `interfaces` are IP addresses of this machine, by default all. Raises LanUnavailable where
    there is no multicast.
    """
    lan, token = MdnsLan(), trio.lowlevel.current_trio_token()

    def found(text: bytes) -> None:
        for node in nodes_in(text):
            if node.peer_id != own_id:
                token.run_sync_soon(lan.take, node)

    zeroconf: Zeroconf | None = None
    try:
        zeroconf = await trio.to_thread.run_sync(_begin, own_id, addrs, interfaces)
        ServiceBrowser(zeroconf, SERVICE, _Listener(found))  # which ends with zeroconf
        yield lan
    except (OSError, ValueError, Error) as error:
        raise LanUnavailable(f"mdns: {error}: does this machine have multicast?") from error
    finally:
        if zeroconf is not None:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(zeroconf.close)


def text_of(own_id: str, addrs: Sequence[str]) -> bytes:
    """The TXT record of a node: a string `dnsaddr=<address>` for each address."""
    strings = [_KEY + b"=" + addr.encode() for addr in addrs[:ADDRS_MAX] if addr.endswith(own_id)]
    return b"".join(
        bytes([len(string)]) + string for string in strings if len(string) <= _TEXT_BYTES_MAX
    )


def nodes_in(text: bytes) -> Iterator[FoundOnLan]:
    """The nodes that a TXT record names, with their addresses; whatever it holds, never raises."""
    by_peer: dict[str, list[str]] = {}
    while text:
        string, text = text[1 : 1 + text[0]], text[1 + text[0] :]
        key, _, value = string.partition(b"=")
        # Some implementations number the keys, for theirs must differ.
        if not key.startswith(_KEY) or len(value) > ADDR_BYTES_MAX or not value.isascii():
            continue
        addr, slash, peer = value.decode().rpartition("/p2p/")
        if slash and len(by_peer.setdefault(peer, [])) < ADDRS_MAX:
            by_peer[peer].append(addr)
    return (FoundOnLan(peer, tuple(addrs)) for peer, addrs in by_peer.items())


def _begin(own_id: str, addrs: Sequence[str], interfaces: Sequence[str] | None) -> Zeroconf:
    zeroconf = Zeroconf(interfaces=InterfaceChoice.All if interfaces is None else list(interfaces))
    name = secrets.token_hex(NAME_BYTES)
    info = ServiceInfo(
        SERVICE,
        f"{name}.{SERVICE}",
        port=PORT,
        properties=text_of(own_id, addrs),
        server=f"{name}.local.",
        # Nobody asks for it, but without one an answer counts as incomplete.
        parsed_addresses=["127.0.0.1"],
    )
    try:
        zeroconf.register_service(info)
    except BaseException:
        zeroconf.close()
        raise
    return zeroconf


class _Listener(ServiceListener):
    """Runs in the library's thread."""

    def __init__(self, found: Callable[[bytes], None]) -> None:
        self._found = found

    def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        """A service came."""
        try:
            info = zc.get_service_info(type_, name, timeout=LOOKUP_TIMEOUT_MS)
        except Error:
            return  # we are closing
        if info is not None and info.text:
            self._found(info.text)

    def update_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        """A service changed its addresses."""
        self.add_service(zc, type_, name)

    def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        """A service went: dialling will tell."""
