"""How what others read is replaced while a run lasts."""

from contextlib import ExitStack
from typing import Any


def replace(patches: ExitStack, owner: Any, name: str, new: object) -> None:
    """Set an attribute of a module or class; it is what it was before when `patches` is closed."""
    patches.callback(setattr, owner, name, vars(owner)[name])
    setattr(owner, name, new)
