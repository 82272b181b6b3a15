"""What is left of a peer's control message."""

from typing import Any

import pytest
from libp2p.pubsub.pb import rpc_pb2

from meshnode.adapters.libp2p.control import MESSAGE_ID_BYTES, bound_control
from meshnode.adapters.libp2p.settings import CONTROLS_PER_RPC_MAX, MESSAGE_IDS_PER_RPC_MAX
from protocols.errors import Malformed

OURS = frozenset({"ours"})


def message_id(number: int) -> bytes:
    return number.to_bytes(MESSAGE_ID_BYTES, "big")


def bounded(**entries: Any) -> Any:
    control = rpc_pb2.ControlMessage(**entries)
    bound_control(control, OURS)
    return control


def test_an_id_is_worked_on_once_however_often_it_is_named() -> None:
    wanted = rpc_pb2.ControlIWant(messageIDs=[message_id(1), message_id(2)] * 1000)
    assert [list(iwant.messageIDs) for iwant in bounded(iwant=[wanted, wanted]).iwant] == [
        [message_id(1), message_id(2)]
    ]


def test_ids_are_bounded_and_of_the_right_length() -> None:
    ids = [b"short", *(message_id(number) for number in range(MESSAGE_IDS_PER_RPC_MAX + 10))]
    [kept] = bounded(idontwant=[rpc_pb2.ControlIDontWant(messageIDs=ids)]).idontwant
    assert list(kept.messageIDs) == ids[1 : MESSAGE_IDS_PER_RPC_MAX + 1]


def test_only_our_topics_are_kept() -> None:
    control = bounded(
        graft=[rpc_pb2.ControlGraft(topicID="ours"), rpc_pb2.ControlGraft(topicID="theirs")],
        prune=[rpc_pb2.ControlPrune(topicID="theirs")],
        ihave=[rpc_pb2.ControlIHave(topicID="theirs", messageIDs=[message_id(1)])],
    )
    assert [graft.topicID for graft in control.graft] == ["ours"]
    assert not control.prune
    assert not control.ihave


def test_nobody_is_dialled_on_a_strangers_word() -> None:
    [prune] = bounded(
        prune=[rpc_pb2.ControlPrune(topicID="ours", peers=[rpc_pb2.PeerInfo(peerID=b"x")])]
    ).prune
    assert not prune.peers


@pytest.mark.parametrize("kind", ["graft", "prune"])
def test_too_many_of_a_kind_are_refused(kind: str) -> None:
    made = {"graft": rpc_pb2.ControlGraft, "prune": rpc_pb2.ControlPrune}[kind]
    with pytest.raises(Malformed):
        bounded(**{kind: [made(topicID="ours")] * (CONTROLS_PER_RPC_MAX + 1)})
