"""A fingerprint of a run: equal for equal runs, different from the first difference on."""

import hashlib

import trio

PENDING_BYTES_MAX = 64 * 1024


class Trace:
    """A running SHA-256 over what every node observed and accepted, with its virtual time."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._pending = bytearray()  # not hashed yet: thousands of pieces at once cost less
        self._at, self._stamp = -1.0, b""  # the time, and how it is written

    def add(self, node: str, what: bytes) -> None:
        """Something happened to a node now."""
        if (now := trio.current_time()) != self._at:
            self._at, self._stamp = now, f"{now:.6f} ".encode()
        self._pending += b"%b%b %b" % (self._stamp, node.encode(), what)
        if len(self._pending) > PENDING_BYTES_MAX:
            self._digest()

    def hexdigest(self) -> str:
        """The fingerprint so far."""
        self._digest()
        return self._hash.hexdigest()

    def _digest(self) -> None:
        self._hash.update(self._pending)
        self._pending.clear()
