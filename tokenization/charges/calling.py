"""One message to the acquirer and what came of it: an answer that fits, silence, or nothing sent."""

from __future__ import annotations

import re
from dataclasses import dataclass

import structlog

from pci.audit_log.event import AuditEvent, AuditOutcome
from pci.database import Session
from tokenization.charges.acquirer_link import AcquirerLink
from tokenization.charges.errors import AcquirerSilent, AcquirerUnreachable
from tokenization.charges.messages import Message
from tokenization.charges.repository import end_attempt
from tokenization.charges.response_codes import WHOLLY_APPROVED
from tokenization.charges.states import AttemptStatus, Charge, ChargeAttempt
from tokenization.vault import Vault

log = structlog.get_logger("charges")

PASSING_TROUBLE = frozenset({"06", "09", "68", "91", "96"})
"""Answers to an advice that only mean: say it again later. Source: ISO 8583:1987, field 39."""
_RRN = re.compile(r"[0-9A-Za-z]{12}")
_APPROVAL = re.compile(r"[0-9A-Za-z]{6}")
_CODE = re.compile(r"[0-9A-Z]{2}")


@dataclass(frozen=True, slots=True)
class ChargeDesk:
    """What charges need: the vault, and its line to the acquirer."""

    vault: Vault
    link: AcquirerLink


@dataclass(frozen=True, slots=True)
class ActedBy:
    """Who had something done to a charge, for the log."""

    actor: str = "system:charge_resolver"
    origin: str = "vault"


@dataclass(frozen=True, slots=True)
class AcquirerAnswer:
    """What became of a message."""

    status: AttemptStatus
    response_code: str | None = None
    rrn: str | None = None
    approval_code: str | None = None
    network_reference: str | None = None

    @property
    def is_approved(self) -> bool:
        """Whether the acquirer did all of it."""
        return self.response_code in WHOLLY_APPROVED

    @property
    def is_lost(self) -> bool:
        """Whether the acquirer may have done it and we do not know."""
        return self.status is AttemptStatus.SILENT


async def call(desk: ChargeDesk, message: Message) -> AcquirerAnswer:
    """Send a message and read the answer. No session is open. Never raises for what the network does.

    An answer about another amount or another operation than ours proves nothing and counts as silence.
    """
    try:
        answered = await desk.link.exchange(message)
    except AcquirerUnreachable:
        return AcquirerAnswer(AttemptStatus.UNSENT)
    except AcquirerSilent:
        return AcquirerAnswer(AttemptStatus.SILENT)
    if not fits(message, answered):
        log.error("acquirer_answer_does_not_fit", kind=answered.kind, stan=answered.fields.get("11"))
        return AcquirerAnswer(AttemptStatus.SILENT)
    fields = answered.fields
    approval, reference = fields.get("38"), fields.get("63")
    return AcquirerAnswer(
        AttemptStatus.ANSWERED,
        fields["39"],
        fields.get("37"),
        approval if approval and _APPROVAL.fullmatch(approval) else None,
        reference or None,
    )


def fits(message: Message, answered: Message) -> bool:
    """Whether an answer can be about what we asked."""
    asked, fields = message.fields, answered.fields
    code, rrn = fields.get("39", ""), fields.get("37")
    if not _CODE.fullmatch(code) or (rrn is not None and not _RRN.fullmatch(rrn)):
        return False
    if any(fields.get(name, asked[name]) != asked[name] for name in ("3", "4", "49")):
        return False
    if code not in WHOLLY_APPROVED:
        return True
    if "90" in asked:
        return rrn is None or asked.get("37") is None or rrn == asked["37"] or asked["3"] == "200000"
    return rrn is not None


async def keep_answer(session: Session, desk: ChargeDesk, attempt: ChargeAttempt, answer: AcquirerAnswer) -> None:
    """Write down what became of a message."""
    await end_attempt(
        session, attempt.id, answer.status, now=desk.vault.now(), response_code=answer.response_code, rrn=answer.rrn,
        approval_code=answer.approval_code,
    )  # fmt: skip


def event_of(
    charge: Charge, action: str, by: ActedBy, desk: ChargeDesk, *, outcome: AuditOutcome = AuditOutcome.DONE,
    **facts: str | int | bool,
) -> AuditEvent:  # fmt: skip
    """What the log says of a charge."""
    told: dict[str, str | int | bool] = {"charge_id": charge.id, "status": charge.status.value, **facts}
    return AuditEvent(
        f"charge.{action}", by.actor, by.origin, f"card:{charge.card_token}", desk.vault.now(), outcome,
        charge.merchant_id, told,
    )  # fmt: skip
