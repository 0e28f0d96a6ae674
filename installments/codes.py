"""One-time codes (коды из СМС) for buyers: sent, entered, used once. Only a keyed digest is kept.

    issued = await new_code(session, …)          intent: digest committed, code in memory only
    … the gateway sends it …                     call
    await mark_sending(session, issued.id, …)    outcome: sent, refused or unknown; whoever lost it asks again

    entry = await enter_code(session, …)         commit it whatever it says: a wrong try must count
    if entry.verdict is not CodeVerdict.RIGHT: raise refusal_of(entry)

A door that answers inside its transaction gives the refusal as its answer and does not raise it, or the try is undone.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from installments import buyer_news, stop_lists
from installments import buyer_rows as buyers
from installments.buyer import Buyer
from installments.buyer_errors import (
    BuyerNotFound,
    CodeExpired,
    CodeNotSent,
    CodeRejected,
    CodesTooOften,
    CodeTriesSpent,
    CodeUsed,
    CodeWrong,
)
from installments.stop_lists import StopListKind
from ledger.database import Session, text
from ledger.errors import InvariantBroken
from ledger.ids import new_digits, new_id
from pci.audit_log.event import AuditOutcome
from pci.secret import Secret

_DOMAIN = b"buyers/codes/v1"


class CodePurpose(StrEnum):
    """What a code is entered for; a code for one is none for another."""

    PHONE = "phone"
    """The phone is the buyer's."""
    CONSENT = "consent"
    """The buyer agrees to the plan that is the subject."""
    SIGN_IN = "sign_in"
    """The buyer looks at their plans."""


class CodeSending(StrEnum):
    """What became of the message."""

    ASKED = "asked"
    SENT = "sent"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CodePolicy:
    """How codes are made and sent: data, not law. Fifteen guesses an hour of a million are one in 66,000."""

    digits: int = 6
    lifetime: timedelta = timedelta(minutes=5)
    tries: int = 5
    sends_hour_max: int = 3
    sends_day_max: int = 10
    subject_sends_day_max: int = 10
    """About one plan, to whatever phones are typed on its form: a link is no way to send messages to strangers."""
    resend_pause: timedelta = timedelta(seconds=60)


CODE_POLICY = CodePolicy()
"""Source: our own choice within NIST SP 800-63B 5.1.3: at least six digits, ten minutes at most, limited tries."""


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """A code on its way. The code itself is in no other place than the message."""

    id: str
    code: Secret
    expires_at: datetime
    resend_at: datetime
    """When another may be asked for."""


class CodeVerdict(StrEnum):
    """What an entered code is."""

    RIGHT = "right"
    WRONG = "wrong"
    EXPIRED = "expired"
    TRIES_SPENT = "tries_spent"
    USED = "used"
    NOT_SENT = "not_sent"


_REFUSALS: dict[CodeVerdict, type[CodeRejected]] = {
    CodeVerdict.WRONG: CodeWrong,
    CodeVerdict.EXPIRED: CodeExpired,
    CodeVerdict.TRIES_SPENT: CodeTriesSpent,
    CodeVerdict.USED: CodeUsed,
    CodeVerdict.NOT_SENT: CodeNotSent,
}


@dataclass(frozen=True, slots=True)
class CodeEntry:
    """One try."""

    verdict: CodeVerdict
    code_id: str | None
    tries_left: int


def refusal_of(entry: CodeEntry) -> CodeRejected:
    """The refusal that a try deserves. Raises: InvariantBroken for the right code."""
    if entry.verdict is CodeVerdict.RIGHT:
        raise InvariantBroken("the right code is refused")
    return _REFUSALS[entry.verdict](tries_left=entry.tries_left)


def digest_of(key: Secret, code_id: str, code: Secret) -> bytes:
    """A digest that a million guesses do not open without the key; the id binds it to its buyer and purpose."""
    own = hmac.digest(key.expose().encode(), _DOMAIN, "sha256")
    return hmac.digest(own, f"{code_id}|{code.expose()}".encode(), "sha256")


async def new_code(
    session: Session, buyer_id: str, purpose: CodePurpose, subject: str, *, key: Secret, now: datetime,
    policy: CodePolicy = CODE_POLICY,
) -> IssuedCode:  # fmt: skip
    """Make a code for a buyer; the one before of the same purpose and subject is over.

    Raises: BuyerNotFound, CodesTooOften. Locks: the buyer, then the codes.
    """
    buyer = await buyers.load_buyer(session, buyer_id, lock=True)
    if buyer.phone is None:
        raise BuyerNotFound(buyer_id=buyer_id)
    await _refuse_too_often(session, buyer_id, policy, now)
    await _refuse_too_many(session, subject, policy, now)
    await digest_phone(session, buyer, key)
    await session.execute(
        text("""UPDATE buyer_codes SET status = 'over', ended_at = :now
                 WHERE buyer_id = :buyer_id AND purpose = :purpose AND subject = :subject AND status = 'open'"""),
        {"buyer_id": buyer_id, "purpose": purpose.value, "subject": subject, "now": now},
    )
    issued = IssuedCode(
        new_id("otc", now), Secret(new_digits(policy.digits)), now + policy.lifetime, now + policy.resend_pause
    )
    await session.execute(
        text("""INSERT INTO buyer_codes (id, buyer_id, purpose, subject, digest, tries_left, created_at, expires_at)
                VALUES (:id, :buyer_id, :purpose, :subject, :digest, :tries, :now, :expires_at)"""),
        {
            "id": issued.id, "buyer_id": buyer_id, "purpose": purpose.value, "subject": subject,
            "digest": digest_of(key, issued.id, issued.code), "tries": policy.tries, "now": now,
            "expires_at": issued.expires_at,
        },
    )  # fmt: skip
    facts = {"code_id": issued.id, "purpose": purpose.value, "subject": subject}
    await buyer_news.log(session, "buyer_code.made", f"buyer:{buyer_id}", now=now, facts=facts)
    return issued


