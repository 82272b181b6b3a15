"""Frames: however the bytes arrive, the same frames come out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import FrameTooLarge, Malformed
from protocols.framing import FrameReader, encode_frame

LIMIT = 1024


@given(st.lists(st.binary(max_size=300), max_size=6), st.data())
def test_frames_come_out_whatever_the_pieces(frames: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(map(encode_frame, frames))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reader = FrameReader(LIMIT)
    seen: list[bytes] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        seen += reader.feed(stream[start:end])
    assert seen == frames
    assert reader.at_boundary


def test_byte_by_byte() -> None:
    reader = FrameReader(LIMIT)
    stream = encode_frame(b"x" * 200) + encode_frame(b"")
    seen = [frame for byte in stream for frame in reader.feed(bytes([byte]))]
    assert seen == [b"x" * 200, b""]


@pytest.mark.parametrize(
    ("length", "header"),
    [
        (0, b"\x00"),
        (127, b"\x7f"),
        (128, b"\x80\x01"),
        (16_383, b"\xff\x7f"),
        (16_384, b"\x80\x80\x01"),
        (1_048_576, b"\x80\x80\x40"),
    ],
)
def test_the_length_is_an_unsigned_varint(length: int, header: bytes) -> None:
    frame = encode_frame(bytes(length))
    assert frame == header + bytes(length)
    assert list(FrameReader(length).feed(frame)) == [bytes(length)]


def test_a_frame_over_the_limit_is_refused_before_its_body() -> None:
    assert list(FrameReader(LIMIT).feed(encode_frame(bytes(LIMIT)))) == [bytes(LIMIT)]
    with pytest.raises(FrameTooLarge, match="1025"):
        list(FrameReader(LIMIT).feed(b"\x81\x08"))
    with pytest.raises(FrameTooLarge):
        list(FrameReader(LIMIT).feed(b"\xff\xff\xff\xff\x0f"))


@pytest.mark.parametrize(
    "header",
    {
        "zero in two bytes": b"\x80\x00",
        "one in two bytes": b"\x81\x00",
        "128 in three bytes": b"\x80\x81\x00",
        "over 32 bits": b"\xff\xff\xff\xff\x10",
        "a fifth byte that goes on": b"\x80\x80\x80\x80\x80",
        "no end": b"\xff" * 100,
    }.items(),
    ids=lambda item: item[0],
)
def test_a_length_has_one_form(header: tuple[str, bytes]) -> None:
    with pytest.raises(Malformed):
        list(FrameReader(2**40).feed(header[1] + bytes(200)))


def test_the_frames_before_a_bad_one_are_not_lost() -> None:
    reader = FrameReader(4)
    seen = []
    with pytest.raises(FrameTooLarge):
        for frame in reader.feed(encode_frame(b"good") + encode_frame(b"large")):
            seen.append(frame)
    assert seen == [b"good"]
    with pytest.raises(FrameTooLarge):
        reader.next_frame()


@pytest.mark.parametrize(
    ("data", "at_boundary"),
    [
        (b"", True),
        (b"\x80", False),
        (b"\x80\x01", False),
        (b"\x80\x01" + bytes(127), False),
        (b"\x80\x01" + bytes(128), True),
        (b"\x80\x01" + bytes(129), True),
        (b"\x80\x01" + bytes(128) + b"\x01", False),
    ],
)
def test_a_reader_tells_a_clean_end_from_a_cut(data: bytes, at_boundary: bool) -> None:
    reader = FrameReader(LIMIT)
    for _ in reader.feed(data):
        pass
    assert reader.at_boundary is at_boundary


def test_the_limit_may_change_between_frames() -> None:
    """A reply with proofs: a small header, then large envelopes."""
    reader = FrameReader(8)
    frames = reader.feed(encode_frame(b"header") + encode_frame(bytes(100)))
    assert next(frames) == b"header"
    reader.limit = 100
    assert next(frames) == bytes(100)
    assert reader.next_frame() is None


def test_only_what_fits_into_32_bits_is_sent() -> None:
    class Huge(bytes):
        def __len__(self) -> int:
            return 2**32

    with pytest.raises(FrameTooLarge):
        encode_frame(Huge())
