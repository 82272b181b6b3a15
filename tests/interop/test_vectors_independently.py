"""The test vectors, held against a verifier that shares no code with this implementation."""

import json
from importlib import resources
from typing import Any

import pytest
from nacl.signing import SigningKey

from tests.interop.canonical import pack
from tests.interop.spec_verifier import SIGNING_CONTEXT, Refused, open_envelope, verify

DOCUMENT = json.loads(resources.files("protocols").joinpath("vectors.json").read_text())
WITHOUT_MEMORY = {
    "malformed",
    "wrong_network",
    "wrong_topic",
    "wrong_author",
    "unknown_kind",
    "bad_signature",
}
BEFORE_THE_SIGNATURE = {"known", "too_old", "future_epoch", "future", "expired", "not_allowed"}


def bytes_of(steps: str | list[Any]) -> bytes:
    """A long field's bytes, as SPEC.md §6 writes them."""
    if isinstance(steps, str):
        return bytes.fromhex(steps)
    made = b""
    for step in steps:
        match step:
            case str():
                made += bytes.fromhex(step)
            case {"times": times, "hex": repeated}:
                made += bytes.fromhex(repeated) * times
            case {"first": first, "last": last, "before": before, "after": after}:
                made += b"".join(
                    bytes.fromhex(before) + f"{number:04}".encode() + bytes.fromhex(after)
                    for number in range(first, last + 1)
                )
            case _:
                raise AssertionError(f"a step that SPEC.md does not know: {step}")
    return made


def judged(vector: dict[str, Any]) -> str | None:
    sender = vector["sender"]
    try:
        verify(
            bytes_of(vector["envelope"]),
            topic=vector["topic"],
            sender=None if sender is None else bytes.fromhex(sender),
            network=vector["receiver"]["network"],
        )
    except Refused as refused:
        return refused.reason
    return None


@pytest.mark.parametrize(
    "vector", DOCUMENT["gossip"] + DOCUMENT["snapshot"], ids=lambda vector: vector["name"]
)
def test_an_envelope(vector: dict[str, Any]) -> None:
    reason = vector["reason"]
    if reason in WITHOUT_MEMORY or reason is None:
        assert judged(vector) == reason
    elif reason in BEFORE_THE_SIGNATURE:
        assert judged(vector) in (None, "bad_signature")
    else:
        assert reason == "equivocation"
        assert judged(vector) is None


ACCEPTED = [vector for vector in DOCUMENT["gossip"] if vector["verdict"] == "accept"]


@pytest.mark.parametrize("vector", ACCEPTED, ids=lambda vector: vector["name"])
def test_an_accepted_envelope_is_what_its_author_makes(vector: dict[str, Any]) -> None:
    opened = open_envelope(bytes_of(vector["envelope"]))
    assert opened.body == bytes_of(vector["body"])
    key = SigningKey(bytes.fromhex(vector["seed"]))
    assert opened.author == bytes(key.verify_key)
    assert key.sign(SIGNING_CONTEXT + opened.body).signature.hex() == vector["signature"]
    fields = [opened.kind, opened.network, opened.author, opened.epoch, opened.seq]
    assert pack([*fields, opened.issued_ns, opened.payload]) == opened.body


def test_the_authors_node_ids() -> None:
    for vector in ACCEPTED:
        opened = open_envelope(bytes_of(vector["envelope"]))
        expected = {a["peer_id"] for a in DOCUMENT["authors"] if a["key"] == opened.author.hex()}
        assert {opened.peer_id} == expected
