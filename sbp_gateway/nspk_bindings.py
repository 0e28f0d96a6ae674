"""Bindings at NSPK: how a link is registered is known; reading a consent and charging by it are our guess.

The guess: ``GET /payment/v1/subscription/{qrcId}``, ``POST /payment/v1/subscription/{subscriptionId}/charge``, after
T-Kassa's ``GetAddAccountQrState`` and ``ChargeQr``. Our simulator speaks it; NSPK's documents, which are given
to registered agents alone, may say it differently, and then this module changes and nothing else does.
"""

from __future__ import annotations

import re
from typing import Protocol

from sbp_gateway import payload
from sbp_gateway.bindings import BindingRegistration, Consent
from sbp_gateway.errors import NspkUnknown
from sbp_gateway.nspk import RegisteredLink
from sbp_gateway.nspk_cash_links import read_answer
from sbp_gateway.nspk_http import TEMPLATE_VERSION
from sbp_gateway.nspk_transport import NspkTransport

_SUBSCRIPTION_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_MEMBER_ID = re.compile(r"[0-9]{12}")


class NspkBindings(Protocol):
    """NSPK's calls for bindings. No session may be open while they are made."""

    async def register(self, registration: BindingRegistration) -> RegisteredLink:
        """Register a binding link. Raises: NspkRefused; NspkUnknown; NspkUnavailable."""

    async def consent(self, qrc_id: str) -> Consent | None:
        """The buyer's consent, if it was given. Raises: NspkRefused; NspkUnknown; NspkUnavailable."""

    async def charge(self, subscription_id: str, qrc_id: str) -> None:
        """Take the sum of a dynamic code by a consent. Asking twice takes it once: a code is paid once.

        Raises: NspkRefused; NspkUnknown; NspkUnavailable.
        """


class NspkBindingsHttp:
    """The same over HTTP."""

    def __init__(self, transport: NspkTransport, agent_id: str) -> None:
        self._transport = transport
        self._agent_id = agent_id

    async def register(self, registration: BindingRegistration) -> RegisteredLink:
        """Register a binding link."""
        body = {
            "agentId": self._agent_id, "memberId": registration.member_id, "account": registration.bank_account,
            "merchantId": registration.nspk_merchant_id, "templateVersion": TEMPLATE_VERSION,
            "qrcType": payload.LinkKind.BINDING.value, "qrTtl": str(registration.ttl_minutes),
            "paymentPurpose": registration.purpose,
        }  # fmt: skip
        data = await self._transport.call("POST", "/payment/v1/qrc-data", body, is_safe=False)
        link = read_answer(lambda: RegisteredLink(str(data["qrcId"]), str(data["payload"])))
        parsed = read_answer(lambda: payload.parse(link.payload))
        if (parsed.qrc_id, parsed.kind) != (link.qrc_id, payload.LinkKind.BINDING):
            raise NspkUnknown(reason="the link is not the one asked for")
        return link

    async def consent(self, qrc_id: str) -> Consent | None:
        """The buyer's consent, if it was given."""
        data = await self._transport.call("GET", f"/payment/v1/subscription/{qrc_id}", is_safe=True)
        if read_answer(lambda: data.get("subscriptionId")) is None:
            return None
        return read_answer(
            lambda: Consent(_checked(_SUBSCRIPTION_ID, data["subscriptionId"]), _checked(_MEMBER_ID, data["memberId"]))
        )

    async def charge(self, subscription_id: str, qrc_id: str) -> None:
        """Take the sum of a dynamic code by a consent."""
        path = f"/payment/v1/subscription/{subscription_id}/charge"
        await self._transport.call("POST", path, {"qrcId": qrc_id}, is_safe=True)


def _checked(form: re.Pattern[str], said: str) -> str:
    if form.fullmatch(said) is None:
        raise ValueError("another form than NSPK's")
    return said
