"""The stage: where the demo is performed, and what is left of it afterwards."""

import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

import trio

from meshnode.adapters.signals import SIGNALLED, until_signalled
from meshnode.cli.demo.play import Play
from meshnode.cli.demo.processes import open_processes
from meshnode.cli.demo.screen import Screen, screen_on
from meshnode.cli.demo.story import Story
from meshnode.cli.demo.summary import measure
from meshnode.errors import MeshnodeError
from protocols.errors import ProtocolError


def perform(seconds: int, *, as_json: bool) -> int:
    """Perform the whole story on stdout; returns the exit code. Raises MeshnodeError.

    The nodes' files are removed, unless something went wrong.
    """
    screen = screen_on(sys.stdout, as_json=as_json)
    story = Story()
    directory = Path(tempfile.mkdtemp(prefix="meshnode-demo-"))
    is_kept = False
    try:
        signalled = trio.run(until_signalled, partial(_perform, seconds, screen, story, directory))
        if signalled is not None:
            return SIGNALLED + signalled
        is_kept = bool(story.missing())
        if not is_kept:
            shutil.rmtree(directory)
        screen.close(story, measure(story), str(directory) if is_kept else None)
    except* (MeshnodeError, ProtocolError) as group:
        is_kept = True
        # The first one caused the others; and whatever it was, it is the demo that failed.
        raise MeshnodeError(f"{_first(group)}\nthe nodes' logs: {directory}") from group
    finally:
        if not is_kept:
            shutil.rmtree(directory, ignore_errors=True)
    return 1 if is_kept else 0


async def _perform(
    seconds: int, screen: Screen, story: Story, directory: Path, stop: trio.CancelScope
) -> None:
    with screen.shown():
        async with trio.open_nursery() as nursery:
            async with open_processes(directory) as processes:
                play = Play(screen, story, processes, seconds)
                nursery.start_soon(play.draw)
                await play.perform(stop)
            nursery.cancel_scope.cancel()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
