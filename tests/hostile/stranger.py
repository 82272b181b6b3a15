"""A stranger in a process of its own: `python -m tests.hostile.stranger ADDR`.

Joins and asks for the status, again and again, under another name each time, and prints how long
each took. Were it in the attackers' process, their work would count as the victim's.
"""

import json
import sys

import trio

from meshnode.errors import PeerUnreachable
from meshnode.services import ask
from tests.processes.harness import client_at

PROBE_EVERY_S = 1.5
DIAL_AGAIN_S = 1.0
JOIN_S = 10.0


async def probe(addr: str) -> None:
    """For ever; raises trio.TooSlowError when it is kept waiting outside."""
    while True:
        began_at = trio.current_time()
        with trio.fail_after(JOIN_S):
            while not await _has_answered(addr, began_at):  # noqa: ASYNC110 - as a node does
                await trio.sleep(DIAL_AGAIN_S)
        await trio.sleep(PROBE_EVERY_S)


async def _has_answered(addr: str, began_at: float) -> bool:
    """Whether it was let in; once it was, it must be answered."""
    try:
        async with client_at(addr) as client:
            joined_at = trio.current_time()
            await ask.status(client.mesh, client.peer, ["node_id"])
            answered_at = trio.current_time()
    except PeerUnreachable:
        return False
    took = {"joined_s": joined_at - began_at, "answered_s": answered_at - joined_at}
    print(json.dumps(took), flush=True)
    return True


if __name__ == "__main__":
    trio.run(probe, sys.argv[1])
