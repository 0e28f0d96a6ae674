"""Payments by card on their way: the vault is asked to charge, capture, let go and give back. Calls are never
inside a transaction; whatever they bring is carried out in one.

Asking again is safe: our id is the vault's id of the charge, and it charges once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog

from api.card_paying import carry_out, let_withdrawn_go
from api.device_payments import DeviceProof, charge_in, question_of
from api.errors import VaultNotNamed, VaultRefused, VaultUnavailable, VaultUnknown
from api.one_by_one import one_by_one
from api.unanswered import give_up_if_spent
from checkout import card_payment_rows as rows
from checkout.card_payments import (
    ANSWER_WAIT,
    CardPayment,
    CardPaymentStatus,
    CardRefund,
    CardRefundStatus,
    ChargeAnswer,
    ChargeNews,
)
from checkout.card_refunding import CardRefundAnswer, record_refund
from ledger.clock import Clock
from ledger.database import Engine, Session, in_transaction, transaction

log = structlog.get_logger("card_calls")

CALLS_AT_ONCE = 8
NOTHING_DONE = frozenset({"vault.unavailable", "vault.not_named", "keys.sealed", "vault.acquirer_unreachable"})
"""With these the vault has certainly not charged; with another it may have, before its database went away."""
NOT_FOUND = frozenset({"vault.charge_not_found", "vault.charge_refund_not_found"})
DEVICE_PAYMENT_NOT_FOUND = "vault.device_payment_not_found"
"""Said of a device's payment, it is kept: the vault refuses that payment if it comes later."""
TRANSIT_MAX = timedelta(minutes=1)
"""A question to the vault that is on its way for longer arrives no more."""
UNHEARD = frozenset({CardPaymentStatus.REQUESTED, CardPaymentStatus.UNKNOWN})
"""Nobody has said yet whether the card was charged."""
_NEWS = {
    "authorised": ChargeNews.AUTHORISED,
    "captured": ChargeNews.CAPTURED,
    "refused": ChargeNews.REFUSED,
    "reversed": ChargeNews.REFUSED,
    "voided": ChargeNews.VOIDED,
}
"""What the vault's words mean to us; all others mean that it does not know yet."""


class CardVault(Protocol):
    """What payments by card need of the vault."""

    async def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, idempotency_key: str | None = None,
        acting_for: str = "",
    ) -> Any:  # fmt: skip
        """The vault's answer. Raises: VaultRefused, VaultUnavailable, VaultUnknown."""


@dataclass(frozen=True, slots=True)
class CardCalls:
    """What payments by card need of the outside world."""

    engine: Engine
    vault: CardVault
    clock: Clock

    async def ask(self, payment: CardPayment, acting_for: str = "", proof: DeviceProof | None = None) -> ChargeAnswer:
        """Call: whatever the payment waits for, for the API key named. Never raises for what the network does.

        ``proof``: what a buyer's device said of it, the first time.
        """
        path, body = question_of(payment, proof) or request_of(payment)
        try:
            said = await self.vault.call("POST", path, body, idempotency_key=payment.id, acting_for=acting_for)
        except VaultUnknown:
            return ChargeAnswer(ChargeNews.PENDING)
        except (VaultUnavailable, VaultNotNamed) as away:
            if _is_first(payment) and away.code in NOTHING_DONE:
                return ChargeAnswer(ChargeNews.REFUSED, reason="not_sent")
            return ChargeAnswer(ChargeNews.PENDING)
        except VaultRefused as refused:
            return await self._after_refusal(payment, refused.code)
        return answer_of(charge_in(said))

    async def _after_refusal(self, payment: CardPayment, code: str) -> ChargeAnswer:
        """The vault refuses the question itself. That is final if it was the first, or if there is no such charge.

        A repeat may be refused although the question before it was carried out and its answer lost.
        """
        if payment.status not in (CardPaymentStatus.REQUESTED, CardPaymentStatus.UNKNOWN):
            log.error("vault_refuses_what_it_must_know", payment_id=payment.id, status=payment.status, code=code)
            return ChargeAnswer(ChargeNews.PENDING)
        refused = ChargeAnswer(ChargeNews.REFUSED, reason=code.removeprefix("vault."))
        if _is_first(payment) or code == DEVICE_PAYMENT_NOT_FOUND:
            return refused
        found = await self.look_up(f"/v1/charges/{payment.id}", payment.merchant_id, payment.created_at)
        if found is None:
            return refused
        return answer_of(found) if found else ChargeAnswer(ChargeNews.PENDING)

    async def look_up(self, path: str, merchant_id: str, asked_at: datetime) -> Mapping[str, Any] | None:
        """What the vault knows of a charge or refund; None if it has none, empty if nobody can say yet.

        A question may be on its way for a while, so "there is none" counts only later.
        """
        try:
            said: Mapping[str, Any] = await self.vault.call("GET", f"{path}?merchant_id={merchant_id}")
        except VaultRefused as refused:
            is_late = self.clock.now() - asked_at > TRANSIT_MAX
            return None if refused.code in NOT_FOUND and is_late else {}
        except (VaultUnknown, VaultUnavailable, VaultNotNamed):
            return {}
        return said

    async def carry_on(self, payment: CardPayment) -> CardPayment:
        """Ask about a payment once more and carry out what is said."""
        answer = await self.ask(payment)

        async def work(session: Session) -> CardPayment:
            now = self.clock.now()
            after = await carry_out(session, payment, answer, now=now)
            if after.status in UNHEARD and after.attempt_id is not None:
                await give_up_if_spent(session, after.attempt_id, after.looks, now=now)
            return after

        return await in_transaction(self.engine, work)

    async def ask_refund(self, refund: CardRefund, acting_for: str = "") -> CardRefundAnswer:
        """Call: give money back, under the refund's own id. Never raises for what the network does."""
        body = {"id": refund.id, "merchant_id": refund.merchant_id, "amount_kopecks": int(refund.amount)}
        try:
            said = await self.vault.call(
                "POST",
                f"/v1/charges/{refund.payment_id}/refunds",
                body,
                idempotency_key=refund.id,
                acting_for=acting_for,
            )
        except (VaultUnknown, VaultUnavailable, VaultNotNamed):
            return CardRefundAnswer(CardRefundStatus.UNKNOWN)
        except VaultRefused as refused:
            return await self._after_refund_refusal(refund, refused.code)
        return refund_answer_of(said)

    async def _after_refund_refusal(self, refund: CardRefund, code: str) -> CardRefundAnswer:
        """As of a payment: final if it was the first question, or if the vault has no such refund."""
        refused = CardRefundAnswer(CardRefundStatus.REFUSED, code)
        if _is_first(refund):
            return refused
        path = f"/v1/charges/{refund.payment_id}/refunds/{refund.id}"
        found = await self.look_up(path, refund.merchant_id, refund.created_at)
        if found is None:
            return refused
        return refund_answer_of(found) if found else CardRefundAnswer(CardRefundStatus.UNKNOWN)

    async def carry_on_refund(self, refund: CardRefund) -> CardRefund:
        """Ask about a refund once more and carry out what is said."""
        answer = await self.ask_refund(refund)
        return await in_transaction(
            self.engine, lambda session: record_refund(session, refund.id, answer, now=self.clock.now())
        )


