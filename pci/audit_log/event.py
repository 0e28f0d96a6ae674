"""What the log says of one event: who, what, when, how it ended, from where, and on what.

Source: PCI DSS 10.2.2: user, type, time, success or failure, origination, affected data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class AuditOutcome(StrEnum):
    """How it ended."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One line of the log. Never holds a card number, a CVC or a key; personal data only as a keyed digest."""

    action: str
    """``card.tokenized``, ``card.revealed``, ``key.activated``: object and past verb."""
    actor: str
    """``service:api``, ``person:per_…``, ``caller:key_…``, ``system:sweeper``."""
    origin: str
    """Where it came from: a request id, an address, a host and process."""
    subject: str
    """What it was done to: ``card:tok_…``, ``key:dek_…``, ``person:per_…``."""
    happened_at: datetime
    outcome: AuditOutcome = AuditOutcome.DONE
    merchant_id: str = ""
    """Whose data it was; empty when nobody's."""
    facts: Mapping[str, str | int | bool] = field(default_factory=dict)
    """The rest: whole numbers, texts, truths."""
