"""Refusals and failures of the rules and of the vault.

PciError                          every error of the rules: a code, a message, facts
├── Rejected                      the caller asked for what the rules refuse; final
├── Unavailable                   try again later (retryable)
└── InvariantBroken               our bug or somebody's tampering: page someone, never catch

Facts are shown, so they never hold a card number or a key. Codes are stable (``vault.token_not_found``).
The same three families as the books', which these packages may not import.
"""

from __future__ import annotations

from typing import Any, ClassVar


class PciError(Exception):
    """Something was refused or failed."""

    code: ClassVar[str] = "pci.error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str | None = None, /, **facts: Any) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().splitlines()[0])
        self.facts = facts


class Rejected(PciError):
    """The rules refuse this."""

    code = "pci.rejected"


class Unavailable(PciError):
    """Not possible just now; the same request may be repeated."""

    code = "pci.unavailable"
    retryable = True


class InvariantBroken(PciError):
    """What must always be true is not."""

    code = "pci.invariant_broken"
