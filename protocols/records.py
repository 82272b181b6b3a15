"""Records of the query protocols: dataclasses whose annotations check what they hold.

A field annotated `Annotated[T, check]` goes through `check(value, name)` whenever a record is
made, by us or from bytes: there is no record that breaks the protocol, on either side.
"""

import re
from collections.abc import Callable, Mapping
from itertools import repeat
from typing import Annotated, Any, ClassVar, Self, TypeAlias, TypeVar

from protocols.errors import Malformed
from protocols.fields import integer, text, text_map
from protocols.limits import ADDR_BYTES_MAX, TAG_BYTES_MAX, TAGS_MAX
from protocols.packing import pack, unpack
from protocols.quotes import is_asset
from protocols.timestamps import ns_from_rfc3339

T = TypeVar("T")
Check: TypeAlias = Callable[[object, str], T]

FREE_TEXT_BYTES_MAX = 256
_STR_BYTES_MAX = 1024
_DEPTH_MAX = 5
_INT64_MIN = -(2**63)
_LEAVES = frozenset((str, int, bool, type(None)))
_ARRAYS = (tuple, list)
_DECIMAL = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")


class Record:
    """The base of a dataclass with checked fields. Making one raises Malformed."""

    __slots__ = ()
    checks: ClassVar[Mapping[str, Check[Any]]]

    def __init_subclass__(cls) -> None:
        cls.checks = {
            name: hint.__metadata__[0]
            for name, hint in cls.__annotations__.items()
            if hasattr(hint, "__metadata__")
        }

    def __post_init__(self) -> None:
        for name, check in self.checks.items():
            value = getattr(self, name)
            checked = check(value, name)
            if checked is not value:
                object.__setattr__(self, name, checked)

    def to_map(self) -> dict[str, Any]:
        """The record in dicts, lists and leaves, as on the wire and ready for JSON."""
        tree = {}
        for name in self.checks:
            value = getattr(self, name)
            # Most are leaves; neighbours ask for many records.
            tree[name] = value if type(value) in _LEAVES else plain(value)
        return tree

    @classmethod
    def from_map(cls, value: object, what: str) -> Self:
        """The record in a decoded map; a missing key is nil, an unknown one is ignored.

        Raises Malformed, naming `what` and the field.
        """
        if type(value) is not dict:
            raise Malformed(f"{what}: not a map")
        # As making one does, but that each field is set once: neighbours tell of many peers.
        made = object.__new__(cls)
        try:
            for name, check in cls.checks.items():
                object.__setattr__(made, name, check(value.get(name), name))
        except Malformed as error:
            raise Malformed(f"{what}: {error}") from None
        return made


class Frame(Record):
    """A record that is a frame of its own, of at most `bytes_max`."""

    __slots__ = ()
    bytes_max: ClassVar[int]

    def to_bytes(self) -> bytes:
        """The record in msgpack. Raises Malformed over `bytes_max`."""
        return pack_map(self.to_map(), self.bytes_max)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """The record in a frame. Raises Malformed, and nothing else."""
        return cls.from_map(unpack_map(raw, cls.bytes_max), cls.__name__)


def pack_map(tree: dict[str, Any], bytes_max: int) -> bytes:
    """A plain map as one frame. Raises Malformed over the limit."""
    raw = pack(tree)
    check_size(raw, bytes_max)
    return raw


def unpack_map(raw: bytes, bytes_max: int) -> dict[Any, Any]:
    """The map in a frame, its values not yet checked. Raises Malformed."""
    check_size(raw, bytes_max)
    tree = unpack(raw, "frame", str_bytes_max=_STR_BYTES_MAX)
    if type(tree) is not dict:
        raise Malformed("frame: not a map")
    return tree


def check_size(raw: bytes, bytes_max: int) -> None:
    """Raises Malformed for a frame over the limit."""
    if len(raw) > bytes_max:
        raise Malformed(f"{len(raw)} bytes; at most {bytes_max} are allowed")


def plain(value: Any) -> Any:
    """A checked value in dicts, lists and leaves."""
    if type(value) in _LEAVES:
        return value
    if isinstance(value, Record):
        return value.to_map()
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return value


# --- checks -----------------------------------------------------------------------------------


def optional(check: Check[T]) -> Check[T | None]:
    """Nil, or what the check lets pass."""
    return lambda value, what: None if value is None else check(value, what)


