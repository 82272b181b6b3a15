"""The test vectors hold for this implementation, and are the ones that the generator makes."""

import json
from collections import Counter
from typing import Any

import pytest

from meshnode.core.admission import Admission
from meshnode.core.names import Names
from meshnode.core.verdicts import Accepted, Ignored, Reason, Rejected, Verdict
from protocols.envelope import SIGNING_CONTEXT, open_envelope
from protocols.errors import FrameTooLarge, Malformed
from protocols.framing import FrameReader
from protocols.ids import Topic, key_from_peer_id, peer_id
from protocols.limits import REQUEST_BYTES_MAX
from protocols.messages import Name
from tests.protocols import make_vectors

DOCUMENT = json.loads(make_vectors.VECTORS.read_text())
# A node's own bounds, not the wire's.
OF_MEMORY = {Reason.TOO_MANY_AUTHORS, Reason.OVER_BUDGET, Reason.BUSY}


def bytes_of(data: str | list[Any]) -> bytes:
    """A field of bytes: hex, or steps that make long ones (SPEC.md, test vectors)."""
    if isinstance(data, str):
        return bytes.fromhex(data)
    made = bytearray()
    for step in data:
        if isinstance(step, str):
            made += bytes.fromhex(step)
        elif "times" in step:
            made += bytes.fromhex(step["hex"]) * step["times"]
        else:
            before, after = bytes.fromhex(step["before"]), bytes.fromhex(step["after"])
            for number in range(step["first"], step["last"] + 1):
                made += before + b"%04d" % number + after
    return bytes(made)


def admission_of(receiver: dict[str, Any]) -> Admission:
    """A node that knows what the vector says, and accepted what it has seen."""
    now_ns, allowlist = int(receiver["now_ns"]), receiver["allowlist"]
    names = Names(is_kept=lambda _: True)
    for mark in receiver["marks"]:
        author, topic = bytes.fromhex(mark["author"]), Topic(mark["topic"])
        names.restore(Name(author, topic, int(mark["epoch"]), int(mark["seq"])), now_ns)
    admission = Admission(
        receiver["network"],
        allowlist=None if allowlist is None else frozenset(map(bytes.fromhex, allowlist)),
        names=names,
        find_held=lambda _: None,
    )
    for seen in receiver["seen"]:
        envelope = bytes.fromhex(seen["envelope"])
        sender = bytes.fromhex(seen["sender"])
        verdict = admission.judge(Topic(seen["topic"]), sender, envelope, now_ns)
        assert isinstance(verdict, Accepted)
    return admission


def check(verdict: Verdict, vector: dict[str, Any]) -> None:
    """Whether the verdict is the vector's."""
    match verdict:
        case Accepted(envelope):
            assert (vector["verdict"], vector["reason"]) == ("accept", None)
            assert envelope.raw == bytes_of(vector["envelope"])
            assert envelope.body == bytes_of(vector["body"])
            assert envelope.signature.hex() == vector["signature"]
        case Ignored(reason):
            assert (vector["verdict"], vector["reason"]) == ("ignore", reason.value)
        case Rejected(reason):
            assert (vector["verdict"], vector["reason"]) == ("reject", reason.value)


@pytest.mark.parametrize("vector", DOCUMENT["gossip"], ids=lambda vector: vector["name"])
def test_gossip(vector: dict[str, Any]) -> None:
    receiver = vector["receiver"]
    admission = admission_of(receiver)
    topic, sender = Topic(vector["topic"]), bytes.fromhex(vector["sender"])
    envelope = bytes_of(vector["envelope"])
    check(admission.judge(topic, sender, envelope, int(receiver["now_ns"])), vector)


@pytest.mark.parametrize("vector", DOCUMENT["snapshot"], ids=lambda vector: vector["name"])
def test_snapshot(vector: dict[str, Any]) -> None:
    receiver = vector["receiver"]
    envelope = bytes_of(vector["envelope"])
    check(admission_of(receiver).judge_held(envelope, int(receiver["now_ns"])), vector)


@pytest.mark.parametrize("vector", DOCUMENT["framing"], ids=lambda vector: vector["name"])
@pytest.mark.parametrize("piece_bytes", [1, 2, 10_000])
def test_framing(vector: dict[str, Any], piece_bytes: int) -> None:
    reader = FrameReader(vector["limit"])
    stream = bytes.fromhex(vector["stream"])
    frames: list[str] = []
    error = None
    try:
        for start in range(0, len(stream), piece_bytes):
            for frame in reader.feed(stream[start : start + piece_bytes]):
                frames.append(frame.hex())
    except FrameTooLarge:
        error = "too_large"
    except Malformed:
        error = "malformed"
    else:
        error = None if reader.at_boundary else "incomplete"
    assert (frames, error) == (vector["frames"], vector["error"])


def test_authors_and_their_peer_ids() -> None:
    for author in DOCUMENT["authors"]:
        key = bytes.fromhex(author["key"])
        assert peer_id(key) == author["peer_id"]
        assert key_from_peer_id(author["peer_id"]) == key
    assert bytes.fromhex(DOCUMENT["signing_context"]) == SIGNING_CONTEXT


def test_every_reason_has_its_vectors() -> None:
    reasons = Counter(vector["reason"] for vector in DOCUMENT["gossip"])
    assert {reason.value for reason in set(Reason) - OF_MEMORY} | {None} == reasons.keys()
    assert reasons[None] >= 30
    names = [vector["name"] for vector in DOCUMENT["gossip"]]
    assert len(set(names)) == len(names)


def test_the_limit_of_a_request_is_the_one_in_the_vectors() -> None:
    assert REQUEST_BYTES_MAX in {vector["limit"] for vector in DOCUMENT["framing"]}


def test_the_file_is_what_the_generator_makes() -> None:
    assert make_vectors.VECTORS.read_text() == make_vectors.text(make_vectors.vectors())


def test_the_annotated_example_of_the_specification() -> None:
    specification = make_vectors.VECTORS.with_name("SPEC.md").read_text()
    example = specification.split("<!-- example -->")[1]
    table = [line.split("|") for line in example.splitlines() if line.startswith("| `")]
    envelope = bytes.fromhex("".join(columns[1].strip(" `") for columns in table))
    assert envelope == bytes_of(DOCUMENT["gossip"][0]["envelope"])
    assert open_envelope(envelope).is_authentic()
