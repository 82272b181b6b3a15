"""A fingerprint of a run: equal for equal runs, different from the first difference on."""

import hashlib

import trio

from meshnode.core.facts import Fact


class Trace:
    """A running SHA-256 over what every node observed and accepted, with its virtual time."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.events = 0

    def note(self, node: str, what: object) -> None:
        """Something happened on a node now; `what` has a `repr` that tells it whole."""
        self.events += 1
        self._hash.update(f"{trio.current_time():.6f} {node} {what!r}\n".encode())

    def accepted(self, node: str, signature: bytes) -> None:
        """A node accepted the message with this signature now."""
        self.events += 1
        self._hash.update(f"{trio.current_time():.6f} {node} ".encode() + signature)

    def fact(self, node: str, fact: Fact) -> None:
        """A node observed a fact."""
        self.note(node, fact)

    def hexdigest(self) -> str:
        """The fingerprint so far."""
        return self._hash.hexdigest()
