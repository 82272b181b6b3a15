"""Lines of a stream negotiation within bounds."""

import pytest
from libp2p.protocol_muxer.exceptions import (
    MultiselectClientError,
    MultiselectCommunicatorError,
    MultiselectError,
)
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator

from meshnode.adapters.libp2p.negotiation import (
    LINE_BYTES_MAX,
    LINES_MAX,
    BoundedCommunicator,
    BoundedMultiselect,
    BoundedMultiselectClient,
)
from protocols.framing import encode_frame


class Said:
    """A stream on which everything has been said already."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.written = b""

    async def read(self, n: int | None = None) -> bytes:
        data, self._data = self._data[:n], self._data[n:]
        return data

    async def write(self, data: bytes) -> None:
        self.written += data


def line(text: str) -> bytes:
    return encode_frame(text.encode() + b"\n")


async def test_a_line_is_read() -> None:
    said = BoundedCommunicator(Said(line("/noise") + line("ls")))
    assert [await said.read(), await said.read()] == ["/noise", "ls"]


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff\xff\x0f",
        b"\xff" * 12,
        encode_frame(b"x" * LINE_BYTES_MAX + b"\n"),
        encode_frame(b"no end"),
        encode_frame(b"\xff\xfe\n"),
        encode_frame(b""),
        b"\x05half",
        b"",
    ],
)
async def test_what_is_no_line_ends_the_negotiation(data: bytes) -> None:
    with pytest.raises(MultiselectCommunicatorError):
        await BoundedCommunicator(Said(data)).read()


async def test_nobody_tries_for_ever() -> None:
    said = Said(line("/multistream/1.0.0") + line("/unknown") * (2 * LINES_MAX))
    with pytest.raises(MultiselectError):
        await BoundedMultiselect({}).negotiate(MultiselectCommunicator(said))
    assert said.written.count(b"na") < LINES_MAX


async def test_who_is_asked_may_be_hostile_too() -> None:
    said = Said(b"\xff\xff\xff\xff\x0f" + bytes(1000))
    with pytest.raises(MultiselectClientError):
        await BoundedMultiselectClient().select_one_of(["/noise"], MultiselectCommunicator(said))
