"""The door: HTTP, the worker, the command line. Every process of ours is one of its modules."""

import gc

GARBAGE_THRESHOLDS = (50_000, 20, 100)
"""Set before anything else is imported: programs and requests leave little for the cycle collector to find, and
looking every 700 objects took a quarter of each start and a fifth of a batch's time."""

gc.set_threshold(*GARBAGE_THRESHOLDS)
