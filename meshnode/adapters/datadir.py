"""A node's data directory: one process at a time, its key, and the file that says it is ready."""

import errno
import fcntl
import json
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from nacl.signing import SigningKey

from meshnode.errors import ConfigError, DataDirInUse
from protocols.ids import peer_id

KEY_FILE: Final = "key"
LOCK_FILE: Final = "lock"
NODE_FILE: Final = "node.json"
DATABASE_FILE: Final = "meshnode.db"
KEY_FILE_BYTES_MAX: Final = 256
_NO_SPACE = "free some space"
_NOT_OURS = "check its owner and its mode"
_REMEDIES: Final = MappingProxyType(
    {
        errno.ENOSPC: _NO_SPACE,
        errno.EDQUOT: _NO_SPACE,
        errno.EEXIST: "move it away, it is a file where a directory is expected",
        errno.ENOTDIR: "move away the file on this path where a directory is expected",
        errno.EISDIR: "move it away, it is a directory where a file is expected",
        errno.EACCES: _NOT_OURS,
        errno.EPERM: _NOT_OURS,
        errno.EROFS: f"{_NOT_OURS}, and how it is mounted",
    }
)
_SEED = re.compile(rb"[0-9a-f]{64}\s*")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a node is. `key` signs; `peer_id` is its id in base58."""

    key: SigningKey

    @property
    def peer_id(self) -> str:
        """The node's id (`12D3KooW…`)."""
        return peer_id(self.public_key)

    @property
    def public_key(self) -> bytes:
        """The raw Ed25519 public key."""
        return self.key.verify_key.encode()


@dataclass(frozen=True, slots=True)
class DataDir:
    """A data directory that this process holds. Made by `open_data_dir`."""

    path: Path
    identity: Identity

    @property
    def database_path(self) -> Path:
        """Where the store's file is, or will be."""
        return self.path / DATABASE_FILE

    def write_node_file(self, *, addrs: Sequence[str], started_ns: int) -> None:
        """Tell other programs that the node is ready, where, and since when (Unix nanoseconds).

        `addrs` end in `/p2p/<id>`. Whoever reads the file sees the whole of it. Raises ConfigError.
        """
        started = datetime.fromtimestamp(started_ns // 10**9, UTC)
        content = {
            "node_id": self.identity.peer_id,
            "addrs": list(addrs),
            "pid": os.getpid(),
            "started": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        with _explained(self.path):
            temporary = _write_temporary(
                self.path / NODE_FILE, json.dumps(content, indent=2) + "\n"
            )
            try:
                temporary.rename(self.path / NODE_FILE)
            except OSError:
                temporary.unlink()
                raise
            _sync_directory(self.path)


@contextmanager
def open_data_dir(path: Path) -> Iterator[DataDir]:
    """Hold a data directory, made if need be; two processes with one key would equivocate.

    Raises DataDirInUse while another process holds it, and ConfigError where it cannot be used.
    """
    with _explained(path):
        _make(path)
        lock = _lock(path)
    try:
        with _explained(path):
            # We hold the lock: whoever wrote these is dead.
            (path / NODE_FILE).unlink(missing_ok=True)
            for left_over in path.glob(f".{NODE_FILE}-*"):
                left_over.unlink()
        yield DataDir(path, read_or_create_identity(path))
    finally:
        with suppress(OSError):  # where it must stay, it names a process that is gone
            (path / NODE_FILE).unlink()
        # The file stays: without it two processes could hold two locks of one name.
        os.ftruncate(lock, 0)
        os.close(lock)


def read_or_create_identity(path: Path) -> Identity:
    """The identity kept in a data directory, made where there is none; also while a node runs.

    A key file that is damaged or readable by others is refused, never replaced: a new key is a
    new node. Raises ConfigError.
    """
    file = path / KEY_FILE
    with _explained(path):
        _make(path)
        if not file.exists():
            _create_key(file)
        return Identity(_read_key(file))


def _create_key(file: Path) -> None:
    temporary = _write_temporary(file, SigningKey.generate().encode().hex() + "\n")
    try:
        # A link, unlike a rename, replaces nothing: of two processes the first decides.
        file.hardlink_to(temporary)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
    _sync_directory(file.parent)


def _read_key(file: Path) -> SigningKey:
    with file.open("rb") as opened:
        mode = os.fstat(opened.fileno()).st_mode
        content = opened.read(KEY_FILE_BYTES_MAX)
    if mode & 0o077:
        raise ConfigError(f"{file} can be read by others: run `chmod 600 {file}`")
    if not _SEED.fullmatch(content):
        raise ConfigError(
            f"{file} holds no key (64 hexadecimal digits): restore it from a backup, or move it "
            "away to become a new node"
        )
    return SigningKey(bytes.fromhex(content.decode()))


def _make(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _lock(path: Path) -> int:
    lock = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError as error:
        holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise DataDirInUse(
            f"{path} is in use by process {holder}: stop it, or choose another --data-dir"
        ) from error
    except OSError:
        os.close(lock)
        raise
    return lock


def _write_temporary(file: Path, text: str) -> Path:
    """A new file beside `file`, mode 0600, its content on disk, to be renamed or linked."""
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    with open(descriptor, "w", encoding="ascii") as temporary:
        temporary.write(text)
        temporary.flush()
        os.fsync(descriptor)
    return Path(name)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason, culprit = error.strerror or str(error), error.filename or path
        remedy = _REMEDIES.get(error.errno or 0)
        raise ConfigError(
            f"the data directory {path} cannot be used: {reason} ({culprit}): "
            f"{f'{remedy}, or ' if remedy else ''}choose another --data-dir"
        ) from error
