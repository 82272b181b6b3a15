"""Canonical msgpack from SPEC.md §2 alone: encoding, and decoding that takes nothing else."""

from typing import Any

UINT_WIDTHS = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
INT_WIDTHS = {0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
STR_WIDTHS = {0xD9: 1, 0xDA: 2, 0xDB: 4}
BIN_WIDTHS = {0xC4: 1, 0xC5: 2, 0xC6: 4}
ARRAY_WIDTHS = {0xDC: 2, 0xDD: 4}
MAP_WIDTHS = {0xDE: 2, 0xDF: 4}
FIXED = {0xC0: None, 0xC2: False, 0xC3: True}


class NotCanonical(Exception):
    """These bytes are no canonical msgpack."""


def pack(value: Any) -> bytes:
    """The one encoding of a value; an empty map becomes nil."""
    if value is None or value == {}:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return _pack_int(value)
    if isinstance(value, str):
        raw = value.encode("ascii")
        return _header(len(raw), 0xA0, 31, STR_WIDTHS) + raw
    if isinstance(value, bytes):
        return _header(len(value), 0, -1, BIN_WIDTHS) + value
    if isinstance(value, list):
        return _header(len(value), 0x90, 15, ARRAY_WIDTHS) + b"".join(map(pack, value))
    assert isinstance(value, dict)
    entries = sorted(value.items(), key=lambda entry: entry[0].encode("ascii"))
    packed = b"".join(pack(key) + pack(item) for key, item in entries)
    return _header(len(entries), 0x80, 15, MAP_WIDTHS) + packed


def unpack(raw: bytes, *, depth_max: int) -> Any:
    """The value of canonical bytes, all of them. Raises NotCanonical."""
    reader = _Reader(raw)
    value = reader.value(depth_max)
    if reader.position != len(raw):
        raise NotCanonical("bytes after the value")
    return value


def _header(count: int, fix: int, fix_max: int, widths: dict[int, int]) -> bytes:
    if count <= fix_max:
        return bytes([fix | count])
    for lead, width in widths.items():
        if count < 1 << 8 * width:
            return bytes([lead]) + count.to_bytes(width, "big")
    raise OverflowError(count)


def _pack_int(value: int) -> bytes:
    if 0 <= value < 0x80:
        return bytes([value])
    if value >= 0:
        return _header(value, 0, -1, UINT_WIDTHS)
    if value >= -32:
        return bytes([value & 0xFF])
    for lead, width in INT_WIDTHS.items():
        if value >= -(1 << 8 * width - 1):
            return bytes([lead]) + value.to_bytes(width, "big", signed=True)
    raise OverflowError(value)


class _Reader:
    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.position = 0

    def take(self, count: int) -> bytes:
        taken = self._raw[self.position : self.position + count]
        if len(taken) < count:
            raise NotCanonical("cut short")
        self.position += count
        return taken

    def value(self, depth: int) -> Any:
        lead = self.take(1)[0]
        if lead < 0x80:
            return lead
        if lead >= 0xE0:
            return lead - 0x100
        if lead in FIXED:
            return FIXED[lead]
        if lead in UINT_WIDTHS or lead in INT_WIDTHS:
            return self._wide_int(lead)
        if lead & 0xE0 == 0xA0 or lead in STR_WIDTHS:
            return self._text(self.take(self._count(lead, 0x1F, STR_WIDTHS)))
        if lead in BIN_WIDTHS:
            return self.take(self._count(lead, -1, BIN_WIDTHS))
        if lead & 0xF0 == 0x90 or lead in ARRAY_WIDTHS:
            return self._array(self._count(lead, 0x0F, ARRAY_WIDTHS), depth)
        if lead & 0xF0 == 0x80 or lead in MAP_WIDTHS:
            return self._map(self._count(lead, 0x0F, MAP_WIDTHS), depth)
        raise NotCanonical(f"type {lead:#x}")  # floats, ext, and the one never used

    def _wide_int(self, lead: int) -> int:
        is_signed = lead in INT_WIDTHS
        width = INT_WIDTHS[lead] if is_signed else UINT_WIDTHS[lead]
        raw = self.take(width)
        number = int.from_bytes(raw, "big", signed=is_signed)
        if pack(number) != bytes([lead]) + raw:
            raise NotCanonical("an integer that is not in its shortest form")
        return number

    def _count(self, lead: int, fix_mask: int, widths: dict[int, int]) -> int:
        width = widths.get(lead)
        if width is None:
            return lead & fix_mask
        count = int.from_bytes(self.take(width), "big")
        smaller = max((w for w in widths.values() if w < width), default=0)
        if count <= fix_mask or (smaller and count < 1 << 8 * smaller):
            raise NotCanonical("a length that is not in its shortest form")
        return count

    def _text(self, raw: bytes) -> str:
        if not all(0x20 <= byte <= 0x7E for byte in raw):
            raise NotCanonical("a string that is not printable ASCII")
        return raw.decode("ascii")

    def _array(self, count: int, depth: int) -> list[Any]:
        self._enter(count, depth)
        return [self.value(depth - 1) for _ in range(count)]

    def _map(self, count: int, depth: int) -> dict[str, Any]:
        self._enter(2 * count, depth)
        if not count:
            raise NotCanonical("an empty map")
        found: dict[str, Any] = {}
        last = ""
        for _ in range(count):
            key = self.value(depth - 1)
            # In printable ASCII the order of strings is that of their bytes.
            if not isinstance(key, str) or (found and key <= last):
                raise NotCanonical("keys out of order, or none")
            found[key] = self.value(depth - 1)
            last = key
        return found

    def _enter(self, values: int, depth: int) -> None:
        if depth < 1:
            raise NotCanonical("nested too deep")
        if values > len(self._raw) - self.position:
            raise NotCanonical("more values announced than there are bytes")
