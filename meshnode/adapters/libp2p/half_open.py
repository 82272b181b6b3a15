"""Connections whose peer has not said yet who it is: few, short, and one place is always free."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, ip_address
from typing import Any

import trio

HALF_OPEN_MAX = 256
HANDSHAKE_BYTES_MAX = 64 * 1024  # one has about half a kilobyte; its parts may have 64 KiB
_IPV6_HOST_BITS = 64  # of an address: its owner chooses them at will


class HandshakeBytes:
    """A connection that gives no more bytes than a handshake has.

    The library reads whatever length a stranger announces, before it knows who that is.
    """

    def __init__(self, wire: Any) -> None:
        self.wire = wire
        self._left = HANDSHAKE_BYTES_MAX

    @property
    def has_begun(self) -> bool:
        """Whether its peer has said anything."""
        return self._left < HANDSHAKE_BYTES_MAX

    async def read(self, n: int | None = None) -> bytes:
        """At most `n` bytes, and never more than are left. Raises OSError when none are."""
        if self._left <= 0:
            raise OSError(f"a handshake of more than {HANDSHAKE_BYTES_MAX} bytes")
        data = bytes(await self.wire.read(min(n or self._left, self._left)))
        self._left -= len(data)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wire, name)


class HalfOpen:
    """A place for each connection in its handshake, until a deadline.

    When all are taken, the newcomer gets one from the owner who holds most: that of the oldest that
    has said nothing yet, else of the oldest. Who opens thousands displaces itself, and hardly
    ever a peer behind the same address whose handshake is under way: that takes milliseconds.
    """

    def __init__(self, deadline_s: float, places_max: int = HALF_OPEN_MAX) -> None:
        self._deadline_s = deadline_s
        self._places_max = places_max
        # The oldest first; of each whose it is, and what it says.
        self._places: dict[trio.CancelScope, tuple[str, HandshakeBytes]] = {}
        self.displaced = 0
        self.timed_out = 0

    def __len__(self) -> int:
        return len(self._places)

    @contextmanager
    def place(self, ip: str, handshake: HandshakeBytes) -> Iterator[trio.CancelScope]:
        """Shake hands in here; cancelled where it takes too long, or the place is needed."""
        if len(self._places) >= self._places_max:
            self._displace()
        scope = trio.CancelScope(deadline=trio.current_time() + self._deadline_s)
        self._places[scope] = owner_of(ip), handshake
        try:
            with scope:
                yield scope
        finally:
            if self._places.pop(scope, None) is not None and scope.cancelled_caught:
                self.timed_out += 1

    def _displace(self) -> None:
        held = Counter(owner for owner, _ in self._places.values())
        most = max(held.values())
        theirs = [(scope, said) for scope, (who, said) in self._places.items() if held[who] == most]
        chosen = next((scope for scope, said in theirs if not said.has_begun), theirs[0][0])
        del self._places[chosen]
        chosen.cancel()
        self.displaced += 1


def owner_of(ip: str) -> str:
    """Whose an address is, as far as it tells: of IPv6, everybody has a whole /64 at least."""
    try:
        address = ip_address(ip.partition("%")[0])
    except ValueError:
        return ip  # no IP address: a transport of its own
    if not isinstance(address, IPv6Address):
        return ip
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Address(int(address) >> _IPV6_HOST_BITS << _IPV6_HOST_BITS))
