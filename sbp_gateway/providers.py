"""Two providers behind one port: a merchant's bank says who registers its links, and a link says who did."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sbp_gateway.errors import NspkUnavailable, NspkUnknown
from sbp_gateway.nspk import LinkStatus, Nspk, RegisteredLink, Registration
from sbp_gateway.nspk_refunds import NspkRefunds, RefundRequest, RefundState
from sbp_gateway.tkassa_links import is_tkassa_link


@dataclass(frozen=True, slots=True)
class Providers:
    """NSPK for all merchants but those of some banks, and T-Kassa for these."""

    nspk: Nspk
    tkassa: Nspk
    tkassa_members: frozenset[str]
    """Banks (NSPK's member ids) whose merchants go through T-Kassa."""

    async def register(self, registration: Registration) -> RegisteredLink:
        """Register with the provider of the merchant's bank. Raises: NspkRefused; NspkUnknown; NspkUnavailable."""
        provider = self.tkassa if registration.member_id in self.tkassa_members else self.nspk
        return await provider.register(registration)

    async def statuses(self, qrc_ids: Sequence[str]) -> list[LinkStatus]:
        """Ask each provider about its own links; one that keeps silent does not spoil the other's answers.

        Raises: NspkUnknown if nobody answered.
        """
        theirs = [qrc_id for qrc_id in qrc_ids if is_tkassa_link(qrc_id)]
        others = [qrc_id for qrc_id in qrc_ids if not is_tkassa_link(qrc_id)]
        asked = [(provider, ids) for provider, ids in ((self.nspk, others), (self.tkassa, theirs)) if ids]
        answers = await asyncio.gather(*(_ask(provider, ids) for provider, ids in asked))
        if not any(found is not None for found in answers):
            raise NspkUnknown(reason="no provider answered")
        return [
            answer
            for (_, ids), found in zip(asked, answers, strict=True)
            for answer in (found if found is not None else [_silent(qrc_id) for qrc_id in ids])
        ]


async def _ask(provider: Nspk, qrc_ids: list[str]) -> list[LinkStatus] | None:
    try:
        return await provider.statuses(qrc_ids)
    except (NspkUnknown, NspkUnavailable):
        return None


def _silent(qrc_id: str) -> LinkStatus:
    return LinkStatus(qrc_id, "unknown", None, None, None)


@dataclass(frozen=True, slots=True)
class ProviderRefunds:
    """Refunds through whoever took the payment."""

    nspk: NspkRefunds
    tkassa: NspkRefunds

    def _of(self, trx_id: str) -> NspkRefunds:
        return self.tkassa if is_tkassa_link(trx_id) else self.nspk

    async def ask(self, request: RefundRequest) -> str:
        """Ask for a refund. Raises: NspkRefused; NspkUnknown; NspkUnavailable."""
        return await self._of(request.trx_id).ask(request)

    async def find(self, trx_id: str, agent_request_id: str) -> str | None:
        """The provider's id of our request. Raises: NspkUnknown; NspkUnavailable."""
        return await self._of(trx_id).find(trx_id, agent_request_id)

    async def read(self, trx_id: str, opkc_request_id: str) -> RefundState:
        """What became of a request. Raises: NspkUnknown; NspkUnavailable."""
        return await self._of(trx_id).read(trx_id, opkc_request_id)
