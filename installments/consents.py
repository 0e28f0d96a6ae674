"""Consents (согласия покупателя): who agreed to which text of a plan, when, by which code, from where."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from installments import buyer_news
from installments.buyer_errors import ConsentDiffers, ConsentWithoutCode
from installments.codes import CodePurpose
from ledger.database import Session, text
from ledger.ids import new_id


@dataclass(frozen=True, slots=True)
class Consent:
    """One buyer's consent to one plan. Source: 283-FZ: the full text is given before the contract is made."""

    id: str
    buyer_id: str
    plan_id: str
    pack_digest: bytes
    """SHA-256 of the pre-contract pack exactly as it was shown."""
    text_version: str
    code_id: str
    """The one-time code that was entered: a simple electronic signature. Source: 63-FZ art. 5."""
    given_at: datetime
    origin: str | None = field(default=None, repr=False)
    """The address it came from; personal, so it is erased together with the buyer."""


async def give_consent(
    session: Session, buyer_id: str, plan_id: str, *, pack_digest: bytes, text_version: str, code_id: str,
    origin: str | None, now: datetime,
) -> Consent:  # fmt: skip
    """Keep a consent; the same again gives the first. The code was used for this buyer, this plan, and nothing else.

    Raises: ConsentWithoutCode, ConsentDiffers.
    """
    asked = (buyer_id, pack_digest, text_version, code_id)
    if (known := await find_consent(session, plan_id)) is not None:
        if (known.buyer_id, known.pack_digest, known.text_version, known.code_id) != asked:
            raise ConsentDiffers(plan_id=plan_id)
        return known
    await _refuse_without_code(session, buyer_id, plan_id, code_id)
    consent = Consent(new_id("csn", now), buyer_id, plan_id, pack_digest, text_version, code_id, now, origin)
    await session.execute(
        text("""INSERT INTO buyer_consents
                       (id, buyer_id, plan_id, pack_digest, text_version, code_id, given_at, origin)
                VALUES (:id, :buyer_id, :plan_id, :pack_digest, :text_version, :code_id, :given_at, :origin)"""),
        {name: getattr(consent, name) for name in Consent.__slots__},
    )
    facts = {"plan_id": plan_id, "text_version": text_version, "pack_digest": pack_digest.hex(), "code_id": code_id}
    await buyer_news.tell(session, "consented", buyer_id, now=now, by=f"buyer:{buyer_id}", facts=facts)
    return consent


async def _refuse_without_code(session: Session, buyer_id: str, plan_id: str, code_id: str) -> None:
    found = await session.scalar(
        text("""SELECT true FROM buyer_codes WHERE id = :id AND buyer_id = :buyer_id AND subject = :plan_id
                   AND purpose = :purpose AND status = 'used'"""),
        {"id": code_id, "buyer_id": buyer_id, "plan_id": plan_id, "purpose": CodePurpose.CONSENT.value},
    )
    if not found:
        raise ConsentWithoutCode(plan_id=plan_id)


async def find_consent(session: Session, plan_id: str) -> Consent | None:
    """The consent to a plan."""
    rows = await session.execute(text("SELECT * FROM buyer_consents WHERE plan_id = :id"), {"id": plan_id})
    row = rows.first()
    return None if row is None else _consent(row)


def _consent(row: Row[Any]) -> Consent:
    return Consent(
        row.id, row.buyer_id, row.plan_id, bytes(row.pack_digest), row.text_version, row.code_id, row.given_at,
        row.origin,
    )  # fmt: skip
