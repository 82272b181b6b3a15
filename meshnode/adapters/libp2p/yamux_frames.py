"""Yamux frames as bytes."""

import struct

from libp2p.stream_muxer.yamux.yamux import HEADER_SIZE, YAMUX_HEADER_FORMAT

VERSION = 0
FRAME_BYTES_MAX = 64 * 1024 - HEADER_SIZE  # of data, as the library's and go's
HEADER = struct.Struct(YAMUX_HEADER_FORMAT)  # version, type, flags, stream id, length


def header(kind: int, flags: int, stream_id: int, length: int) -> bytes:
    """A frame's twelve bytes; what `length` means depends on the type."""
    return HEADER.pack(VERSION, kind, flags, stream_id, length)
