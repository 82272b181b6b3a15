"""Settings of the interpreter that keep the event loop's pauses short."""

import gc
import sys

# The store's thread and the loop share one interpreter lock: the default of 5 ms is what each may
# keep the other waiting (measured: the worst lag of the loop falls from 10 to 4 ms).
SWITCH_INTERVAL_S = 0.0005


def settle() -> None:
    """Once everything is imported: hand over more often, and look at what is there no more.

    The modules of libp2p and its dependencies are some hundred thousand objects that live as long
    as the process; every full collection would walk them all, for tens of milliseconds.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.collect()
    gc.freeze()
