"""Frames over a stream: the one place where the queries' bytes meet a peer."""

from meshnode.errors import StreamBroken
from meshnode.ports import Stream
from protocols.framing import FrameReader, encode_frame
from protocols.queries import ErrorReply

READ_BYTES_MAX = 64 * 1024


class Frames:
    """Reads frames of at most `bytes_max` (it may be changed between two), and writes them."""

    def __init__(self, stream: Stream, bytes_max: int) -> None:
        self.stream = stream
        self._reader = FrameReader(bytes_max)
        self.bytes_sent = 0

    @property
    def limit(self) -> int:
        """The most bytes the next frame may have."""
        return self._reader.limit

    @limit.setter
    def limit(self, bytes_max: int) -> None:
        self._reader.limit = bytes_max

    async def receive(self) -> bytes | None:
        """The next frame, or None where the peer ended the stream between two.

        Raises StreamBroken, and ProtocolError for a frame that is too large or has no length.
        """
        while (frame := self._reader.next_frame()) is None:
            data = await self.stream.read(READ_BYTES_MAX)
            if not data:
                if self._reader.at_boundary:
                    return None
                raise StreamBroken(f"{self.stream.peer_id} ended the stream inside of a frame")
            self._reader.feed(data)
        return frame

    async def send(self, payload: bytes) -> None:
        """Write one frame. Raises StreamBroken."""
        frame = encode_frame(payload)
        self.bytes_sent += len(frame)
        await self.stream.write(frame)


async def refuse(frames: Frames, code: str, message: str) -> str:
    """Answer with an error instead; returns its code, or `broken` where nobody took it."""
    try:
        await frames.send(ErrorReply(code, message).to_bytes())
    except StreamBroken:
        return "broken"
    return code
