"""What is left of a peer's control message."""

from typing import Any

import pytest
from libp2p.pubsub.pb import rpc_pb2

from meshnode.adapters.libp2p.budget import MESSAGE_COST
from meshnode.adapters.libp2p.control import (
    MESSAGE_ID_BYTES,
    bound_control,
    check_counts,
    cost_of,
)
from meshnode.adapters.libp2p.settings import (
    CONTROLS_PER_RPC_MAX,
    MESSAGE_IDS_PER_RPC_MAX,
    MESSAGES_PER_RPC_MAX,
    SENDER_RECORD_BYTES_MAX,
    SUBSCRIPTIONS_PER_RPC_MAX,
)
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


TOO_MUCH = {
    "graft": rpc_pb2.RPC(
        control=rpc_pb2.ControlMessage(graft=[rpc_pb2.ControlGraft()] * (CONTROLS_PER_RPC_MAX + 1))
    ),
    "prune": rpc_pb2.RPC(
        control=rpc_pb2.ControlMessage(prune=[rpc_pb2.ControlPrune()] * (CONTROLS_PER_RPC_MAX + 1))
    ),
    "messages": rpc_pb2.RPC(publish=[rpc_pb2.Message()] * (MESSAGES_PER_RPC_MAX + 1)),
    "subscriptions": rpc_pb2.RPC(
        subscriptions=[rpc_pb2.RPC.SubOpts()] * (SUBSCRIPTIONS_PER_RPC_MAX + 1)
    ),
    "record": rpc_pb2.RPC(senderRecord=bytes(SENDER_RECORD_BYTES_MAX + 1)),
}


@pytest.mark.parametrize("kind", TOO_MUCH)
def test_too_many_of_a_kind_are_refused(kind: str) -> None:
    with pytest.raises(Malformed):
        check_counts(TOO_MUCH[kind])


def test_what_makes_work_costs_more_than_what_is_new() -> None:
    one = cost_of(rpc_pb2.RPC(publish=[rpc_pb2.Message()]))
    assert one == MESSAGE_COST
    assert cost_of(rpc_pb2.RPC()) == MESSAGE_COST  # an empty RPC is read as well
    graft = rpc_pb2.ControlMessage(graft=[rpc_pb2.ControlGraft()])
    assert cost_of(rpc_pb2.RPC(control=graft)) > one
    assert cost_of(rpc_pb2.RPC(subscriptions=[rpc_pb2.RPC.SubOpts()])) > one
    ids = rpc_pb2.ControlIWant(messageIDs=[message_id(1)] * 1000)
    assert cost_of(rpc_pb2.RPC(control=rpc_pb2.ControlMessage(iwant=[ids]))) > 100 * one
