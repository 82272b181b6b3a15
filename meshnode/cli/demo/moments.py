"""What a screen is told: moments in words and fields, and rows of the table."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened: a name for programs, a sentence for people, the facts behind it."""

    event: str
    text: str
    fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One price as one node serves it. `provider` is its name, where the demo started it."""

    node: str
    asset: str
    price: str
    age_s: int | None
    state: str
    provider: str
    updates_per_s: int
