"""Where packages that never meet are introduced: SBP becomes a rail of the till, the bank pays merchants out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from api.bank_address import bank_address, payout_bank_address
from api.bindings import BindingCalls
from api.bureau_calls import BureauCalls, bureau_of
from api.buyer_key import buyers_key
from api.card_calls import CardCalls
from api.cash_link_rail import shown_plates
from api.code_calls import CodeCalls
from api.failover import RailBoard
from api.messages_gateway import MessagesGateway, messages_gateway
from api.nspk_address import tkassa_of, transport_of
from api.payment_results import StatusReader
from api.plan_calls import PlanCalls
from api.refund_calls import RefundCalls
from api.sale_results import SaleReader
from api.settings import Mode, Settings
from api.vault_client import VaultClient, vault_client
from checkout.rail import Offer, ShownQr, Start, StartStatus
from ledger.clock import Clock
from ledger.database import Engine, Session
from pci.secret import Secret
from reconciliation.bank_http import BankHttp
from sbp_gateway import payload, registering
from sbp_gateway import repository as sbp
from sbp_gateway.errors import NspkRefused, NspkUnavailable, NspkUnknown
from sbp_gateway.nspk import Nspk, RegisteredLink, Registration
from sbp_gateway.nspk_bindings import NspkBindingsHttp
from sbp_gateway.nspk_cash_links import NspkCashLinksHttp
from sbp_gateway.nspk_http import NspkHttp
from sbp_gateway.nspk_merchants import NspkMerchantsHttp
from sbp_gateway.nspk_refunds import NspkRefunds, NspkRefundsHttp
from sbp_gateway.payout_bank_http import PayoutBankHttp
from sbp_gateway.providers import ProviderRefunds, Providers
from sbp_gateway.qr_codes import TTL_MINUTES, TTL_MINUTES_MIN
from sbp_gateway.tkassa_http import TkassaHttp
from sbp_gateway.tkassa_refunds import TkassaRefunds


@dataclass(frozen=True, slots=True)
class SbpRail:
    """SBP by dynamic QR, fitted to what checkout asks of a rail."""

    nspk: Nspk
    ttl_minutes: int = TTL_MINUTES
    """How long the buyer may pay."""
    ttl_minutes_min: int = TTL_MINUTES_MIN
    name: str = "sbp"

    async def offer(self, session: Session, offer: Offer, *, now: datetime) -> Offer:
        """Intent: a code for the attempt. Raises: TtlOutOfRange, MerchantNotRegistered."""
        registering.check_ttl(self.ttl_minutes, self.ttl_minutes_min)
        qr, registration = await registering.request_qr(
            session, attempt_id=offer.attempt_id, merchant_id=offer.merchant_id, amount=offer.amount,
            purpose=offer.purpose, now=now, ttl_minutes=self.ttl_minutes,
        )  # fmt: skip
        return replace(offer, reference=qr.id, request=registration)

    async def start(self, offer: Offer) -> Start:
        """Call: register the link."""
        assert isinstance(offer.request, Registration)
        try:
            link = await self.nspk.register(offer.request)
        except NspkRefused as refused:
            return Start(StartStatus.REFUSED, reason=str(refused.facts.get("nspk_code", refused)))
        except NspkUnavailable as unavailable:  # nothing was sent: the cashier may try again at once
            return Start(StartStatus.REFUSED, reason=unavailable.code)
        except NspkUnknown:
            return Start(StartStatus.UNKNOWN)
        return Start(StartStatus.STARTED, link.qrc_id, link.payload)

    async def record_start(self, session: Session, offer: Offer, start: Start, *, now: datetime) -> bool:
        """Outcome: the link, the refusal, or a look by the worker at once."""
        qr_id = offer.reference
        if start.link_id is not None and start.payload is not None:
            link = RegisteredLink(start.link_id, start.payload)
            return await registering.record_link(session, qr_id, link, now=now)
        if start.status is StartStatus.REFUSED:
            return await sbp.refuse_qr(session, qr_id, start.reason or "refused")
        return await sbp.hurry_qr(session, qr_id, now=now)

    async def shown(self, session: Session, attempt_ids: Sequence[str]) -> Mapping[str, ShownQr]:
        """The registered code of each attempt, or the plate it is paid by."""
        codes = await sbp.shown_by_attempt(session, attempt_ids)
        others = [attempt_id for attempt_id in attempt_ids if attempt_id not in codes]
        plates = await shown_plates(session, others) if others else {}
        return plates | {
            attempt_id: ShownQr(qr.id, qr.qrc_id, qr.payload)
            for attempt_id, qr in codes.items()
            if qr.qrc_id is not None and qr.payload is not None
        }


@dataclass(frozen=True, slots=True)
class Wiring:
    """The outside world, as one process reaches it."""

    nspk: NspkHttp
    bank: BankHttp
    rail: SbpRail
    results: StatusReader
    merchants: NspkMerchantsHttp
    payout_bank: PayoutBankHttp
    refunds: RefundCalls
    sales: SaleReader
    bindings: BindingCalls
    tkassa: TkassaHttp | None
    vault: VaultClient
    cards: CardCalls
    plans: PlanCalls
    messages: MessagesGateway
    codes: CodeCalls
    bureau: BureauCalls
    rails: RailBoard

    async def close(self) -> None:
        """Hang up."""
        await self.nspk.close()
        if self.tkassa is not None:
            await self.tkassa.close()
        await self.bank.close()
        await self.messages.close()
        await self.vault.close()
        await self.payout_bank.close()
        await self.bureau.close()


def wire(settings: Settings, engine: Engine, clock: Clock) -> Wiring:
    """Connect one process with NSPK and the bank. Nothing is called yet.

    Raises: NspkAddressRefused, StartRefused if a way there is not safe.
    """
    read_link = payload.parse if settings.mode is Mode.PRODUCTION else payload.parse_leniently
    nspk = NspkHttp(transport_of(settings), settings.nspk_agent_id, read_link)
    tkassa = tkassa_of(settings, read_link)
    links: Nspk = nspk
    refunds: NspkRefunds = NspkRefundsHttp(nspk.transport)
    if tkassa is not None:
        links = Providers(nspk, tkassa, settings.tkassa_members)
        refunds = ProviderRefunds(refunds, TkassaRefunds(tkassa))
    cash_links = NspkCashLinksHttp(nspk.transport, settings.nspk_agent_id, read_link)
    ttl, vault = settings.sbp_qr_ttl_minutes, vault_client(settings)
    cards, messages = CardCalls(engine, vault, clock), messages_gateway(settings)
    return Wiring(
        nspk,
        BankHttp(bank_address(settings)),
        SbpRail(links, ttl, min(ttl, settings.sbp_qr_ttl_minutes_min)),
        StatusReader(engine, links, clock),
        NspkMerchantsHttp(nspk.transport),
        payout_bank_of(settings),
        RefundCalls(engine, links, refunds, clock, cash_links),
        SaleReader(engine, cash_links, clock),
        BindingCalls(engine, NspkBindingsHttp(nspk.transport, settings.nspk_agent_id), clock),
        tkassa,
        vault,
        cards,
        PlanCalls(engine, cards, clock),
        messages,
        CodeCalls(engine, messages, clock, buyers_key(settings)),
        bureau_of(settings, engine, clock),
        RailBoard(engine),
    )


def payout_bank_of(settings: Settings) -> PayoutBankHttp:
    """The bank that pays buyers. Raises: StartRefused."""
    key = settings.payout_bank_key.get_secret_value()
    return PayoutBankHttp(payout_bank_address(settings), Secret(key) if key else None)
