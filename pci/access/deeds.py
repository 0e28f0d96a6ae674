"""What a person tries: its transaction, and a line in the log whether it went through or was refused.

Source: PCI DSS 10.2.1.2, .4, .5: every act of an administrator, every denied attempt, every change to people.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from pci.access import sign_ins
from pci.access.passwords import Passwords
from pci.access.person import Actor
from pci.access.roles import Scope
from pci.audit_log.event import AuditEvent, AuditOutcome
from pci.audit_log.staging import stage
from pci.database import Session, Transactions
from pci.errors import Rejected
from pci.keys.ring import KeyRing
from pci.secret import Secret

NOBODY = "person:unknown"


@dataclass(frozen=True, slots=True)
class Access:
    """What one process keeps people's access with."""

    transactions: Transactions
    ring: KeyRing
    passwords: Passwords


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody who says they are signed in asks for."""

    action: str
    """As the log names it: ``card.revealed``."""
    scope: Scope | None
    """What their roles must allow; nothing for what everybody may do with their own."""
    subject: str
    token: Secret
    """Of their sign-in."""
    origin: str
    now: datetime
    ring: KeyRing
    """Which knows the vault's own sign-ins from others."""


@dataclass(frozen=True, slots=True)
class Deed:
    """A wish under way: an open transaction, and who is at work."""

    session: Session
    actor: Actor
    wish: Wish

    async def record(self, subject: str = "", *, merchant_id: str = "", **facts: str | int | bool) -> None:
        """Put what was done into the log, in the transaction of its effect."""
        wish = self.wish
        event = AuditEvent(
            action=wish.action, actor=self.actor.label, origin=wish.origin, subject=subject or wish.subject,
            happened_at=wish.now, merchant_id=merchant_id, facts=facts,
        )  # fmt: skip
        await stage(self.session, [event])


@asynccontextmanager
async def deed(transactions: Transactions, wish: Wish) -> AsyncIterator[Deed]:
    """Open the transaction of a wish, once it is known who asks and that their roles allow it.

    If the rules refuse, everything is rolled back and the refusal alone is put into the log.
    Raises: SignInNeeded, ScopeMissing, and what the block raises.
    """
    who = NOBODY
    try:
        async with transactions() as session:
            actor = await sign_ins.actor_of(session, wish.ring, wish.token, origin=wish.origin, now=wish.now)
            who = actor.label
            if wish.scope is not None:
                actor.require(wish.scope)
            yield Deed(session, actor, wish)
    except Rejected as refusal:
        await record_refusal(transactions, wish.action, who, wish.subject, refusal, origin=wish.origin, now=wish.now)
        raise


async def record_refusal(
    transactions: Transactions, action: str, actor: str, subject: str, refusal: Rejected, *, origin: str, now: datetime
) -> None:
    """Put a denied attempt into the log, in a transaction of its own."""
    event = AuditEvent(
        action=action, actor=actor, origin=origin, subject=subject, happened_at=now,
        outcome=AuditOutcome.REFUSED, facts={"code": refusal.code},
    )  # fmt: skip
    async with transactions() as session:
        await stage(session, [event])
