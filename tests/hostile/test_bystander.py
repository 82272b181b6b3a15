"""Who has nothing to do with the mesh is not flooded by it, whatever strangers say of it."""

from itertools import pairwise
from pathlib import Path

import trio
from nacl.signing import SigningKey

from meshnode.services.dialling import PLACE_PAUSE_S
from protocols.messages import Presence, PresenceUpdate, Role
from tests.hostile.gossip_attacks import PRESENCE, altered, envelope, publishing
from tests.hostile.hostile_peer import Target, gossiping
from tests.processes.harness import node_process

MADE_UP = 40  # nodes, all said to be reached at the bystander's
KNOCKS = 6
DEADLINE_S = 60.0
EARLY_S = 0.2  # a connection may have taken its time, and the next one none


async def test_a_bystander_is_dialled_once_a_second_at_most(tmp_path: Path) -> None:
    knocked_at: list[float] = []
    knocks_seen = trio.Event()

    async def knocked(stream: trio.SocketStream) -> None:
        knocked_at.append(trio.current_time())
        if len(knocked_at) >= KNOCKS:
            knocks_seen.set()
        await stream.aclose()

    (bystander,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    place = f"/ip4/127.0.0.1/tcp/{bystander.socket.getsockname()[1]}"
    said = [poisoned(SigningKey(number.to_bytes(32, "big")), place) for number in range(MADE_UP)]
    async with node_process(tmp_path) as victim, trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, knocked, [bystander])
        async with gossiping(Target.at(victim.addr)) as (peer, stream_id):
            await peer.rpcs(stream_id, [publishing(*said)])
            with trio.fail_after(DEADLINE_S):
                await knocks_seen.wait()
        assert await victim.terminate() == 0
        nursery.cancel_scope.cancel()
    gaps = [later - earlier for earlier, later in pairwise(knocked_at)]
    assert min(gaps) >= PLACE_PAUSE_S - EARLY_S


def poisoned(key: SigningKey, place: str) -> object:
    """A made-up node's word that it is there, and where."""
    presence = PresenceUpdate(Role.CONSUMER, Presence.ACTIVE, 60_000, 60_000, (place,), "node/1", 0)
    fields = {"data": envelope(key, 1, payload=presence), "topicIDs": [PRESENCE]}
    return altered(key, 1, fields)
