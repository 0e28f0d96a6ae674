"""A person of the vault, and how one comes, goes, and is locked out.

Source: PCI DSS 8.3.4: at most 10 failures, then 30 minutes; 8.2.6: 90 days idle, then disabled.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pci.access.errors import PersonRejected, PersonStatusRejected, ReasonRejected, ScopeMissing
from pci.access.roles import Role, Scope, scopes_of
from pci.redaction import redact_text

FAILURES_MAX = 10
LOCKED_FOR = timedelta(minutes=30)
IDLE_DAYS_MAX = 90
NAME_CHARACTERS_MAX = 100
REASON_CHARACTERS_MAX = 200
LOGIN = re.compile(r"[a-z][a-z0-9._-]{2,63}")


class PersonStatus(StrEnum):
    """Where a person is in their life with the vault."""

    INVITED = "invited"
    """Has no factors yet."""
    ACTIVE = "active"
    DISABLED = "disabled"


ALLOWED: dict[PersonStatus, frozenset[PersonStatus]] = {
    PersonStatus.INVITED: frozenset({PersonStatus.ACTIVE, PersonStatus.DISABLED}),
    PersonStatus.ACTIVE: frozenset({PersonStatus.DISABLED}),
    PersonStatus.DISABLED: frozenset({PersonStatus.INVITED}),
}
"""Who was disabled comes back by a new enrolment: old factors open nothing."""


def advance(status: PersonStatus, to: PersonStatus) -> PersonStatus:
    """Move a person's status.

    Raises: PersonStatusRejected.
    """
    if to not in ALLOWED[status]:
        raise PersonStatusRejected(status=str(status), to=str(to))
    return to


@dataclass(frozen=True, slots=True)
class Person:
    """One person, without their factors."""

    id: str
    login: str
    name: str
    status: PersonStatus
    roles: frozenset[Role]
    failed_attempts: int
    locked_until: datetime | None
    last_signed_in_at: datetime | None
    idle_since: datetime
    created_at: datetime
    created_by: str
    granted_by: str
    """Who let them in or gave them a role last."""
    confirmed_by: str | None
    """Who agreed to that."""
    disabled_at: datetime | None
    disabled_by: str | None
    disabled_reason: str | None

    def is_locked(self, now: datetime) -> bool:
        """Whether too many failures keep this person out just now."""
        return self.locked_until is not None and now < self.locked_until

    @property
    def is_waiting(self) -> bool:
        """Whether a second person has not yet agreed to who they are and what they may do."""
        return self.confirmed_by is None

    def is_idle(self, now: datetime) -> bool:
        """Whether this person has not come for so long that they must be let in anew."""
        return now - self.idle_since >= timedelta(days=IDLE_DAYS_MAX)


@dataclass(frozen=True, slots=True)
class Actor:
    """A person who is signed in, as what they do is written down."""

    person_id: str
    login: str
    name: str
    roles: frozenset[Role]
    sign_in_id: str
    origin: str
    expires_at: datetime

    @property
    def label(self) -> str:
        """How the log names them."""
        return f"person:{self.person_id}"

    def may(self, scope: Scope) -> bool:
        """Whether their roles allow this."""
        return scope in scopes_of(self.roles)

    def require(self, scope: Scope) -> None:
        """Refuse what their roles do not allow. Raises: ScopeMissing."""
        if not self.may(scope):
            raise ScopeMissing(scope=str(scope))


def check_login(login: str, name: str) -> None:
    """Refuse a login or name of the wrong form. Raises: PersonRejected."""
    if not LOGIN.fullmatch(login) or redact_text(login) != login:
        raise PersonRejected(field="login")
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX or not name.isprintable() or redact_text(name) != name:
        raise PersonRejected(field="name")


def check_reason(reason: str) -> None:
    """Refuse no reason, a novel, or a card number in it. Raises: ReasonRejected."""
    if (
        not 1 <= len(reason.strip()) <= REASON_CHARACTERS_MAX
        or not reason.isprintable()
        or redact_text(reason) != reason
    ):
        raise ReasonRejected()
