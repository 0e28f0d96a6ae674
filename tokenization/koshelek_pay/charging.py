"""The acquirer behind device payments: the same charges as of any card, under the id of the payment."""

from __future__ import annotations

from dataclasses import dataclass

from pci.errors import Rejected
from tokenization.charges.authorising import charge_card
from tokenization.charges.calling import ActedBy, ChargeDesk
from tokenization.charges.states import Charge, ChargeRequest, ChargeStatus
from tokenization.koshelek_pay.calls import DeviceCharge, DeviceChargeOutcome
from tokenization.koshelek_pay.device_token import DeviceDoing
from tokenization.koshelek_pay.statuses import PayChannel

APPROVED = "00"
DECLINED = "05"
NOT_REACHED = "91"
"""Source: ISO 8583:1987, field 39."""
_APPROVED = frozenset({ChargeStatus.AUTHORISED, ChargeStatus.CAPTURING, ChargeStatus.CAPTURED})
_DECLINED = frozenset({ChargeStatus.REFUSED, ChargeStatus.REVERSED, ChargeStatus.VOIDING, ChargeStatus.VOIDED})
_CHANNELS = {PayChannel.CONTACTLESS: "in_store", PayChannel.ECOM: "online"}


@dataclass(frozen=True, slots=True)
class AcquirerDeviceCharger:
    """Charges through the vault's line to the acquirer."""

    desk: ChargeDesk

    async def charge(self, wanted: DeviceCharge, doing: DeviceDoing) -> DeviceChargeOutcome:
        """Charge the card, or find out what became of it.

        What is refused before the acquirer hears of it (the card has expired or is gone) is a refusal of the payment.
        Raises: Unavailable if nothing could be asked: the same id may be asked again.
        """
        request = ChargeRequest(
            wanted.id,
            wanted.merchant_id,
            wanted.card_token,
            wanted.amount_kopecks,
            channel=_CHANNELS[wanted.channel],
            chip=wanted.chip if wanted.channel is PayChannel.CONTACTLESS else None,
        )
        try:
            charge = await charge_card(self.desk, request, ActedBy(doing.actor, doing.origin))
        except Rejected:
            return DeviceChargeOutcome(is_approved=False, response_code=DECLINED)
        return outcome_of(charge)


def outcome_of(charge: Charge) -> DeviceChargeOutcome:
    """What a charge's status means for the payment; nobody knows while its answer is lost."""
    if charge.status in _APPROVED:
        return DeviceChargeOutcome(is_approved=True, response_code=charge.response_code or APPROVED)
    if charge.status in _DECLINED:
        return DeviceChargeOutcome(is_approved=False, response_code=_refusal_code(charge.response_code))
    return DeviceChargeOutcome(is_approved=False, response_code=None)


def _refusal_code(code: str | None) -> str:
    """A charge that was approved and taken back is no approval for the device."""
    return NOT_REACHED if code is None or code == APPROVED else code
