"""Scenarios by their name: those of the project, and files of the user's."""

import difflib
import importlib
import importlib.util
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

DEFAULT_NODES, DEFAULT_MINUTES = 20, 10.0
GUIDE = "docs/simulator.md shows how to write one"


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens to a world. `name` is what the command line takes: a name or a path."""

    name: str
    summary: str
    play: Play
    nodes: int = DEFAULT_NODES
    minutes: float = DEFAULT_MINUTES


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
        return _of_module(name, _module_at(Path(name)))
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f"did you mean {near[0]}?" if near else "meshnode simulate lists them"
        raise ConfigError(f"there is no scenario {name!r}; {hint}")
    return _of_module(name, importlib.import_module(f"simulations.scenarios.{_module_name(name)}"))


def _module_name(name: str) -> str:
    return name.replace("-", "_")


def _module_at(path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"there is no file {path}; {GUIDE}")
    spec = importlib.util.spec_from_file_location(f"scenario_{path.stem}", path)
    assert spec is not None, "a .py file has a loader"
    assert spec.loader is not None, "a .py file has a loader"
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise ConfigError(f"{path}, line {error.lineno}: {error.msg}") from error
    except ImportError as error:
        raise ConfigError(f"{path}: {error}") from error
    return module


def _of_module(name: str, module: ModuleType) -> Scenario:
    play = getattr(module, "play", None)
    if not callable(play):
        raise ConfigError(f"{name} has no function play(stage); {GUIDE}")
    return Scenario(
        name,
        (module.__doc__ or name).strip().splitlines()[0],
        play,
        getattr(module, "NODES", DEFAULT_NODES),
        getattr(module, "MINUTES", DEFAULT_MINUTES),
    )
