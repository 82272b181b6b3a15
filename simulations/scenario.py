"""Scenarios by their name: those of the project, and files of the user's."""

import difflib
import importlib
import pkgutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

from meshnode.errors import ConfigError
from simulations import scenarios
from simulations.stage import Stage

Play: TypeAlias = Callable[[Stage], Awaitable[None]]
# Given nodes and minutes; raises ConfigError where it cannot be played so.
Check: TypeAlias = Callable[[int, float], None]

DEFAULT_NODES, DEFAULT_MINUTES = 20, 10.0
GUIDE = "docs/simulator.md shows how to write one"


def anyhow(_nodes: int, _minutes: float) -> None:
    """The check of a scenario that can be played with any number of nodes, for any time."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens to a world. `name` is what the command line takes: a name or a path."""

    name: str
    summary: str
    play: Play
    nodes: int = DEFAULT_NODES
    minutes: float = DEFAULT_MINUTES
    check: Check = anyhow


def names() -> list[str]:
    """The scenarios that come with the project."""
    found = pkgutil.iter_modules(scenarios.__path__)
    return sorted(module.name.replace("_", "-") for module in found)


def load(name: str) -> Scenario:
    """A scenario by its name, or out of a .py or .toml file.

    Raises ConfigError, which says what there is instead.
    """
    if name.endswith(".toml"):
        from simulations.script import read_script

        return read_script(Path(name))
    if name.endswith(".py"):
        from simulations.own_module import read_module

        return read_module(Path(name))
    if Path(name).name != name:
        raise ConfigError(f"{name} is no file that ends in .py or .toml; {GUIDE}")
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f"did you mean {near[0]}?" if near else "meshnode simulate lists them"
        raise ConfigError(f"there is no scenario {name!r}; {hint}")
    module = importlib.import_module(f"simulations.scenarios.{name.replace('-', '_')}")
    return _of_module(name, module)


def _of_module(name: str, module: ModuleType) -> Scenario:
    summary = (module.__doc__ or name).splitlines()[0]
    nodes = getattr(module, "NODES", DEFAULT_NODES)
    return Scenario(name, summary, module.play, nodes, getattr(module, "MINUTES", DEFAULT_MINUTES))
