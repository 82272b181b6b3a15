"""Sources as the operator writes them: `replay:FILE.csv?speed=10`, `walk:BTC-USD,ETH-USD`."""

import random
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from meshnode.adapters.sources.replay import Replay
from meshnode.adapters.sources.walk import Walk
from meshnode.errors import ConfigError
from meshnode.ports import Source, WallClock
from protocols.quotes import is_asset

BUILTIN = "builtin"
BUILTIN_FILE = "btcusdt-trades-2021-01-08.csv"
SPEED_MIN, SPEED_MAX = Fraction(1, 1000), Fraction(1_000_000)
INTERVAL_S_MIN, INTERVAL_S_MAX = Fraction(1, 100), Fraction(86_400)
_NAME_CHARS_MAX = 64
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_WHOLE = re.compile(r"[0-9]{1,18}")


def builtin_recording() -> Path:
    """The recording that comes with the package (meshnode/data/README.md says where it is from)."""
    return Path(str(resources.files("meshnode").joinpath("data", BUILTIN_FILE)))


def parse_source(spec: str, *, rng: random.Random, wall_clock: WallClock) -> Source:
    """The source that a specification describes, named like it without its options.

    `replay:FILE.csv[?speed=10&loop=true]`, where FILE.csv may be `builtin`, or
    `walk:BTC-USD,ETH-USD[?interval_s=1&seed=7]`. Without a seed `rng` decides the walk.
    Raises ConfigError, which names the part that is wrong and what would be right.
    """
    scheme, colon, rest = spec.partition(":")
    make = _SCHEMES.get(scheme)
    if make is None or not colon:
        known = ", ".join(f"{name}:" for name in _SCHEMES)
        raise ConfigError(f"source {spec!r}: it must begin with one of {known}")
    target, _, query = rest.partition("?")
    name = f"{scheme}:{target}"[:_NAME_CHARS_MAX]
    return make(name, target, _Options(spec, query), rng, wall_clock)


class _Options:
    """What stands after the `?`, and the errors that name it."""

    def __init__(self, spec: str, query: str) -> None:
        self._spec = spec
        self._texts: dict[str, str] = {}
        for part in query.split("&") if query else []:
            name, equals, text = part.partition("=")
            if not equals:
                raise self.wrong(f"{part!r} is not NAME=VALUE")
            if name in self._texts:
                raise self.wrong(f"{name} is given twice; give it once")
            self._texts[name] = text

    def wrong(self, problem: str) -> ConfigError:
        """The error to raise for a problem with this specification."""
        return ConfigError(f"source {self._spec!r}: {problem}")

    def check_names(self, *known: str) -> None:
        """Refuse every option that is not known."""
        for name in self._texts:
            if name not in known:
                raise self.wrong(f"unknown option {name!r}; there are {', '.join(known)}")

    def number(self, name: str, default: Fraction, least: Fraction, most: Fraction) -> Fraction:
        """A plain decimal number within bounds, exactly."""
        text = self._texts.get(name)
        if text is None:
            return default
        if not _NUMBER.fullmatch(text) or not least <= Fraction(text) <= most:
            bounds = f"from {float(least):g} to {int(most)}"
            raise self.wrong(f"{name}={text} is not a number {bounds}, such as 10 or 0.5")
        return Fraction(text)

    def whole(self, name: str) -> int | None:
        """A whole number, or None where it is not given."""
        text = self._texts.get(name)
        if text is None:
            return None
        if not _WHOLE.fullmatch(text):
            raise self.wrong(f"{name}={text} is not a whole number, such as 7")
        return int(text)

    def flag(self, name: str) -> bool:
        """`true` or `false`; false where it is not given."""
        text = self._texts.get(name, "false")
        if text not in ("true", "false"):
            raise self.wrong(f"{name}={text} is neither true nor false")
        return text == "true"


def _replay(
    name: str, target: str, options: _Options, _rng: random.Random, wall_clock: WallClock
) -> Source:
    options.check_names("speed", "loop")
    path = Path(target)
    if target == BUILTIN or (target == BUILTIN_FILE and not path.exists()):
        path = builtin_recording()
    if not target or not path.is_file():
        raise options.wrong(f"there is no file {target!r}; name a CSV file, or {BUILTIN!r}")
    return Replay(
        name,
        path,
        wall_clock,
        speed=options.number("speed", Fraction(1), SPEED_MIN, SPEED_MAX),
        loop=options.flag("loop"),
    )


def _walk(
    name: str, target: str, options: _Options, rng: random.Random, wall_clock: WallClock
) -> Source:
    options.check_names("interval_s", "seed")
    assets = target.split(",")
    for asset in assets:
        if not is_asset(asset):
            raise options.wrong(f"{asset!r} is not an asset's name; write it like BTC-USD")
        if assets.count(asset) > 1:
            raise options.wrong(f"asset {asset} is named twice; name it once")
    interval_s = options.number("interval_s", Fraction(1), INTERVAL_S_MIN, INTERVAL_S_MAX)
    seed = options.whole("seed")
    return Walk(
        name,
        assets,
        wall_clock,
        rng if seed is None else random.Random(seed),
        interval_s=float(interval_s),
    )


_Make: TypeAlias = Callable[[str, str, _Options, random.Random, WallClock], Source]
_SCHEMES: Mapping[str, _Make] = MappingProxyType({"replay": _replay, "walk": _walk})
