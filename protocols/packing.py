"""msgpack within limits: what is allocated is in proportion to the bytes that are there."""

from typing import cast

import msgpack

from protocols.errors import Malformed


def pack(tree: object) -> bytes:
    """A tree of tuples, dicts and leaves as msgpack, each in its shortest form."""
    return cast(bytes, msgpack.packb(tree))


def unpack(data: bytes, what: str, *, str_bytes_max: int) -> object:
    """The value tree of exactly these bytes, arrays as tuples; the caller has checked their size.

    Raises Malformed, naming `what`, for anything but one complete value; no other error. Floats,
    empty ext values and maps with binary keys do come out: they are for the caller to refuse.
    """
    # Nothing is allocated by skipping, and it fails unless every element that a length announces
    # is there: a thousand nested headers cannot claim a gigabyte from the call after it.
    skipper = msgpack.Unpacker(max_buffer_size=max(1, len(data)))
    skipper.feed(data)
    try:
        skipper.skip()
        return cast(
            object,
            msgpack.unpackb(
                data,
                use_list=False,
                raw=False,
                strict_map_key=True,
                max_array_len=len(data),
                max_map_len=len(data),
                max_str_len=str_bytes_max,
                max_bin_len=len(data),
                max_ext_len=0,
            ),
        )
    except (ValueError, msgpack.UnpackException) as error:
        raise Malformed(f"{what}: not one msgpack value: {error}") from error
