"""Frames of the query streams: a length as an unsigned varint, and that many bytes."""

from collections.abc import Iterator

from protocols.errors import FrameTooLarge, Malformed

# Five groups of seven bits; the fifth may hold four: no frame comes near 4 GiB.
_LENGTH_BYTES_MAX = 5
_LENGTH_MAX = 2**32 - 1


def encode_frame(payload: bytes) -> bytes:
    """The payload with its length in front. Raises FrameTooLarge from 4 GiB."""
    length = len(payload)
    if length > _LENGTH_MAX:
        raise FrameTooLarge(f"{length} bytes do not fit into one frame")
    header = bytearray()
    while length > 0x7F:
        header.append(length & 0x7F | 0x80)
        length >>= 7
    header.append(length)
    return bytes(header) + payload


class FrameReader:
    """Bytes of a stream in, frames out; it does no I/O.

    `limit` is the most bytes a frame may have; it may be changed between two frames. What waits
    inside is at most one frame and what one `feed` brought. After an error the stream is of no
    use: the reader repeats the error.
    """

    def __init__(self, bytes_max: int) -> None:
        self.limit = bytes_max
        self._buffer = bytearray()

    @property
    def at_boundary(self) -> bool:
        """Whether no byte waits: a stream that ends here was not cut off in a frame."""
        return not self._buffer

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes as they came; iterate over the frames that they complete.

        The iteration is lazy and may be left: `next_frame` has the rest. It raises FrameTooLarge
        as soon as the length of a frame is over the limit, and Malformed for a bad length.
        """
        self._buffer += data
        return iter(self.next_frame, None)

    def next_frame(self) -> bytes | None:
        """The next complete frame, or None until more is fed. Raises like `feed`."""
        header = self._read_length()
        if header is None:
            return None
        start, length = header
        if length > self.limit:
            raise FrameTooLarge(f"a frame of {length} bytes; at most {self.limit} are allowed")
        if len(self._buffer) < start + length:
            return None
        frame = bytes(self._buffer[start : start + length])
        del self._buffer[: start + length]
        return frame

    def _read_length(self) -> tuple[int, int] | None:
        """How many bytes the length takes, and its value; None where it is incomplete."""
        length = 0
        for position, byte in enumerate(self._buffer[:_LENGTH_BYTES_MAX]):
            length |= (byte & 0x7F) << (7 * position)
            if byte < 0x80:
                if position and not byte:
                    raise Malformed("a frame's length is not in its shortest form")
                if length > _LENGTH_MAX:
                    raise Malformed("a frame's length is over 32 bits")
                return position + 1, length
        if len(self._buffer) >= _LENGTH_BYTES_MAX:
            raise Malformed(f"a frame's length takes more than {_LENGTH_BYTES_MAX} bytes")
        return None
