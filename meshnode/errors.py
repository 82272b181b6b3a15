"""Errors that reach the person who runs a node: each names the culprit and the remedy."""

INTERRUPTED = 130  # the exit code after Ctrl-C: the shell's 128 + SIGINT


class MeshnodeError(Exception):
    """The base of every error that this package raises on purpose."""

    exit_code = 1


class ConfigError(MeshnodeError):
    """The configuration cannot be used as it is."""

    exit_code = 2


class PeerUnreachable(MeshnodeError):
    """A peer cannot be dialled, or did not answer in time."""

    exit_code = 3


class DialRefused(PeerUnreachable):
    """The machine is there and refuses: no process listens at that address."""


class LanUnavailable(MeshnodeError):
    """The local network cannot be searched; it may be tried again later."""


class PublishRefused(MeshnodeError):
    """Our own message would not be accepted by ourselves; `reason` is the verdict's (`busy`, …)."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"our own message was not accepted, nor sent: {reason}")
        self.reason = reason


class QueryRefused(MeshnodeError):
    """A peer answered a query with an error; `code` is the wire's (`rate_limited`, …)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"the peer refused: {code}: {message}")
        self.code = code


class StreamBroken(MeshnodeError):
    """A stream ended in the middle of an exchange, or was reset."""


class StoreUnavailable(MeshnodeError):
    """A store failed; nothing of the call was kept, it may be repeated."""


class SourceUnavailable(MeshnodeError):
    """An upstream source failed; it may be asked again later."""


class DataDirInUse(MeshnodeError):
    """Another process runs with this data directory, hence with this key."""
