"""Real `meshnode run` processes, and the shell's commands against them.

Whatever is started here is ended here, by its process id.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from meshnode.adapters.libp2p.host import open_client
from meshnode.core.facts import Fact
from meshnode.ports import Mesh
from meshnode.services import ask
from protocols.queries import WatchEvent, WatchRequest

READY_S = 20.0  # loading libp2p takes two seconds of a CPU that others use as well
EXIT_S = 10.0
LOG_LINES_MAX = 10_000
LOOPBACK = "/ip4/127.0.0.1/tcp/0"
REPLAY = "replay:builtin?speed=10&loop=true"
WALK = "walk:BTC-USD,ETH-USD?interval_s=0.05"

Record = Mapping[str, Any]


def environment() -> dict[str, str]:
    """The environment of a shell in which nothing is set up."""
    set_up = ("MESHNODE_", "PYTHON")  # PYTHONUNBUFFERED would hide what is left in a buffer
    return {name: text for name, text in os.environ.items() if not name.startswith(set_up)}


MESHNODE = ("meshnode",)  # a module that is the command, and arguments of its own before the rest


def command_line(*arguments: str, module: Sequence[str] = MESHNODE) -> list[str]:
    """The command, run by this interpreter."""
    return [sys.executable, "-m", *module, *arguments]


def run_arguments(
    data_dir: Path, *extra: str, listen: str = LOOPBACK, module: Sequence[str] = MESHNODE
) -> list[str]:
    """`meshnode run` with its log in JSON, in which `extra` may override what is said before."""
    named = ["run", "--json", "--log-format", "json", "--listen", listen]
    return command_line(*named, "--data-dir", str(data_dir), *extra, module=module)


@dataclass(frozen=True)
class Finished:
    """What a command left: its exit code and its output."""

    code: int
    stdout: str
    stderr: str


async def meshnode(*arguments: str) -> Finished:
    """Run a command that ends by itself."""
    return await finished(command_line(*arguments))


async def finished(command: Sequence[str]) -> Finished:
    """Wait for a process's end and read what it said."""
    with trio.fail_after(READY_S):
        done = await trio.run_process(
            command, capture_stdout=True, capture_stderr=True, check=False, env=environment()
        )
    return Finished(done.returncode, done.stdout.decode(), done.stderr.decode())


class NodeProcess:
    """A running node; `log` holds its records so far."""

    def __init__(self, process: trio.Process, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.log: list[dict[str, Any]] = []
        self.stderr = b""
        self.node_id = ""
        self.addr = ""
        self._process = process
        self._logged = trio.Event()
        self._log_ended = False

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it is gone."""
        return self._process.poll() is not None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    async def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._process.kill()
        await self._process.wait()

    async def terminate(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to leave; returns its exit code once it has."""
        self._process.send_signal(number)
        return await self.exit_code()

    async def exit_code(self) -> int:
        """Its exit code, once its log has been read to the end."""
        with trio.fail_after(EXIT_S):
            code = await self._process.wait()
            while not self._log_ended:
                await self._next_record()
        return code

    async def wait_ready(self) -> None:
        """Until it has said on stdout that it is ready, and where."""
        assert self._process.stdout is not None
        line = b""
        with trio.fail_after(READY_S):
            while not line.endswith(b"\n"):
                part = await self._process.stdout.receive_some()
                if not part:
                    await self.exit_code()
                    raise AssertionError(f"it did not start: {self.stderr.decode()}")
                line += part
        ready = json.loads(line)
        self.node_id, self.addr = ready["node_id"], ready["addrs"][0]

    async def logged(self, event: str, *, within_s: float, after: int = 0, **fields: Any) -> Record:
        """The first record of an event with these fields, from the record number `after` on."""
        position = after
        with trio.fail_after(within_s):
            while True:
                for record in self.log[position:]:
                    if record["event"] == event and fields.items() <= record.items():
                        return record
                position = max(position, len(self.log))
                assert not self._log_ended, f"it ended without {event}: {self.log[-5:]}"
                await self._next_record()

    def events(self) -> list[str]:
        """The names of the events logged so far."""
        return [record["event"] for record in self.log]

    async def read_log(self) -> None:
        """Take in the log until the process ends."""
        assert self._process.stderr is not None
        pending = b""
        async for part in self._process.stderr:
            self.stderr += part
            *lines, pending = (pending + part).split(b"\n")
            assert len(self.log) + len(lines) <= LOG_LINES_MAX
            self.log += [_record(line) for line in lines]
            self._logged.set()
        self._log_ended = True
        self._logged.set()

    async def _next_record(self) -> None:
        self._logged = trio.Event()
        await self._logged.wait()


def _record(line: bytes) -> dict[str, Any]:
    """A line of the log; what is none (a traceback) is an event of its own."""
    try:
        record: dict[str, Any] = json.loads(line)
    except ValueError:
        return {"event": "not_json", "line": line.decode(errors="replace")}
    return record


@asynccontextmanager
async def node_process(
    data_dir: Path, *extra: str, listen: str = LOOPBACK, module: Sequence[str] = MESHNODE
) -> AsyncIterator[NodeProcess]:
    """A node that is ready; killed on leaving, where it still runs."""
    command = run_arguments(data_dir, *extra, listen=listen, module=module)
    async with trio.open_nursery() as nursery:
        process = await trio.lowlevel.open_process(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
        )
        node = NodeProcess(process, data_dir)
        try:
            nursery.start_soon(node.read_log)
            await node.wait_ready()
            yield node
        finally:
            with trio.CancelScope(shield=True):
                await node.kill()
            assert process.stdout is not None
            await process.stdout.aclose()


def provider(source: str = WALK, *, connect: str = "") -> list[str]:
    """The arguments of a provider, connected to another node or to none."""
    return ["--role", "provider", "--source", source, *(["--connect", connect] if connect else [])]


def processes_with(text: Path) -> list[int]:
    """The processes whose command line has this in it."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:  # it has ended meanwhile
                continue
            if str(text).encode() in command:
                found.append(int(entry.name))
    return found


class _Deaf:
    def observe(self, fact: Fact) -> None:
        """What befalls a client is not what is tested."""


class Client:
    """One connection for asking; a node answers it five times in 15 s."""

    def __init__(self, mesh: Mesh, peer: str) -> None:
        self.mesh = mesh
        self.peer = peer

    async def wait_event(
        self, event: str, matches: Callable[[WatchEvent], bool], *, within_s: float
    ) -> WatchEvent:
        """Watch until such an event tells what `matches`."""
        request = WatchRequest(events=(event,))
        with trio.fail_after(within_s):
            async with aclosing(ask.watch(self.mesh, self.peer, request)) as events:
                async for told in events:
                    if matches(told):
                        return told
        raise AssertionError("the node ended the watch")


@asynccontextmanager
async def client_at(addr: str) -> AsyncIterator[Client]:
    """A client in this process, under a key of its own. Raises PeerUnreachable."""
    async with open_client(_Deaf()) as mesh:
        yield Client(mesh, await mesh.connect(addr))


def client_of(node: NodeProcess) -> AbstractAsyncContextManager[Client]:
    """The same, of a node that was started here."""
    return client_at(node.addr)
