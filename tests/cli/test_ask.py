"""The commands that ask, against a real host on loopback that answers with set words."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from nacl.signing import SigningKey

from meshnode.cli.ask import prices_command, status_command, watch_command
from meshnode.errors import ConfigError, PeerUnreachable, QueryRefused
from meshnode.ports import Mesh, Stream
from protocols.envelope import seal
from protocols.framing import encode_frame
from protocols.ids import PRICES_PROTOCOL, STATUS_PROTOCOL, WATCH_PROTOCOL, peer_id
from protocols.messages import Message, PriceUpdate
from protocols.queries import ErrorReply, PriceAnswer, PricesReply, ProofsHeader, WatchEvent
from protocols.quotes import Quote
from protocols.status import StatusReply
from tests.adapters.libp2p.world import LibP2PWorld

ALICE = SigningKey(b"a" * 32)
NOON = "2026-01-31T12:00:00Z"
ANSWER_TIMEOUT_S = 20


def envelope_of_alice() -> bytes:
    quote = Quote("BTC-USD", 39432, 0, 0, 0, 1, None)
    key = bytes(ALICE.verify_key)
    return seal(Message("main", key, 7, 3, 10**18, PriceUpdate((quote,))), ALICE).raw


@asynccontextmanager
async def answering(protocol: str, *frames: bytes) -> AsyncIterator[str]:
    """A node that answers one protocol with these frames; gives its address."""

    async def answer(stream: Stream) -> None:
        await stream.read(4096)
        for frame in frames:
            await stream.write(encode_frame(frame))
        await stream.close()

    async with LibP2PWorld().node("alice") as mesh:
        mesh.serve(protocol, answer)
        yield loopback_addr(mesh)


def loopback_addr(mesh: Mesh) -> str:
    return next(addr for addr in mesh.addrs() if addr.startswith("/ip4/127.0.0.1/"))


async def in_thread(command: "partial[int]") -> int:
    """The commands bring a loop of their own, as they do under a shell."""
    with trio.fail_after(ANSWER_TIMEOUT_S):
        return await trio.to_thread.run_sync(command)


async def test_a_status_is_a_page_or_json(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    reply = StatusReply({"network": "test", "mode": "normal", "node_id": "12D3alice"})
    async with answering(STATUS_PROTOCOL, reply.to_bytes()) as addr:
        assert await in_thread(partial(status_command, addr, as_json=False)) == 0
        assert "12D3alice" in capsys.readouterr().out
        (tmp_path / "node.json").write_text(json.dumps({"addrs": [addr]}))
        assert await in_thread(partial(status_command, str(tmp_path), as_json=True)) == 0
    assert json.loads(capsys.readouterr().out)["network"] == "test"


async def test_prices_are_a_table_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    answer = PriceAnswer("39432.48", "12D3alice", NOON, NOON, 5, "fresh")
    async with answering(PRICES_PROTOCOL, PricesReply({"BTC-USD": answer}).to_bytes()) as addr:
        assert await in_thread(partial(prices_command, addr, [], proofs=False, as_json=False)) == 0
        assert "39432.48" in capsys.readouterr().out
        ask = partial(prices_command, addr, ["BTC-USD"], proofs=False, as_json=True)
        assert await in_thread(ask) == 0
    assert json.loads(capsys.readouterr().out)["prices"]["BTC-USD"]["price"] == "39432.48"


async def test_proofs_are_verified_here(capsys: pytest.CaptureFixture[str]) -> None:
    header, envelope = ProofsHeader(1).to_bytes(), envelope_of_alice()
    async with answering(PRICES_PROTOCOL, header, envelope) as addr:
        ask = partial(prices_command, addr, [], proofs=True, as_json=True)
        assert await in_thread(ask) == 0
    (proof,) = json.loads(capsys.readouterr().out)["envelopes"]
    assert (proof["author"], proof["verified"]) == (peer_id(bytes(ALICE.verify_key)), True)


async def test_a_forged_proof_fails_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    forged = envelope_of_alice()[:-1] + bytes([envelope_of_alice()[-1] ^ 1])
    async with answering(PRICES_PROTOCOL, ProofsHeader(1).to_bytes(), forged) as addr:
        ask = partial(prices_command, addr, [], proofs=True, as_json=False)
        assert await in_thread(ask) == 1
    assert capsys.readouterr().out.split()[-1] == "false"


async def test_a_watch_is_an_event_a_line_until_the_peer_ends_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    events = [WatchEvent("mode", NOON, {"mode": mode}) for mode in ("normal", "degraded")]
    async with answering(WATCH_PROTOCOL, *(event.to_bytes() for event in events)) as addr:
        watch = partial(watch_command, addr, ["BTC-USD"], ["mode"], seconds=None, as_json=True)
        with pytest.RaisesGroup(PeerUnreachable, allow_unwrapped=True, flatten_subgroups=True):
            await in_thread(watch)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["mode"] for line in lines] == ["normal", "degraded"]


async def test_a_watch_that_is_reset_has_ended_like_any_other() -> None:
    async def answer(stream: Stream) -> None:
        await stream.read(4096)
        await stream.write(encode_frame(WatchEvent("heartbeat", NOON).to_bytes()))
        await stream.reset()

    async with LibP2PWorld().node("alice") as mesh:
        mesh.serve(WATCH_PROTOCOL, answer)
        watch = partial(watch_command, loopback_addr(mesh), None, None, seconds=None, as_json=False)
        with pytest.RaisesGroup(
            pytest.RaisesExc(PeerUnreachable, match="ended the watch"),
            allow_unwrapped=True,
            flatten_subgroups=True,
        ):
            await in_thread(watch)


async def test_a_watch_ends_when_its_time_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    async def answer(stream: Stream) -> None:
        await stream.read(4096)
        await stream.write(encode_frame(WatchEvent("heartbeat", NOON).to_bytes()))
        await trio.sleep_forever()

    async with LibP2PWorld().node("alice") as mesh:
        mesh.serve(WATCH_PROTOCOL, answer)
        watch = partial(watch_command, loopback_addr(mesh), None, None, seconds=1, as_json=False)
        assert await in_thread(watch) == 0
    assert capsys.readouterr().out == f"{NOON} heartbeat\n"


async def test_a_refusal_is_an_error() -> None:
    async with answering(STATUS_PROTOCOL, ErrorReply("rate_limited", "later").to_bytes()) as addr:
        with pytest.RaisesGroup(QueryRefused, allow_unwrapped=True, flatten_subgroups=True):
            await in_thread(partial(status_command, addr, as_json=False))


async def test_the_next_address_is_tried(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    async with answering(STATUS_PROTOCOL, StatusReply({"network": "test"}).to_bytes()) as addr:
        closed = f"/ip4/127.0.0.1/tcp/1/p2p/{addr.rpartition('/')[2]}"
        (tmp_path / "node.json").write_text(json.dumps({"addrs": [closed, addr]}))
        assert await in_thread(partial(status_command, str(tmp_path), as_json=True)) == 0
    assert json.loads(capsys.readouterr().out)["network"] == "test"


async def test_nobody_there_is_unreachable() -> None:
    addr = f"/ip4/127.0.0.1/tcp/1/p2p/{peer_id(bytes(ALICE.verify_key))}"
    with pytest.RaisesGroup(PeerUnreachable, allow_unwrapped=True, flatten_subgroups=True):
        await in_thread(partial(status_command, addr, as_json=False))


def test_a_name_that_no_asset_has_is_wrong_usage() -> None:
    with pytest.raises(ConfigError, match="did you mean BTC-USD"):
        prices_command("x", ["btc-usd"], proofs=False, as_json=False)
