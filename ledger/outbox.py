"""Events: what happened, kept in the same transaction as its effect, and relayed by the worker.

``publish`` writes the event; ``events`` is append-only. The relay reads only rows below the horizon
of running transactions, so that no consumer ever skips an event that commits late.
"""
