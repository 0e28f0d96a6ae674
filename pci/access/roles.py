"""Roles of the vault's people and what each may do. What is not in the table is refused.

Source: PCI DSS 7.2.1, 7.2.2, 7.3.3: least privilege by job function, deny by default; 6.5.4: separation of duties.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from pci.access.errors import RolesRejected


class Role(StrEnum):
    """A job that a person does with the vault."""

    ADMIN = "admin"
    """Lets people in and out; sees no card."""
    SECURITY_OFFICER = "security_officer"
    """Says yes or no to what others ask for."""
    SUPPORT = "support"
    """Answers buyers and banks; may be shown a card number for a reason."""
    CUSTODIAN = "custodian"
    """Holds a share of the key that wraps all others."""
    AUDITOR = "auditor"
    """Reads everything but card numbers, changes nothing."""


class Scope(StrEnum):
    """One thing that may be done."""

    PEOPLE_READ = "people:read"
    PEOPLE_WRITE = "people:write"
    PEOPLE_APPROVE = "people:approve"
    PEOPLE_REVIEW = "people:review"
    CARDS_SEARCH = "cards:search"
    CARDS_REVEAL = "cards:reveal"
    REVEALS_APPROVE = "reveals:approve"
    REVEALS_READ = "reveals:read"
    EXPORTS_APPROVE = "exports:approve"
    KEYS_READ = "keys:read"
    KEYS_UNSEAL = "keys:unseal"


SCOPES_OF: dict[Role, frozenset[Scope]] = {
    Role.ADMIN: frozenset({Scope.PEOPLE_READ, Scope.PEOPLE_WRITE}),
    Role.SECURITY_OFFICER: frozenset(
        {Scope.PEOPLE_READ, Scope.PEOPLE_APPROVE, Scope.PEOPLE_REVIEW, Scope.CARDS_SEARCH}
        | {Scope.REVEALS_APPROVE, Scope.REVEALS_READ, Scope.EXPORTS_APPROVE, Scope.KEYS_READ}
    ),
    Role.SUPPORT: frozenset({Scope.CARDS_SEARCH, Scope.CARDS_REVEAL}),
    Role.CUSTODIAN: frozenset({Scope.KEYS_READ, Scope.KEYS_UNSEAL}),
    Role.AUDITOR: frozenset({Scope.PEOPLE_READ, Scope.PEOPLE_REVIEW, Scope.REVEALS_READ, Scope.KEYS_READ}),
}
"""The whole of what people may do."""

ALONE = frozenset({Role.ADMIN, Role.AUDITOR})
"""Who gives rights uses none, and who looks at all has a hand in nothing."""
APART = frozenset({Role.SUPPORT, Role.SECURITY_OFFICER})
"""Who may be shown a card number does not approve that others are."""


def scopes_of(roles: Iterable[Role]) -> frozenset[Scope]:
    """Everything that these roles together allow."""
    return frozenset[Scope]().union(*(SCOPES_OF[role] for role in roles))


def read_roles(names: Iterable[str]) -> frozenset[Role]:
    """Roles by their names, if one person may have them all.

    Raises: RolesRejected.
    """
    wanted = set(names)
    if unknown := wanted - set(Role):
        raise RolesRejected(unknown=len(unknown), known=", ".join(Role))
    roles = frozenset(map(Role, wanted))
    if len(roles) > 1 and roles & ALONE:
        raise RolesRejected(alone=", ".join(sorted(roles & ALONE)))
    if roles >= APART:
        raise RolesRejected(apart=", ".join(sorted(APART)))
    return roles
