"""NSPK's directory of merchants: the port, and its form over HTTP. It only answers, it registers nobody.

Source: NSPK agent API: ``GET /merchant/v1/merchant/search?ogrn=&bic=``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from sbp_gateway.errors import NspkUnknown
from sbp_gateway.nspk_transport import NspkTransport

FOUND_MAX = 100
"""Merchants of one legal entity that we look at; a chain with more is told to its manager by the bank."""


@dataclass(frozen=True, slots=True)
class FoundMerchant:
    """A merchant as NSPK's directory shows it."""

    nspk_merchant_id: str
    member_id: str
    """The bank that registered it."""
    brand_name: str
    mcc: str


class NspkMerchants(Protocol):
    """NSPK's directory of merchants. No session may be open while it is asked."""

    async def search(self, *, ogrn: str, bik: str) -> list[FoundMerchant]:
        """The merchants that a bank registered for a legal entity. Raises: NspkRefused; NspkUnknown."""


class NspkMerchantsHttp:
    """The directory over HTTP."""

    def __init__(self, transport: NspkTransport) -> None:
        self._transport = transport

    async def search(self, *, ogrn: str, bik: str) -> list[FoundMerchant]:
        """The merchants that a bank registered for a legal entity. Raises: NspkRefused; NspkUnknown."""
        data = await self._transport.call(
            "GET", "/merchant/v1/merchant/search", is_safe=True, params={"ogrn": ogrn, "bic": bik}
        )
        try:
            return [
                _found(merchant, str(member["memberId"]))
                for member in data["members"]
                for merchant in member["merchants"]
            ][:FOUND_MAX]
        except (KeyError, TypeError) as error:
            raise NspkUnknown(reason=type(error).__name__) from None


def _found(merchant: Any, member_id: str) -> FoundMerchant:
    return FoundMerchant(
        str(merchant["merchantId"]), member_id, str(merchant.get("brandName", "")), str(merchant.get("mcc", ""))
    )
