"""Three ways to show the demo: a live table on a terminal, plain lines in a pipe, JSON lines."""

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from typing import Any, Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from meshnode.cli.demo.moments import Moment, Row
from meshnode.cli.demo.story import Story
from meshnode.cli.demo.summary import Figures, summary_lines
from meshnode.cli.durations import NOTHING
from meshnode.cli.render import console_on
from meshnode.core.safe_text import one_line

LINE_EVERY_S = 1.0
_TITLE = "meshnode demo: each node a process of its own on this machine"
_LINES_AROUND_EVENTS = 6  # the title, the table's header, blank lines, and the prompt's line
_STATES = {"fresh": "green", "cached": "bold yellow", "stale": "yellow"}
_EVENTS = {"lost": "red", "killed": "bold red", "warning": "yellow", "fresh": "green"}


class Screen(Protocol):
    """Where the demo is shown."""

    def shown(self) -> AbstractContextManager[object]:
        """Entered for as long as there is something to show."""
        ...

    def tell(self, elapsed_s: float, moment: Moment) -> None:
        """Something happened."""
        ...

    def draw(self, elapsed_s: float, rows: Sequence[Row]) -> None:
        """The table as it is now; called several times a second."""
        ...

    def close(self, story: Story, figures: Figures, kept: str | None) -> None:
        """The summary; `kept` is the directory with the logs, where it was not removed."""
        ...


def screen_on(stream: TextIO, *, as_json: bool) -> Screen:
    """The screen that suits a stream."""
    if as_json:
        return JsonScreen(stream)
    return LiveScreen(console_on(stream)) if stream.isatty() else PlainScreen(stream)


class LiveScreen:
    """A table that stays in its place, and beneath it what happened."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False)
        self._events: list[Text] = []
        self._rows: Sequence[Row] = ()
        self._elapsed_s = 0.0

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Draws until it is left; the last table and all events stay on the terminal."""
        with self._live:
            try:
                yield
            finally:
                self._live.update(self._page(self._events))

    def tell(self, elapsed_s: float, moment: Moment) -> None:
        """One more line beneath the table."""
        line = Text(no_wrap=True, overflow="ellipsis")  # what wraps would need more room
        line.append(f"{elapsed_s:5.1f} s  ", "dim")
        line.append(one_line(moment.text), _EVENTS.get(moment.event, ""))
        self._events.append(line)
        self.draw(elapsed_s, self._rows)

    def draw(self, elapsed_s: float, rows: Sequence[Row]) -> None:
        """Draw the table, and as many of the latest events as the terminal has room for."""
        self._elapsed_s, self._rows = elapsed_s, rows
        room = max(3, self._console.size.height - _LINES_AROUND_EVENTS - len(rows))
        self._live.update(self._page(self._events[-room:]), refresh=True)

    def close(self, story: Story, figures: Figures, kept: str | None) -> None:
        """The summary beneath it all."""
        self._console.print()
        for line in summary_lines(story, figures, kept):
            self._console.print(Text(one_line(line)))

    def _page(self, events: Sequence[Text]) -> RenderableType:
        title = Text(f"{_TITLE}, {self._elapsed_s:.0f} s", "bold")
        return Group(title, Text(), table_of(self._rows), Text(), *events)


class PlainScreen:
    """A line a second, and a line for each event: for a pipe or a file."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._next_at_s = 0.0

    def shown(self) -> AbstractContextManager[object]:
        """Nothing to set up."""
        return nullcontext()

    def tell(self, elapsed_s: float, moment: Moment) -> None:
        """The event on a line."""
        self._print(f"{elapsed_s:5.1f} s  {moment.text}")

    def draw(self, elapsed_s: float, rows: Sequence[Row]) -> None:
        """The table on one line, once a second."""
        if not rows or elapsed_s < self._next_at_s:
            return
        self._next_at_s = elapsed_s + LINE_EVERY_S
        prices = [f"{row.node} {row.price} {row.state} {_age(row)}" for row in rows]
        self._print(f"{elapsed_s:5.1f} s  {' | '.join(prices)}")

    def close(self, story: Story, figures: Figures, kept: str | None) -> None:
        """The summary."""
        self._print("")
        for line in summary_lines(story, figures, kept):
            self._print(line)

    def _print(self, line: str) -> None:
        print(one_line(line), file=self._stream, flush=True)


class JsonScreen:
    """One JSON document a line; `prices` once a second, every event, and at last `summary`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._next_at_s = 0.0

    def shown(self) -> AbstractContextManager[object]:
        """Nothing to set up."""
        return nullcontext()

    def tell(self, elapsed_s: float, moment: Moment) -> None:
        """The event and its fields."""
        elapsed_ms = round(elapsed_s * 1000)
        self._print(moment.event, {"elapsed_ms": elapsed_ms, "text": moment.text, **moment.fields})

    def draw(self, elapsed_s: float, rows: Sequence[Row]) -> None:
        """The table, once a second."""
        if rows and elapsed_s >= self._next_at_s:
            self._next_at_s = elapsed_s + LINE_EVERY_S
            elapsed_ms = round(elapsed_s * 1000)
            prices = [asdict(row) for row in rows]
            self._print("prices", {"elapsed_ms": elapsed_ms, "prices": prices})

    def close(self, story: Story, figures: Figures, kept: str | None) -> None:
        """The figures, whether the story was whole, and if not, what is missing."""
        missing = [step.name.lower() for step in story.missing()]
        fields = {"complete": not missing, "missing": missing, "logs": kept, **asdict(figures)}
        self._print("summary", fields)

    def _print(self, event: str, fields: dict[str, Any]) -> None:
        document = {"event": event, **fields}
        print(json.dumps(document), file=self._stream, flush=True)


def table_of(rows: Sequence[Row]) -> RenderableType:
    """The prices as served, one row a node and asset; nothing in it is read as markup."""
    if not rows:
        return Text("no price yet", "dim")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for header in ("NODE", "ASSET", "PRICE", "AGE", "STATE", "PROVIDER", "UPDATES/S"):
        is_number = header in ("PRICE", "AGE", "UPDATES/S")
        table.add_column(
            header, justify="right" if is_number else "left", no_wrap=True, overflow="ellipsis"
        )
    for row in rows:
        cells = (row.node, row.asset, row.price, _age(row), row.state, row.provider)
        table.add_row(
            *(Text(one_line(cell), _STATES.get(cell, "")) for cell in cells),
            Text(str(row.updates_per_s)),
        )
    return table


def _age(row: Row) -> str:
    return NOTHING if row.age_s is None else f"{row.age_s} s"
