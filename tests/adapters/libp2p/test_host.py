"""Opening and leaving the mesh, whatever peers do meanwhile."""

import errno
import os
import threading
from socket import EAI_NONAME, gaierror
from typing import Any

import pytest
import trio
import trio.testing
from libp2p.io.abc import ReadWriteCloser
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.network.stream.exceptions import StreamError
from libp2p.transport.tcp.tcp import TCP
from nacl.signing import SigningKey

from meshnode.adapters.libp2p import host
from meshnode.adapters.libp2p.host import open_client, open_mesh
from meshnode.adapters.libp2p.settings import (
    CLOSE_S,
    INBOUND_STREAMS_PER_PEER_MAX,
    MeshSettings,
)
from meshnode.errors import ConfigError, DialRefused, StreamBroken
from meshnode.ports import Mesh, PeerConnected, PeerDisconnected, Stream
from protocols.ids import STATUS_PROTOCOL, Topic, peer_id
from tests.adapters.libp2p.attacker import attacking
from tests.adapters.libp2p.world import Facts, LibP2PWorld, accept, seed_of
from tests.hostile.hostile_peer import Target, muxed
from tests.pinging import ping


def resources() -> tuple[int, int, int]:
    tasks = trio.lowlevel.current_statistics().tasks_living
    # Trio keeps idle workers for a while: not ours, and not lost.
    threads = [thread for thread in threading.enumerate() if not thread.name.startswith("Trio")]
    return tasks, len(threads), len(os.listdir("/proc/self/fd"))


async def port_of(mesh: Mesh) -> int:
    return int(mesh.addrs()[0].split("/")[4])


class Stalling(ReadWriteCloser):  # type: ignore[misc]  # the library is untyped to mypy
    """A connection whose peer, from a moment on, takes nothing any more."""

    def __init__(self, stream: Any, stalled: trio.Event) -> None:
        self._stream = stream
        self._stalled = stalled
        self._closed = trio.Event()

    async def read(self, n: int | None = None) -> bytes:
        return bytes(await self._stream.read(n))

    async def write(self, data: bytes) -> None:
        if self._stalled.is_set():
            await self._closed.wait()
            raise ConnectionClosedError("closed")
        await self._stream.write(data)

    async def close(self) -> None:
        self._closed.set()
        await self._stream.close()

    def get_remote_address(self) -> Any:
        return self._stream.get_remote_address()


class StallingTCP(TCP):  # type: ignore[misc]  # the library is untyped to mypy
    """TCP whose connections stall on command."""

    def __init__(self) -> None:
        super().__init__()
        self.stalled = trio.Event()

    async def dial(self, maddr: Any) -> Any:
        raw = await super().dial(maddr)
        raw.stream = Stalling(raw.stream, self.stalled)
        return raw


# --- leaving --------------------------------------------------------------------------------


async def test_nothing_is_left_of_a_mesh() -> None:
    world = LibP2PWorld()
    async with world.node("carol"):
        pass  # what the library and the interpreter start once
    before = resources()
    async with world.node("alice") as alice, world.node("bob") as bob:
        await alice.connect(bob.addrs()[0])
        await alice.gossip.publish(Topic.PRICES, b"x")
        await bob.gossip.receive()

        async def wait(stream: Stream) -> None:
            await stream.read(1)

        bob.serve(STATUS_PROTOCOL, wait)
        await alice.open_stream(bob.peer_id, STATUS_PROTOCOL)
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert resources() == before


async def test_a_hung_peer_does_not_keep_us() -> None:
    world = LibP2PWorld()
    transport = StallingTCP()
    async with world.node("bob") as bob:
        await trio.testing.wait_all_tasks_blocked(0.05)
        before = resources()
        async with world.node("alice", settings=MeshSettings(transports=[transport])) as alice:
            await alice.connect(bob.addrs()[0])
            assert await bob.next_connection_event() == PeerConnected(alice.peer_id)
            transport.stalled.set()
            left_at = trio.current_time()
        assert trio.current_time() - left_at < CLOSE_S
        with trio.fail_after(5):
            assert await bob.next_connection_event() == PeerDisconnected(alice.peer_id)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert resources() == before


