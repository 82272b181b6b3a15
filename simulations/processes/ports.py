"""Ports of loopback for nodes that must find them free again after a restart."""

import random
import socket
from contextlib import closing

from meshnode.errors import MeshnodeError

# Below those that the system gives to whoever dials, or one might be taken while its node is down.
PORTS = range(20_000, 32_000)
TRIED_MAX = 100


class Ports:
    """Gives each port once; which, is chance, as others on this machine choose at the same time."""

    def __init__(self) -> None:
        self._rng = random.Random()
        self._given: set[int] = set()

    def take(self) -> int:
        """One on which nobody listens. Raises MeshnodeError."""
        for _ in range(TRIED_MAX):
            port = self._rng.choice(PORTS)
            if port not in self._given and _is_free(port):
                self._given.add(port)
                return port
        raise MeshnodeError(f"no free port from {PORTS.start} to {PORTS.stop - 1} on 127.0.0.1")


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
