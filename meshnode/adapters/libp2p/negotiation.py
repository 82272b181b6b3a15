"""Stream negotiation whose lines are short and few; the library takes any length and number."""

from typing import Any

from libp2p.exceptions import ParseError
from libp2p.io.exceptions import IOException
from libp2p.protocol_muxer.exceptions import MultiselectCommunicatorError
from libp2p.protocol_muxer.multiselect import DEFAULT_NEGOTIATE_TIMEOUT, Multiselect
from libp2p.protocol_muxer.multiselect_client import MultiselectClient
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
from libp2p.utils.varint import read_varint_prefixed_bytes_limited

LINE_BYTES_MAX = 1024  # the longest protocol name of ours has 24
LINES_MAX = 32  # a peer that tries one protocol after the other has fewer


class BoundedCommunicator(MultiselectCommunicator):  # type: ignore[misc]  # untyped to mypy
    """Reads lines within bounds, in text; whatever else is there ends the negotiation."""

    def __init__(self, read_writer: Any) -> None:
        super().__init__(read_writer)
        self._lines = 0

    async def read(self) -> str:
        """The next line. Raises MultiselectCommunicatorError."""
        self._lines += 1
        if self._lines > LINES_MAX:
            raise MultiselectCommunicatorError(f"more than {LINES_MAX} lines")
        try:
            raw = await read_varint_prefixed_bytes_limited(self.read_writer, LINE_BYTES_MAX)
            line = str(raw, "utf-8")
        except (ParseError, IOException, ValueError) as error:
            raise MultiselectCommunicatorError("not a line of the negotiation") from error
        if not line.endswith("\n"):
            raise MultiselectCommunicatorError("a line without an end")
        return line[:-1]


class BoundedMultiselect(Multiselect):  # type: ignore[misc]  # untyped to mypy
    """The answering side."""

    async def negotiate(
        self, communicator: Any, negotiate_timeout: int = DEFAULT_NEGOTIATE_TIMEOUT
    ) -> Any:
        """See the library's."""
        bounded = BoundedCommunicator(communicator.read_writer)
        return await super().negotiate(bounded, negotiate_timeout)


class BoundedMultiselectClient(MultiselectClient):  # type: ignore[misc]  # untyped to mypy
    """The asking side: who answers may be hostile as well."""

    async def select_one_of(
        self,
        protocols: Any,
        communicator: Any,
        negotiate_timeout: int = DEFAULT_NEGOTIATE_TIMEOUT,
    ) -> Any:
        """See the library's."""
        bounded = BoundedCommunicator(communicator.read_writer)
        return await super().select_one_of(protocols, bounded, negotiate_timeout)


def bound_selector(selector: Any) -> None:
    """Give one of the library's selectors (security, muxer) our two sides."""
    selector.multiselect = BoundedMultiselect(selector.multiselect.handlers)
    selector.multiselect_client = BoundedMultiselectClient()
