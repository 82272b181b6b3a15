"""What of a peer's RPC we are willing to work on, and what that costs its sender."""

from typing import Any

from meshnode.adapters.libp2p.budget import (
    CONTROL_COST,
    MESSAGE_COST,
    MESSAGE_ID_COST,
    SUBSCRIPTION_COST,
)
from meshnode.adapters.libp2p.settings import (
    CONTROLS_PER_RPC_MAX,
    MESSAGE_IDS_PER_RPC_MAX,
    MESSAGES_PER_RPC_MAX,
    SENDER_RECORD_BYTES_MAX,
    SUBSCRIPTIONS_PER_RPC_MAX,
)
from protocols.errors import Malformed

MESSAGE_ID_BYTES = 46  # 38 of the author's peer id and 8 of the sequence number


def check_counts(rpc: Any) -> None:
    """Raises Malformed where an RPC holds more of something than any honest one."""
    _check(len(rpc.publish), MESSAGES_PER_RPC_MAX, "messages")
    _check(len(rpc.subscriptions), SUBSCRIPTIONS_PER_RPC_MAX, "subscriptions")
    _check(len(rpc.senderRecord), SENDER_RECORD_BYTES_MAX, "bytes of a peer record")
    if rpc.HasField("control"):
        _check(len(rpc.control.graft), CONTROLS_PER_RPC_MAX, "GRAFTs")
        _check(len(rpc.control.prune), CONTROLS_PER_RPC_MAX, "PRUNEs")


def _check(count: int, most: int, name: str) -> None:
    if count > most:
        raise Malformed(f"{count} {name} in one RPC")


def cost_of(rpc: Any) -> float:
    """What an RPC costs its sender's budget, whatever becomes of it."""
    cost = MESSAGE_COST * max(1, len(rpc.publish)) + SUBSCRIPTION_COST * len(rpc.subscriptions)
    if not rpc.HasField("control"):
        return cost
    control = rpc.control
    ids = sum(
        1 + len(request.messageIDs)
        for requests in (control.ihave, control.iwant, control.idontwant)
        for request in requests
    )
    return cost + CONTROL_COST * (len(control.graft) + len(control.prune)) + MESSAGE_ID_COST * ids


def bound_control(control: Any, topics: frozenset[str]) -> None:
    """Reduce a ControlMessage in place to our topics, to real message ids, each once.

    The router keeps state for every topic that a peer names, looks up and sends a message as often
    as its id is repeated, and dials whom a PRUNE recommends: none of it on a stranger's word.
    A topic that is no text goes as well: answering it would raise.
    """
    for entries in (control.ihave, control.graft, control.prune):
        if entries:
            _keep(entries, [entry for entry in entries if entry.topicID in topics])
    for prune in control.prune:
        del prune.peers[:]
    for requests in (control.ihave, control.iwant, control.idontwant):
        if not requests:
            continue  # most say one thing only
        known: set[bytes] = set()
        for request in requests:
            named = list(request.messageIDs)
            ids = [i for i in dict.fromkeys(named) if len(i) == MESSAGE_ID_BYTES]
            fresh = [i for i in ids if i not in known][: MESSAGE_IDS_PER_RPC_MAX - len(known)]
            known.update(fresh)
            if len(fresh) < len(named):  # an honest peer's stay as they are
                del request.messageIDs[:]
                request.messageIDs.extend(fresh)
        _keep(requests, [request for request in requests if request.messageIDs])


def _keep(entries: Any, kept: list[Any]) -> None:
    if len(kept) < len(entries):
        copies = [type(entry).FromString(entry.SerializeToString()) for entry in kept]
        del entries[:]
        entries.extend(copies)