async def test_a_hung_peer_can_be_disconnected() -> None:
    world = LibP2PWorld()
    transport = StallingTCP()
    async with (
        world.node("bob") as bob,
        world.node("alice", settings=MeshSettings(transports=[transport])) as alice,
    ):
        await alice.connect(bob.addrs()[0])
        assert await alice.next_connection_event() == PeerConnected(bob.peer_id)
        transport.stalled.set()
        with trio.fail_after(CLOSE_S):
            await alice.disconnect(bob.peer_id)
            assert await alice.next_connection_event() == PeerDisconnected(bob.peer_id)
        assert alice.peers() == ()


# --- listening ------------------------------------------------------------------------------


async def test_nobody_comes_in_before_we_listen() -> None:
    async with open_mesh(
        MeshSettings(), key_seed=seed_of("alice"), judge=accept, observer=Facts()
    ) as alice:
        assert alice.addrs() == ()
        await alice.listen()
        [addr] = alice.addrs()
        assert addr.startswith("/ip4/127.0.0.1/tcp/")
        assert addr.endswith(f"/p2p/{alice.peer_id}")


async def test_what_is_announced_is_told_instead() -> None:
    settings = MeshSettings(announce=("/dns4/alice.example/tcp/4001",))
    async with LibP2PWorld().node("alice", settings=settings) as alice:
        assert alice.addrs() == (f"/dns4/alice.example/tcp/4001/p2p/{alice.peer_id}",)


async def test_a_port_is_not_shared() -> None:
    """The library shares it, and peers would meet now the one node, now the other."""
    world = LibP2PWorld()
    async with world.node("alice") as alice:
        taken = MeshSettings(listen=(f"/ip4/127.0.0.1/tcp/{await port_of(alice)}",))
        with pytest.raises(ConfigError, match="another process"):
            async with world.node("bob", settings=taken):
                pass


@pytest.mark.parametrize("addr", ["nonsense", "/ip4/192.0.2.1/tcp/4001", "/ip4/192.0.2.1/tcp/0"])
async def test_an_address_that_is_not_ours(addr: str) -> None:
    with pytest.raises(ConfigError, match=addr):
        async with LibP2PWorld().node("alice", settings=MeshSettings(listen=(addr,))):
            pass


async def test_a_dial_that_is_refused_is_told_apart() -> None:
    with trio.socket.socket() as closed:  # bound, and nobody listens
        await closed.bind(("127.0.0.1", 0))
        addr = f"/ip4/127.0.0.1/tcp/{closed.getsockname()[1]}/p2p/{peer_id(bytes(32))}"
        async with LibP2PWorld().node("alice") as alice:
            with pytest.raises(DialRefused, match="refuses connections"):
                await alice.connect(addr)


@pytest.mark.parametrize(
    ("cause", "why"),
    [
        (gaierror(EAI_NONAME, "Name or service not known"), "cannot be resolved"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "cannot be reached"),
        (OSError(errno.EHOSTUNREACH, "No route to host"), "cannot be reached"),
        (OSError(errno.EADDRNOTAVAIL, "No such address"), "cannot be connected to: No such addr"),
        (OSError(errno.ECONNREFUSED, "Connection refused"), "refuses connections"),
    ],
)
def test_why_a_dial_fails_is_told_and_only_a_refusal_is_one(cause: OSError, why: str) -> None:
    several = OSError("all attempts failed")
    several.__cause__ = ExceptionGroup("tries", [cause])
    assert host._dial_failure(several).startswith(why)
    assert host._was_refused(several) == (cause.errno == errno.ECONNREFUSED)


