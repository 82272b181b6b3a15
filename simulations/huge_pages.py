"""Memory in huge pages: a thousand nodes fill a gigabyte, and the next to run is always elsewhere.

With pages of 4 KiB, finding out where each is took an eighth of a run with a thousand nodes. Linux
from 6.1 on puts those in use together when asked; elsewhere a run is just slower.
"""

import ctypes
import errno
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

if sys.platform != "win32":
    import resource

PAGE = 2**21
GROWN_BY = 2**26  # bytes more in use than when they were put together last
_COLLAPSE = 25  # MADV_COLLAPSE, in linux/mman.h


class Span(NamedTuple):
    """Addresses from `begin` up to, not including, `end`."""

    begin: int
    end: int


class HugePages:
    """Puts this process's memory together whenever it has grown.

    `in_use` tells how many bytes are, `spans` where. `put_together` does it for a span, and returns
    0 or an error number: EINVAL where it cannot be done, others where there is no room just now.
    """

    def __init__(
        self,
        in_use: Callable[[], int],
        spans: Callable[[], Iterable[Span]],
        put_together: Callable[[Span], int] | None,
    ) -> None:
        self._in_use = in_use
        self._spans = spans
        self._put_together = put_together
        self._had = in_use()

    def look(self) -> None:
        """To be called now and then."""
        if self._put_together is None or self._in_use() < self._had + GROWN_BY:
            return
        if set(map(self._put_together, self._spans())) == {errno.EINVAL}:
            self._put_together = None  # this system does not do it
        self._had = self._in_use()


def peak_bytes() -> int:
    """The most that this process has had in use, or 0 where the system does not tell."""
    if sys.platform == "win32":
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def open_huge_pages(in_use: Callable[[], int] = peak_bytes) -> HugePages:
    """Of this process, on this system."""
    return HugePages(in_use, _own_spans, _madvise() if sys.platform == "linux" else None)


def spans_of(maps: Iterable[str]) -> Iterator[Span]:
    """The whole huge pages among what a process may write and shares with nobody and no file."""
    for line in maps:
        addresses, permissions, _, _, _, *path = line.split()
        if permissions != "rw-p" or path not in ([], ["[heap]"]):
            continue
        begin, end = (int(address, 16) for address in addresses.split("-"))
        span = Span(-(-begin // PAGE) * PAGE, end // PAGE * PAGE)
        if span.begin < span.end:
            yield span


def _own_spans() -> list[Span]:
    with open("/proc/self/maps", encoding="ascii", errors="replace") as maps:
        return list(spans_of(maps))


def _madvise() -> Callable[[Span], int]:
    madvise = ctypes.CDLL(None, use_errno=True).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)

    def put_together(span: Span) -> int:
        failed = madvise(span.begin, span.end - span.begin, _COLLAPSE)
        return ctypes.get_errno() if failed else 0

    return put_together