def one_of(*names: str) -> Check[str]:
    """One of these strings."""

    def check(value: object, what: str) -> str:
        if type(value) is not str or value not in names:
            raise Malformed(f"{what}: none of {', '.join(names)}")
        return value

    return check


def array_of(check: Check[T], length_max: int | None = None) -> Check[tuple[T, ...]]:
    """An array whose items all pass the check; without a `length_max` its frame bounds it."""

    def check_array(value: object, what: str) -> tuple[T, ...]:
        if not isinstance(value, _ARRAYS):
            raise Malformed(f"{what}: not an array")
        if length_max is not None and len(value) > length_max:
            raise Malformed(f"{what}: more than {length_max}")
        return tuple(map(check, value, repeat(what)))

    return check_array


R = TypeVar("R", bound=Record)


def record(kind: type[R]) -> Check[R]:
    """A record of this kind, or the map of one."""
    return lambda value, what: value if isinstance(value, kind) else kind.from_map(value, what)


def boolean(value: object, what: str) -> bool:
    """True or false."""
    if type(value) is not bool:
        raise Malformed(f"{what}: not a boolean")
    return value


def time(value: object, what: str) -> str:
    """A time in RFC 3339 and UTC."""
    if type(value) is not str:
        raise Malformed(f"{what}: not a time")
    try:
        ns_from_rfc3339(value)
    except Malformed as error:
        raise Malformed(f"{what}: {error}") from None
    return value


def decimal(value: object, what: str) -> str:
    """A decimal string without sign and exponent."""
    number = text(value, what)
    if not _DECIMAL.fullmatch(number):
        raise Malformed(f"{what}: not a plain decimal")
    return number


def asset(value: object, what: str) -> str:
    """An asset's name."""
    if type(value) is not str or not is_asset(value):
        raise Malformed(f"{what}: not an asset's name")
    return value


def addr(value: object, what: str) -> str:
    """A multiaddr; only its first character is looked at."""
    name = text(value, what, ADDR_BYTES_MAX)
    if not name.startswith("/"):
        raise Malformed(f"{what}: not a multiaddr")
    return name


def free_text(value: object, what: str) -> str:
    """Text for people: what is not printable ASCII becomes `?`, what is too long is cut.

    Control characters and changes of the direction of writing never reach a terminal.
    """
    if type(value) is not str:
        raise Malformed(f"{what}: not a string")
    cut = value[:FREE_TEXT_BYTES_MAX]
    if cut.isascii() and cut.isprintable():
        return cut
    return "".join(char if char.isascii() and char.isprintable() else "?" for char in cut)


def tag_map(value: object, what: str) -> dict[str, str] | None:
    """A quote's tags; here they may come in any order, and empty."""
    if not isinstance(value, Mapping) or not all(type(key) is str for key in value):
        raise Malformed(f"{what}: not a map with strings for keys")
    ordered = {key: value[key] for key in sorted(value)}
    return text_map(ordered, what, TAGS_MAX, TAG_BYTES_MAX) if ordered else None


def any_value(value: object, what: str, depth: int = 1) -> Any:
    """A value of which nothing more is known: bounded, safe to print, without floats."""
    if isinstance(value, Record):
        return value
    if value is None or type(value) is bool:
        return value
    if type(value) is int:
        return integer(value, what, _INT64_MIN)
    if type(value) is str:
        return free_text(value, what)
    if depth > _DEPTH_MAX:
        raise Malformed(f"{what}: nested more than {_DEPTH_MAX} deep")
    if isinstance(value, _ARRAYS):
        return tuple(any_value(item, what, depth + 1) for item in value)
    if isinstance(value, Mapping):
        return {text(key, what): any_value(item, what, depth + 1) for key, item in value.items()}
    raise Malformed(f"{what}: holds a {type(value).__name__}")


Text: TypeAlias = Annotated[str, text]
FreeText: TypeAlias = Annotated[str, free_text]
Time: TypeAlias = Annotated[str, time]
Count: TypeAlias = Annotated[int, integer]
TextOrNone: TypeAlias = Annotated[str | None, optional(text)]
FreeTextOrNone: TypeAlias = Annotated[str | None, optional(free_text)]
TimeOrNone: TypeAlias = Annotated[str | None, optional(time)]
CountOrNone: TypeAlias = Annotated[int | None, optional(integer)]
