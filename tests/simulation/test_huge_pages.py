"""Memory is put together when it has grown, where the system does that; nothing else changes."""

import errno
import mmap
import sys

import pytest

from simulations.huge_pages import GROWN_BY, PAGE, HugePages, Span, open_huge_pages, spans_of

SPANS = (Span(0, PAGE), Span(2 * PAGE, 4 * PAGE))


class Memory:
    """What a system says of it, and what it was asked for."""

    def __init__(self, *errors: int) -> None:
        self.in_use = 10 * GROWN_BY
        self.errors = errors
        self.put_together: list[Span] = []
        self.pages = HugePages(lambda: self.in_use, lambda: SPANS, self._put_together)

    def _put_together(self, span: Span) -> int:
        self.put_together.append(span)
        return self.errors[SPANS.index(span)]


def test_memory_is_put_together_whenever_it_has_grown() -> None:
    memory = Memory(0, 0)
    memory.pages.look()
    memory.in_use += GROWN_BY - 1
    memory.pages.look()
    assert memory.put_together == []
    for times in (1, 2, 3):
        memory.in_use += GROWN_BY
        memory.pages.look()
        memory.pages.look()
        assert memory.put_together == [*SPANS] * times


@pytest.mark.parametrize(
    ("errors", "times"),
    [
        ((errno.EINVAL, errno.EINVAL), 1),
        ((errno.EINVAL, 0), 2),
        ((errno.EINVAL, errno.EAGAIN), 2),
        ((errno.ENOMEM, errno.EBUSY), 2),
    ],
)
def test_a_system_that_never_does_it_is_asked_once(errors: tuple[int, int], times: int) -> None:
    memory = Memory(*errors)
    for _ in range(2):
        memory.in_use += GROWN_BY
        memory.pages.look()
    assert memory.put_together == [*SPANS] * times


def test_whole_pages_are_found_of_what_is_ours_alone() -> None:
    page = f"{PAGE:x}"
    assert page == "200000"
    lines = [
        "00100000-00700000 rw-p 00000000 00:00 0 ",
        "00800000-00a00000 rw-p 00000000 00:00 0                  [heap]",
        "00b00000-00bff000 rw-p 00000000 00:00 0 ",  # no whole page
        "00c00000-01000000 r--p 00000000 00:00 0 ",
        "01000000-01400000 rw-s 00000000 00:05 7                  /dev/zero (deleted)",
        "01400000-01800000 rw-p 00000000 fe:01 9                  /lib/some library.so",
        "01800000-01c00000 rw-p 00000000 00:00 0                  [stack]",
    ]
    assert list(spans_of(lines)) == [Span(PAGE, 3 * PAGE), Span(4 * PAGE, 5 * PAGE)]


def test_what_is_in_memory_stays_the_same() -> None:
    looks: list[int] = []

    def more_and_more() -> int:
        looks.append(GROWN_BY * len(looks))
        return looks[-1]

    pages = open_huge_pages(more_and_more)  # whatever this process had at its peak before
    text = bytes(range(256))
    with mmap.mmap(-1, 2 * GROWN_BY) as memory:
        for at in range(0, len(memory), mmap.PAGESIZE):
            memory[at : at + len(text)] = text
        pages.look()
        if sys.platform == "linux":
            assert len(looks) == 3  # it had grown, and was put together
        assert all(
            memory[at : at + len(text)] == text for at in range(0, len(memory), mmap.PAGESIZE)
        )