def request_of(payment: CardPayment) -> tuple[str, dict[str, Any]]:
    """What the vault is asked about a payment as it stands."""
    path, own = f"/v1/charges/{payment.id}", {"merchant_id": payment.merchant_id}
    if payment.status is CardPaymentStatus.CAPTURING:
        assert payment.capture is not None
        return f"{path}/capture", {**own, "amount_kopecks": int(payment.capture)}
    if payment.status is CardPaymentStatus.VOIDING:
        return f"{path}/void", {**own}
    return "/v1/charges", {
        **own, "id": payment.id, "card_token": payment.card_token, "amount_kopecks": int(payment.amount),
        "capture": payment.is_captured_at_once, "initiator": payment.initiator.value,
        "keep_credential": payment.is_credential_kept, "first_charge_id": payment.first_payment_id,
    }  # fmt: skip


def answer_of(said: Mapping[str, Any]) -> ChargeAnswer:
    """The vault's view of a charge, in our words."""
    news = _NEWS.get(str(said["status"]), ChargeNews.PENDING)
    return ChargeAnswer(
        news, said["reason"], said["card_mask"], said["acquirer_id"], said["rrn"], said["approval_code"],
        said["captured_kopecks"],
    )  # fmt: skip


def refund_answer_of(said: Mapping[str, Any]) -> CardRefundAnswer:
    """The vault's view of a refund, in our words."""
    if said["status"] == "requested":
        return CardRefundAnswer(CardRefundStatus.UNKNOWN)
    return CardRefundAnswer(CardRefundStatus(said["status"]), said["reason"], said["rrn"])


def _is_first(asked: CardPayment | CardRefund) -> bool:
    """Whether nobody can have asked the vault before."""
    return asked.status in (CardPaymentStatus.REQUESTED, CardRefundStatus.REQUESTED) and asked.looks == 0


async def carry_on_card_payments(calls: CardCalls) -> int:
    """Ask the vault about payments and refunds that are due, a few at once."""
    now = calls.clock.now()
    async with transaction(calls.engine) as session:
        payments = await rows.take_due_payments(session, now=now, lease_until=now + ANSWER_WAIT)
        refunds = await rows.take_due_refunds(session, now=now, lease_until=now + ANSWER_WAIT)
    job, at_once = "carry_on_card_payments", CALLS_AT_ONCE
    paid = await one_by_one(job, payments, calls.carry_on, name=lambda payment: payment.id, at_once=at_once)
    return paid + await one_by_one(job, refunds, calls.carry_on_refund, name=lambda refund: refund.id, at_once=at_once)


async def release_withdrawn_cards(calls: CardCalls) -> int:
    """Let go of money that is held for attempts nobody waits for any more."""
    async with transaction(calls.engine) as session:
        return await let_withdrawn_go(session, now=calls.clock.now())