async def digest_phone(session: Session, buyer: Buyer, key: Secret) -> None:
    """Let a buyer be found on stop lists: without a digest every phone on them would name this one too."""
    if buyer.phone is not None and buyer.phone_digest is None:
        digest = stop_lists.digest_of(key, StopListKind.PHONE, buyer.phone)
        await buyers.save_standing(session, replace(buyer, phone_digest=digest))


async def _refuse_too_often(session: Session, buyer_id: str, policy: CodePolicy, now: datetime) -> None:
    """Codes of all purposes count: they reach one phone. A refused message counts too: it was tried."""
    rows = await session.execute(
        text(
            "SELECT created_at FROM buyer_codes WHERE buyer_id = :id AND created_at > :since ORDER BY created_at DESC"
        ),
        {"id": buyer_id, "since": now - timedelta(days=1)},
    )
    made = [row.created_at for row in rows]
    of_hour = [at for at in made if at > now - timedelta(hours=1)]
    free_at = [made[0] + policy.resend_pause] if made else []
    if len(of_hour) >= policy.sends_hour_max:
        free_at.append(of_hour[policy.sends_hour_max - 1] + timedelta(hours=1))
    if len(made) >= policy.sends_day_max:
        free_at.append(made[policy.sends_day_max - 1] + timedelta(days=1))
    if free_at and (until := max(free_at)) > now:
        seconds = -((now - until) // timedelta(seconds=1))
        raise CodesTooOften(retry_after_seconds=seconds)


async def _refuse_too_many(session: Session, subject: str, policy: CodePolicy, now: datetime) -> None:
    """Codes about one plan count together, whoever they go to."""
    if not subject:
        return
    rows = await session.execute(
        text("""SELECT created_at FROM buyer_codes WHERE subject = :subject AND subject <> '' AND created_at > :since
                 ORDER BY created_at DESC LIMIT :most"""),
        {"subject": subject, "since": now - timedelta(days=1), "most": policy.subject_sends_day_max},
    )
    made = [row.created_at for row in rows]
    if len(made) == policy.subject_sends_day_max:
        raise CodesTooOften(retry_after_seconds=-((now - made[-1] - timedelta(days=1)) // timedelta(seconds=1)))


async def mark_sending(session: Session, code_id: str, sending: CodeSending) -> None:
    """What became of the message. A lost one may have come: the code still does."""
    await session.execute(
        text("UPDATE buyer_codes SET sending = :sending WHERE id = :id"), {"id": code_id, "sending": sending.value}
    )


async def enter_code(
    session: Session, buyer_id: str, purpose: CodePurpose, subject: str, entered: Secret, *, key: Secret, now: datetime
) -> CodeEntry:
    """Try a code: the right one is used up, a wrong one costs a try. Commit whatever it says.

    Locks: the newest code of this purpose and subject.
    """
    rows = await session.execute(
        text("""SELECT id, digest, status, tries_left, expires_at FROM buyer_codes
                 WHERE buyer_id = :buyer_id AND purpose = :purpose AND subject = :subject
                 ORDER BY (status = 'open') DESC, id DESC LIMIT 1 FOR UPDATE"""),
        {"buyer_id": buyer_id, "purpose": purpose.value, "subject": subject},
    )
    if (row := rows.first()) is None:
        return CodeEntry(CodeVerdict.NOT_SENT, None, 0)
    verdict = _verdict(row.status, row.tries_left, row.expires_at, now)
    if verdict is CodeVerdict.RIGHT and not hmac.compare_digest(bytes(row.digest), digest_of(key, row.id, entered)):
        verdict = CodeVerdict.WRONG
    tries_left = row.tries_left - (verdict is CodeVerdict.WRONG)
    if row.status == "open":
        await _keep(session, row.id, verdict, tries_left, now)
    await _tell(session, buyer_id, row.id, purpose, verdict, now)
    return CodeEntry(verdict, row.id, tries_left)


def _verdict(status: str, tries_left: int, expires_at: datetime, now: datetime) -> CodeVerdict:
    """What can be said before the digits are looked at."""
    if status == "used":
        return CodeVerdict.USED
    if tries_left == 0:
        return CodeVerdict.TRIES_SPENT
    return CodeVerdict.EXPIRED if status == "over" or now >= expires_at else CodeVerdict.RIGHT


async def _keep(session: Session, code_id: str, verdict: CodeVerdict, tries_left: int, now: datetime) -> None:
    is_over = verdict is CodeVerdict.EXPIRED or tries_left == 0
    status = "used" if verdict is CodeVerdict.RIGHT else "over" if is_over else "open"
    await session.execute(
        text("""UPDATE buyer_codes SET status = :status, tries_left = :tries_left,
                       ended_at = CASE WHEN :status = 'open' THEN NULL ELSE CAST(:now AS timestamptz) END
                 WHERE id = :id"""),
        {"id": code_id, "status": status, "tries_left": tries_left, "now": now},
    )


async def _tell(
    session: Session, buyer_id: str, code_id: str, purpose: CodePurpose, verdict: CodeVerdict, now: datetime
) -> None:
    is_right = verdict is CodeVerdict.RIGHT
    facts = {"code_id": code_id, "purpose": purpose.value, "verdict": verdict.value}
    outcome = AuditOutcome.DONE if is_right else AuditOutcome.REFUSED
    action = "buyer_code.used" if is_right else "buyer_code.refused"
    await buyer_news.log(session, action, f"buyer:{buyer_id}", now=now, facts=facts, outcome=outcome)