async def test_a_name_is_resolved_by_the_system() -> None:
    world = LibP2PWorld()
    async with world.node("alice") as alice, world.node("bob") as bob:
        addr = bob.addrs()[0].replace("/ip4/127.0.0.1/", "/dns4/localhost/")
        assert await alice.connect(addr) == bob.peer_id


# --- strangers ------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1\r\n\r\n", os.urandom(5000)])
async def test_garbage_on_the_port_disturbs_nobody(data: bytes) -> None:
    world = LibP2PWorld()
    async with world.node("alice") as alice, world.node("bob") as bob:
        stranger = await trio.open_tcp_stream("127.0.0.1", await port_of(alice))
        async with stranger:
            await stranger.send_all(data)
            await bob.connect(alice.addrs()[0])
            await bob.gossip.publish(Topic.PRICES, b"x")
            with trio.fail_after(5):
                await alice.gossip.receive()


async def test_an_inbound_slot_comes_back() -> None:
    """In the library each is taken for good."""
    world = LibP2PWorld()
    async with world.node("alice", settings=MeshSettings(peers_max=1)) as alice:
        for _ in range(4):
            async with open_client(Facts()) as client:
                await client.connect(alice.addrs()[0])
                assert await ping(client, alice.peer_id) is not None
            with trio.fail_after(5):
                while alice.peers():
                    await alice.next_connection_event()


async def test_a_ping_that_nobody_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "PING_TIMEOUT_S", 0.2)
    key = SigningKey(seed_of("mallory"))
    async with LibP2PWorld().node("alice") as alice, muxed(Target.at(alice.addrs()[0]), key):
        with trio.fail_after(5):
            await alice.next_connection_event()
            assert await ping(alice, peer_id(bytes(key.verify_key))) is None


async def test_streams_of_one_peer_are_capped_in_negotiation_already() -> None:
    world = LibP2PWorld()
    async with world.node("alice") as alice, attacking(alice) as mallory:
        network = mallory.host.get_network()
        [connection] = network.get_connections()
        streams = [await connection.new_stream() for _ in range(INBOUND_STREAMS_PER_PEER_MAX + 5)]
        with trio.fail_after(5), pytest.raises(StreamError):  # reset, not negotiated with
            await streams[-1].read(100)
        async with open_client(Facts()) as client:
            await client.connect(alice.addrs()[0])
            assert await ping(client, alice.peer_id) is not None


async def test_a_stream_that_its_peer_keeps_open_is_reset_in_the_end() -> None:
    async def answer(stream: Stream) -> None:
        await stream.write(b"answer")

    world = LibP2PWorld()
    async with world.node("alice") as alice, world.node("bob") as bob:
        bob.serve(STATUS_PROTOCOL, answer)
        await alice.connect(bob.addrs()[0])
        stream = await alice.open_stream(bob.peer_id, STATUS_PROTOCOL)
        assert await stream.read(100) == b"answer"
        assert await stream.read(100) == b""
        with trio.fail_after(5), pytest.raises(StreamBroken):
            while True:  # until bob's patience ends
                await stream.write(b"never closing")
                await trio.sleep(0.1)


# --- clients --------------------------------------------------------------------------------


async def test_a_client_asks_and_is_gone() -> None:
    async def answer(stream: Stream) -> None:
        await stream.write(stream.peer_id.encode())

    world = LibP2PWorld()
    async with world.node("alice") as alice:
        alice.serve(STATUS_PROTOCOL, answer)
        async with open_client(Facts()) as client:
            assert client.addrs() == ()
            await client.connect(alice.addrs()[0])
            stream = await client.open_stream(alice.peer_id, STATUS_PROTOCOL)
            assert await stream.read(100) == client.peer_id.encode()
            with pytest.raises(RuntimeError):
                _ = client.gossip


async def test_who_is_cancelled_while_it_opens_ends_all_the_same() -> None:
    scope = trio.CancelScope(deadline=trio.current_time())
    with trio.fail_after(5), scope:
        async with open_client(Facts()):
            await trio.sleep(3600)
    assert scope.cancelled_caught
