"""A ping whose answer is waited for."""

import trio

from meshnode.ports import Mesh


async def ping(mesh: Mesh, peer: str) -> float | None:
    """The round-trip time in seconds, or None where the peer does not answer."""
    told, answer = trio.open_memory_channel[float | None](1)
    mesh.ping(peer, told.send_nowait)
    return await answer.receive()
