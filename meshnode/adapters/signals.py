"""Signals that ask a command to end: what it began is ended in order, and then it says so."""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable

import trio

SIGNALLED = 128  # a shell's exit code for a signal is this and its number


def ending_signals() -> tuple[signal.Signals, ...]:
    """The signals that ask a command to end; a closed terminal does unless nohup started it."""
    asking = (signal.SIGINT, signal.SIGTERM)
    is_kept = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return asking if is_kept else (*asking, signal.SIGHUP)


async def until_signalled(perform: Callable[[trio.CancelScope], Awaitable[None]]) -> int | None:
    """Do something to its end; the first signal cancels the scope it is given, and is returned."""
    stop = trio.CancelScope()
    with trio.open_signal_receiver(*ending_signals()) as signals:
        async with trio.open_nursery() as nursery:
            caught: list[int] = []
            nursery.start_soon(_cancel_on_signal, signals, caught, stop)
            await perform(stop)
            nursery.cancel_scope.cancel()
    return caught[0] if caught else None


async def _cancel_on_signal(
    signals: AsyncIterator[int], caught: list[int], scope: trio.CancelScope
) -> None:
    caught.append(await anext(signals))
    scope.cancel()
