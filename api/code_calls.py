"""Codes to buyers' phones: made and committed, sent, and what became of it committed. Codes entered: counted always."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from api.buyer_key import required_key
from api.messages_gateway import MessagesGateway, SendOutcome, SendStatus
from installments import buyer_rows, buyers, codes
from installments.buyer import phone_mask
from installments.buyer_errors import MessagesUnavailable
from installments.codes import CodeEntry, CodePurpose, CodeSending, CodeVerdict, IssuedCode
from ledger.clock import Clock
from ledger.database import Engine, Session, in_transaction, transaction
from ledger.errors import InvariantBroken
from pci.secret import Secret

_TEXTS = {
    CodePurpose.PHONE: "Код {code} для подтверждения телефона. Никому не сообщайте его.",
    CodePurpose.CONSENT: "Код {code} подтверждает согласие с условиями рассрочки. Никому не сообщайте его.",
    CodePurpose.SIGN_IN: "Код {code} для входа в ваши рассрочки. Никому не сообщайте его.",
}
_SENDING = {
    SendStatus.SENT: CodeSending.SENT,
    SendStatus.REFUSED: CodeSending.REFUSED,
    SendStatus.UNKNOWN: CodeSending.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class CodeOnItsWay:
    """What a buyer is told about a code."""

    code_id: str
    sending: CodeSending
    """``unknown``: it may come; if not, another may be asked for."""
    phone_mask: str
    expires_at: datetime
    resend_at: datetime


@dataclass(frozen=True, slots=True)
class PreparedCode:
    """A code that is committed and not sent yet. Lives in memory between two transactions."""

    issued: IssuedCode
    phone: Secret
    text: Secret


@dataclass(frozen=True, slots=True)
class CodeCalls:
    """Codes by the gateway of this process."""

    engine: Engine
    gateway: MessagesGateway
    clock: Clock
    key: Secret | None

    async def prepare(
        self, session: Session, buyer_id: str, purpose: CodePurpose, subject: str = "", *, now: datetime
    ) -> PreparedCode:
        """Intent. Raises: CodesNotConfigured, BuyerNotFound, CodesTooOften. Locks: the buyer."""
        issued = await codes.new_code(session, buyer_id, purpose, subject, key=required_key(self.key), now=now)
        buyer = await buyer_rows.load_buyer(session, buyer_id)
        if buyer.phone is None:
            raise InvariantBroken("a code was made for a buyer without a phone")
        return PreparedCode(issued, buyer.phone, Secret(_TEXTS[purpose].format(code=issued.code.expose())))

    async def send(self, prepared: PreparedCode) -> SendOutcome:
        """Call. The code's id is the message's: the gateway carries it out once."""
        return await self.gateway.send(prepared.issued.id, prepared.phone, prepared.text)

    async def record(self, session: Session, prepared: PreparedCode, outcome: SendOutcome) -> CodeOnItsWay:
        """Outcome: what became of the message."""
        sending = _SENDING[outcome.status]
        await codes.mark_sending(session, prepared.issued.id, sending)
        issued = prepared.issued
        return CodeOnItsWay(issued.id, sending, phone_mask(prepared.phone), issued.expires_at, issued.resend_at)

    async def send_code(self, buyer_id: str, purpose: CodePurpose, subject: str = "") -> CodeOnItsWay:
        """All three, for doors without an idempotency key of their own.

        Raises: as ``prepare``; MessagesUnavailable if the gateway said no.
        """
        now = self.clock.now()
        prepared = await in_transaction(
            self.engine, lambda session: self.prepare(session, buyer_id, purpose, subject, now=now)
        )
        outcome = await self.send(prepared)
        async with transaction(self.engine) as session:
            way = await self.record(session, prepared, outcome)
        if way.sending is CodeSending.REFUSED:
            raise MessagesUnavailable()
        return way

    async def try_code(
        self, session: Session, buyer_id: str, purpose: CodePurpose, subject: str, entered: str, *, now: datetime
    ) -> CodeEntry:
        """Try a code within the door's transaction, which is committed whatever comes out.

        Raises: CodesNotConfigured. Locks: the code; the buyer, when the right code verifies the phone.
        """
        entry = await codes.enter_code(
            session, buyer_id, purpose, subject, Secret(entered), key=required_key(self.key), now=now
        )
        if entry.verdict is CodeVerdict.RIGHT:  # whatever it was for, it came to this phone
            await buyers.verify_phone(session, buyer_id, now=now)
        return entry

    async def enter_code(self, buyer_id: str, purpose: CodePurpose, subject: str, entered: str) -> str:
        """Try a code in a transaction of its own, and give its id. Raises: CodeRejected, CodesNotConfigured."""
        now = self.clock.now()
        async with transaction(self.engine) as session:
            entry = await self.try_code(session, buyer_id, purpose, subject, entered, now=now)
        if entry.verdict is not CodeVerdict.RIGHT or entry.code_id is None:
            raise codes.refusal_of(entry)
        return entry.code_id
