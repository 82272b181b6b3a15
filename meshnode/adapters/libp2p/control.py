"""What of a peer's control message we are willing to work on."""

from typing import Any

from meshnode.adapters.libp2p.settings import CONTROLS_PER_RPC_MAX, MESSAGE_IDS_PER_RPC_MAX
from protocols.errors import Malformed

MESSAGE_ID_BYTES = 46  # 38 of the author's peer id and 8 of the sequence number


def bound_control(control: Any, topics: frozenset[str]) -> None:
    """Reduce a ControlMessage in place to our topics, to real message ids, each once.

    The router keeps state for every topic that a peer names, looks up and sends a message as often
    as its id is repeated, and dials whom a PRUNE recommends: none of it on a stranger's word.
    A topic that is no text goes as well: answering it would raise. Raises Malformed where a
    message is beyond any honest use.
    """
    for entries in (control.graft, control.prune):
        if len(entries) > CONTROLS_PER_RPC_MAX:
            raise Malformed(f"{len(entries)} GRAFT or PRUNE in one message")
    for entries in (control.ihave, control.graft, control.prune):
        _keep(entries, [entry for entry in entries if entry.topicID in topics])
    for prune in control.prune:
        del prune.peers[:]
    for requests in (control.ihave, control.iwant, control.idontwant):
        known: set[bytes] = set()
        for request in requests:
            ids = [i for i in dict.fromkeys(request.messageIDs) if len(i) == MESSAGE_ID_BYTES]
            fresh = [i for i in ids if i not in known][: MESSAGE_IDS_PER_RPC_MAX - len(known)]
            known.update(fresh)
            del request.messageIDs[:]
            request.messageIDs.extend(fresh)
        _keep(requests, [request for request in requests if request.messageIDs])


def _keep(entries: Any, kept: list[Any]) -> None:
    if len(kept) < len(entries):
        copies = [type(entry).FromString(entry.SerializeToString()) for entry in kept]
        del entries[:]
        entries.extend(copies)
