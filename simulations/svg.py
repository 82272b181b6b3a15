"""Small charts as SVG: areas, lines and bars over two axes, nothing else."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

WIDTH, HEIGHT = 960, 268
LEFT, RIGHT, TOP, BOTTOM = 52, 44, 24, 34
LETTER = 6.2  # how wide one is, about
TICKS = 6

Point = tuple[float, float]


def nice_step(span: float, ticks: int = TICKS) -> float:
    """A round step (1, 2 or 5 times a power of ten) that gives about so many ticks."""
    if span <= 0:
        return 1.0
    raw = span / ticks
    power = 10.0 ** math.floor(math.log10(raw))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)


def stairs(points: Iterable[Point]) -> list[Point]:
    """The points of a line that keeps each value until the next."""
    found: list[Point] = []
    for x, y in points:
        if found:
            found.append((x, found[-1][1]))
        found.append((x, y))
    return found


@dataclass
class Chart:
    """One chart: give it its ranges, draw, and `render`.

    With `share_unit` the right-hand side is a scale of its own, from nothing to 100%, of that.
    """

    x_max: float
    y_max: float
    x_unit: str
    y_unit: str = ""
    share_unit: str = ""
    _parts: list[str] = field(default_factory=list)
    _labelled_until: float = 0.0  # pixels

    def bar(self, start: float, end: float, value: float, css: str, title: str = "") -> None:
        """A bar from the bottom."""
        x, until, y = self._x(start), self._x(end), self._y(value)
        width = max(0.5, until - x - 1)
        self._add("rect", css, title, x=x, y=y, width=width, height=HEIGHT - BOTTOM - y, rx=1.5)

    def line(self, points: Sequence[Point], css: str) -> None:
        """A line through the points."""
        if points:
            path = " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in points)
            self._parts.append(f'<polyline class="{css}" points="{path}"/>')

    def area(self, points: Sequence[Point], css: str) -> None:
        """What is below a line."""
        if points:
            foot = [(points[-1][0], 0.0), (points[0][0], 0.0)]
            path = " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in [*points, *foot])
            self._parts.append(f'<polygon class="{css}" points="{path}"/>')

    def mark(self, at: float, css: str, title: str, label: str = "") -> None:
        """A vertical line, with a word on top where there is room beside the one before."""
        x, text = self._x(at), ""
        end = x + 8 + LETTER * len(label)
        if label and x >= self._labelled_until and end <= WIDTH - RIGHT:
            self._labelled_until = end
            text = f'<text x="{x + 4:.1f}" y="{TOP + 11}">{escape(label)}</text>'
        self._parts.append(
            f'<g class="{css}"><title>{escape(title)}</title>'
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>{text}</g>'
        )

    def render(self, label: str) -> str:
        """The whole picture; `label` says in words what it shows."""
        return (
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
            f"{self._axes()}{''.join(self._parts)}</svg>"
        )

    def _add(self, tag: str, css: str, title: str, **numbers: float) -> None:
        where = " ".join(f'{name}="{value:.1f}"' for name, value in numbers.items())
        told = f"<title>{escape(title)}</title>" if title else ""
        self._parts.append(f'<{tag} class="{css}" {where}>{told}</{tag}>')

    def _axes(self) -> str:
        parts = []
        step = nice_step(self.y_max, 4)
        for number in range(int(self.y_max / step) + 1):
            value = number * step
            y = self._y(value)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
            parts.append(f'<text class="y" x="{LEFT - 8}" y="{y + 4:.1f}">{value:g}</text>')
        if self.share_unit:
            for percent in (0, 50, 100):
                y = self._y(self.y_max * percent / 100) + 4
                at = f'x="{WIDTH - RIGHT + 6}" y="{y:.1f}"'
                parts.append(f'<text class="s" {at}>{percent}%</text>')
            at = f'x="{WIDTH - 2}" y="{TOP - 12}"'
            parts.append(f'<text class="u" {at}>{escape(self.share_unit)}</text>')
        step = nice_step(self.x_max, 10)
        for number in range(int(self.x_max / step) + 1):
            value = number * step
            x = self._x(value)
            parts.append(f'<text class="x" x="{x:.1f}" y="{HEIGHT - 14}">{value:g}</text>')
        parts.append(f'<text class="u" x="{WIDTH - RIGHT}" y="{HEIGHT - 1}">{self.x_unit}</text>')
        parts.append(f'<text class="v" x="{LEFT + 4}" y="{TOP - 12}">{escape(self.y_unit)}</text>')
        return "".join(parts)

    def _x(self, value: float) -> float:
        return LEFT + value / max(1e-9, self.x_max) * (WIDTH - LEFT - RIGHT)

    def _y(self, value: float) -> float:
        part = min(1.0, value / max(1e-9, self.y_max))
        return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)
