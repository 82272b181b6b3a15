"""Scenarios written down as a list of timed steps, in TOML."""

import difflib
import math
import re
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


NODE_NAME = re.compile(r"n(0|[1-9][0-9]*)")


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do at a time, in seconds from the beginning, with some of the nodes.

    `who` are names or groups; `share` of them are drawn by chance. `off_s` is for clocks. `place`
    says where it is written.
    """

    place: str
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

    def check(self, nodes: int, minutes: float) -> None:
        """Raises ConfigError where there is no such node, or time is over by then."""
        for name in self.who:
            if (numbered := NODE_NAME.fullmatch(name)) and int(numbered[1]) >= nodes:
                raise ConfigError(
                    f"{self.place}: there is no {name!r}; with {nodes} nodes there are"
                    f" {', '.join(GROUPS)}, n0 to n{nodes - 1}"
                )
        if self.at_s > minutes * 60:
            raise ConfigError(
                f"{self.place}: at_s = {self.at_s:g} is after the run's end, {minutes * 60:g} s:"
                " make it longer, or the step earlier"
            )


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
    providers = _count(f"file {path}", tree, "providers", 3)
    steps = [_step(f"file {path}, step {number}", step) for number, step in _steps(path, tree)]

    async def play(stage: Stage) -> None:
        await stage.grow(providers=providers)
        for step in sorted(steps, key=lambda step: step.at_s):
            await stage.wait_until(step.at_s / 60)
            await DEEDS[step.do](stage, step)
        await stage.play_out()

    def check(nodes: int, minutes: float) -> None:
        for step in steps:
            step.check(nodes, minutes)

    nodes = _count(f"file {path}", tree, "nodes", DEFAULT_NODES)
    minutes = _number(f"file {path}", tree, "minutes", DEFAULT_MINUTES)
    if not minutes:
        raise ConfigError(f"file {path}: minutes = 0 is no time; write minutes = 6")
    summary = str(tree.get("summary", path.name))
    return Scenario(str(path), summary, play, nodes, minutes, check)


def _steps(path: Path, tree: Mapping[str, Any]) -> list[tuple[int, Any]]:
    steps = tree.get("step", [])
    if not isinstance(steps, list):
        raise ConfigError(f"file {path}: steps are written [[step]], each with at_s and do")
    return list(enumerate(steps, 1))


def _step(place: str, step: Mapping[str, Any]) -> Step:
    _check_keys(place, step, STEP_KEYS)
    do = str(step.get("do"))
    if do not in DEEDS:
        raise ConfigError(f"{place}: do = {do!r} is none of {', '.join(DEEDS)}")
    told = step.get("nodes", ["all"])
    who = tuple(told) if isinstance(told, list) else (told,)
    if not who:
        raise ConfigError(f"{place}: nodes = [] is nobody; without it, it befalls all")
    for name in who:
        if name not in GROUPS and not (isinstance(name, str) and NODE_NAME.fullmatch(name)):
            raise ConfigError(f"{place}: there is no {name!r}; there are {', '.join(GROUPS)}, n0 …")
    share = _number(place, step, "share", 1.0)
    if not 0 < share <= 1:
        raise ConfigError(f"{place}: share = {share:g} is no share; write one up to 1, such as 0.3")
    if do in PAIRS and (len(set(who)) != 2 or len(who) != 2 or set(who) & set(GROUPS) or share < 1):
        raise ConfigError(f"{place}: {do} takes two nodes, such as nodes = ['n0', 'n5']")
    if do == "clock" and "off_s" not in step:
        raise ConfigError(f"{place}: clock takes off_s, by how much; write off_s = -2.5")
    at_s = _number(place, step, "at_s", None)
    return Step(place, at_s, do, who, share, _number(place, step, "off_s", 0.0))


def _check_keys(place: str, table: Any, known: tuple[str, ...]) -> None:
    if not isinstance(table, Mapping):
        raise ConfigError(f"{place}: write [[step]] with at_s and do")
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise ConfigError(f"{place}: unknown key {key!r}; {hint}")


def _count(place: str, table: Mapping[str, Any], key: str, default: int) -> int:
    number = _number(place, table, key, default)
    if not number.is_integer():
        raise ConfigError(f"{place}: {key} = {number:g} is no whole number")
    return int(number)


def _number(place: str, table: Mapping[str, Any], key: str, default: float | None) -> float:
    value = table.get(key, default)
    if value is None:
        raise ConfigError(f"{place}: {key} is missing; write {key} = 60")
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or (value < 0 and key != "off_s")
    ):
        raise ConfigError(f"{place}: {key} = {value!r} is no number of use; write {key} = 60")
    return float(value)
