"""Scenarios that users write in Python: whatever is wrong with one is told with its line."""

import importlib.util
import inspect
import traceback
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import Any

from meshnode.errors import ConfigError, MeshnodeError
from simulations.scenario import DEFAULT_MINUTES, DEFAULT_NODES, GUIDE, Play, Scenario
from simulations.stage import Stage


class ScenarioFailed(MeshnodeError):
    """A user's scenario raised an error while it was played."""

    exit_code = ConfigError.exit_code


def read_module(path: Path) -> Scenario:
    """A scenario from a .py file. Raises ConfigError that names the line, if there is one."""
    module = _module_at(path)
    play = getattr(module, "play", None)
    if not inspect.iscoroutinefunction(play):
        raise ConfigError(f"{path} has no `async def play(stage)`; {GUIDE}")
    nodes = getattr(module, "NODES", DEFAULT_NODES)
    if isinstance(nodes, bool) or not isinstance(nodes, int):
        raise ConfigError(f"{path}: NODES = {nodes!r} is no whole number")
    minutes = getattr(module, "MINUTES", DEFAULT_MINUTES)
    if isinstance(minutes, bool) or not isinstance(minutes, Real):
        raise ConfigError(f"{path}: MINUTES = {minutes!r} is no number")
    summary = (module.__doc__ or "").strip().partition("\n")[0] or path.name
    return Scenario(str(path), summary, _guarded(path, play), nodes, float(minutes))


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
    except Exception as error:
        raise ConfigError(_told(path, error)) from error
    return module


def _guarded(path: Path, play: Play) -> Play:
    async def guarded(stage: Stage) -> None:
        try:
            await play(stage)
        except MeshnodeError:
            raise  # it says itself what to do
        except Exception as error:
            raise ScenarioFailed(_told(path, error)) from error

    return guarded


def _told(path: Path, error: BaseException) -> str:
    """The error, the file's line that it came through, and where that led."""
    frames: list[Any] = []
    while True:
        frames += traceback.extract_tb(error.__traceback__)
        if not isinstance(error, BaseExceptionGroup):
            break
        error = error.exceptions[0]
    own = [frame for frame in frames if Path(frame.filename) == path.absolute()]
    place = f"{path}, line {own[-1].lineno}" if own else str(path)
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    last = frames[-1]
    inside = "" if last in own else f" ({Path(last.filename).name}, line {last.lineno})"
    return f"{place}: {what}{inside}"
