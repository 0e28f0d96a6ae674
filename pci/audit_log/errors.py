"""Refusals and failures of the log.

PciError
├── Rejected
│   ├── AcceptanceRefused      audit.acceptance_refused
│   └── LeafNotFound           audit.leaf_not_found
├── Unavailable
│   └── RolledBack             audit.rolled_back
└── InvariantBroken
    ├── SigningKeyRefused      audit.signing_key_refused
    ├── EventMalformed         audit.event_malformed
    ├── CheckpointMalformed    audit.checkpoint_malformed
    └── LogBroken              audit.log_broken
"""

from __future__ import annotations

from pci.errors import InvariantBroken, Rejected, Unavailable


class AcceptanceRefused(Rejected):
    """Two custodians, each once, accept a log that was rolled back."""

    code = "audit.acceptance_refused"


class LeafNotFound(Rejected):
    """The log has no such leaf."""

    code = "audit.leaf_not_found"


class RolledBack(Unavailable):
    """The log is not what was exported of it: nothing is written until two custodians accept."""

    code = "audit.rolled_back"


class SigningKeyRefused(InvariantBroken):
    """The key that signs checkpoints is not to be used."""

    code = "audit.signing_key_refused"


class EventMalformed(InvariantBroken):
    """An event is not what the log takes."""

    code = "audit.event_malformed"


class CheckpointMalformed(InvariantBroken):
    """A checkpoint is not a signed note of the log."""

    code = "audit.checkpoint_malformed"


class LogBroken(InvariantBroken):
    """The log does not hold together: its leaves do not give the root that was signed."""

    code = "audit.log_broken"
