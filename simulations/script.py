"""Scenarios written down as a list of timed steps, in TOML."""

import difflib
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from meshnode.errors import ConfigError
from simulations.scenario import DEFAULT_MINUTES, DEFAULT_NODES, Scenario
from simulations.stage import Stage
from simulations.world_node import WorldNode

GROUPS = ("providers", "consumers", "all")
KEYS = ("summary", "nodes", "providers", "minutes", "step")
STEP_KEYS = ("at_s", "do", "nodes", "share", "off_s")


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do at a time, in seconds from the beginning, with some of the nodes.

    `who` are names or groups; `share` of them are drawn by chance. `off_s` is for clocks.
    """

    at_s: float
    do: str
    who: tuple[str, ...]
    share: float
    off_s: float

    def nodes(self, stage: Stage) -> list[WorldNode]:
        """Whom it befalls."""
        chosen: dict[WorldNode, None] = {}
        for name in self.who:
            match name:
                case "providers":
                    chosen.update(dict.fromkeys(stage.providers))
                case "consumers":
                    chosen.update(dict.fromkeys(stage.consumers))
                case "all":
                    chosen.update(dict.fromkeys(stage.nodes))
                case _:
                    chosen[stage.node(name)] = None
        return list(chosen) if self.share >= 1 else stage.some(chosen, self.share)


async def _kill(stage: Stage, step: Step) -> None:
    await stage.kill(step.nodes(stage))


async def _leave(stage: Stage, step: Step) -> None:
    await stage.leave(step.nodes(stage))


async def _start(stage: Stage, step: Step) -> None:
    await stage.start(step.nodes(stage))


async def _freeze(stage: Stage, step: Step) -> None:
    stage.freeze(step.nodes(stage))


async def _thaw(stage: Stage, step: Step) -> None:
    stage.thaw(step.nodes(stage))


async def _cut(stage: Stage, step: Step) -> None:
    one, other = step.nodes(stage)
    stage.cut(one, other)


async def _cut_one_way(stage: Stage, step: Step) -> None:
    one, other = step.nodes(stage)
    stage.cut(one, other, one_way=True)


async def _mend(stage: Stage, step: Step) -> None:
    one, other = step.nodes(stage)
    stage.mend(one, other)


async def _split(stage: Stage, step: Step) -> None:
    far = step.nodes(stage)
    stage.split([[node for node in stage.nodes if node not in far], far])


async def _heal(stage: Stage, _step: Step) -> None:
    stage.heal()


async def _clock(stage: Stage, step: Step) -> None:
    for node in step.nodes(stage):
        stage.set_clock(node, step.off_s)


Do: TypeAlias = Callable[[Stage, Step], Any]
DEEDS: Mapping[str, Do] = MappingProxyType(
    {
        "kill": _kill,
        "leave": _leave,
        "start": _start,
        "freeze": _freeze,
        "thaw": _thaw,
        "cut": _cut,
        "cut-one-way": _cut_one_way,
        "mend": _mend,
        "split": _split,
        "heal": _heal,
        "clock": _clock,
    }
)
PAIRS = frozenset({"cut", "cut-one-way", "mend"})


def read_script(path: Path) -> Scenario:
    """A scenario from a TOML file. Raises ConfigError that names the step and the remedy."""
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"file {path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"file {path} is no TOML: {error}") from error
    _check_keys(f"file {path}", tree, KEYS)
    providers = _number(f"file {path}", tree, "providers", 3)
    size = int(_number(f"file {path}", tree, "nodes", DEFAULT_NODES))
    names = (*GROUPS, *(f"n{number}" for number in range(size)))
    steps = sorted(
        (_step(f"file {path}, step {number}", step, names) for number, step in _steps(path, tree)),
        key=lambda step: step.at_s,
    )

    async def play(stage: Stage) -> None:
        await stage.grow(providers=int(providers))
        for step in steps:
            await stage.wait_until(step.at_s / 60)
            await DEEDS[step.do](stage, step)
        await stage.play_out()

    minutes = _number(f"file {path}", tree, "minutes", DEFAULT_MINUTES)
    summary = str(tree.get("summary", path.name))
    return Scenario(str(path), summary, play, size, minutes)


def _steps(path: Path, tree: Mapping[str, Any]) -> list[tuple[int, Any]]:
    steps = tree.get("step", [])
    if not isinstance(steps, list):
        raise ConfigError(f"file {path}: steps are written [[step]], each with at_s and do")
    return list(enumerate(steps, 1))


def _step(place: str, step: Mapping[str, Any], names: tuple[str, ...]) -> Step:
    _check_keys(place, step, STEP_KEYS)
    do = str(step.get("do"))
    if do not in DEEDS:
        raise ConfigError(f"{place}: do = {do!r} is none of {', '.join(DEEDS)}")
    told = step.get("nodes", ["all"])
    who = tuple(told) if isinstance(told, list) else (told,)
    for name in who:
        if name not in names:
            last = names[-1]
            raise ConfigError(
                f"{place}: there is no {name!r}; there are {', '.join(GROUPS)}, n0 to {last}"
            )
    if do in PAIRS and (len(who) != 2 or set(who) & set(GROUPS)):
        raise ConfigError(f"{place}: {do} takes two nodes, such as nodes = ['n0', 'n5']")
    return Step(
        _number(place, step, "at_s", None),
        do,
        who,
        _number(place, step, "share", 1.0),
        _number(place, step, "off_s", 0.0),
    )


def _check_keys(place: str, table: Any, known: tuple[str, ...]) -> None:
    if not isinstance(table, Mapping):
        raise ConfigError(f"{place}: write [[step]] with at_s and do")
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise ConfigError(f"{place}: unknown key {key!r}; {hint}")


def _number(place: str, table: Mapping[str, Any], key: str, default: float | None) -> float:
    value = table.get(key, default)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or (value < 0 and key != "off_s")
    ):
        raise ConfigError(f"{place}: {key} = {value!r} is not a number; write {key} = 60")
    return float(value)
