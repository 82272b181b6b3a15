"""Settings of the interpreter that keep the event loop's pauses short."""

import gc
import sys

# The store's thread and the loop share one interpreter lock: the default of 5 ms is what each may
# keep the other waiting (measured: the worst lag of the loop falls from 10 to 4 ms).
SWITCH_INTERVAL_S = 0.0005

# The default looks for garbage after 700 new objects: an update of a thousand quotes is two
# thousand, none of them garbage (measured: a tenth of the time that an update takes).
NEW_OBJECTS_BETWEEN_COLLECTIONS = 10_000


def settle() -> None:
    """Once everything is imported: hand over more often, and look at what is there no more.

    The modules of libp2p and its dependencies are some hundred thousand objects that live as long
    as the process; every full collection would walk them all, for tens of milliseconds.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.set_threshold(NEW_OBJECTS_BETWEEN_COLLECTIONS)
    gc.collect()
    gc.freeze()
