"""Charges of cards, for the api and the worker: tokens in, masks and results out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, StrictBool, StrictInt
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tokenization.charges import repository as rows
from tokenization.charges.authorising import charge_card
from tokenization.charges.calling import ActedBy, ChargeDesk
from tokenization.charges.capturing import capture_charge
from tokenization.charges.errors import AcquirerUnreachable
from tokenization.charges.refunding import ChargeRefundRequest, refund_charge
from tokenization.charges.response_codes import MAY_TRY_AGAIN
from tokenization.charges.reversing import void_charge
from tokenization.charges.states import Charge, ChargeRefund, ChargeRequest, ChargeStatus, Initiator, RefundStatus
from tokenization.vault import Vault
from tokenization.wire import Body, View, answer, peer_of, read

Id = Annotated[str, Field(pattern=r"^[a-z]{2,8}_[0-9A-Za-z]{16,48}$")]
MerchantId = Annotated[str, Field(min_length=1, max_length=64)]


class ChargeBody(Body):
    """What is to be charged, under the caller's own id."""

    id: Id
    merchant_id: MerchantId
    card_token: Annotated[str, Field(min_length=1, max_length=64)]
    amount_kopecks: StrictInt
    capture: StrictBool = True
    initiator: Initiator = Initiator.BUYER
    keep_credential: StrictBool = False
    first_charge_id: Id | None = None
    channel: Annotated[str, Field(max_length=32)] = ""


class CaptureBody(Body):
    """How much of it is taken; all of it when not said."""

    merchant_id: MerchantId
    amount_kopecks: StrictInt | None = None


class VoidBody(Body):
    """Whose charge is let go."""

    merchant_id: MerchantId


class ChargeRefundBody(Body):
    """What is given back, under the caller's own id."""

    id: Id
    merchant_id: MerchantId
    amount_kopecks: StrictInt


class ChargeView(View):
    """A charge as it stands."""

    id: str
    merchant_id: str
    card_token: str
    card_mask: str
    amount_kopecks: int
    captured_kopecks: int
    refund_kopecks: int
    status: ChargeStatus
    reason: str | None
    may_try_again: bool
    response_code: str | None
    rrn: str | None
    approval_code: str | None
    acquirer_id: str
    changed_at: datetime

    @classmethod
    def of(cls, charge: Charge, acquirer_id: str) -> ChargeView:
        """The charge as it is shown."""
        return cls(
            id=charge.id, merchant_id=charge.merchant_id, card_token=charge.card_token, card_mask=charge.card_mask,
            amount_kopecks=charge.amount_kopecks, captured_kopecks=charge.captured_kopecks,
            refund_kopecks=charge.refund_kopecks, status=charge.status, reason=charge.reason,
            may_try_again=charge.reason in MAY_TRY_AGAIN, response_code=charge.response_code, rrn=charge.rrn,
            approval_code=charge.approval_code, acquirer_id=acquirer_id, changed_at=charge.changed_at,
        )  # fmt: skip


class ChargeRefundView(View):
    """A refund of a charge as it stands."""

    id: str
    charge_id: str
    amount_kopecks: int
    status: RefundStatus
    reason: str | None
    response_code: str | None
    rrn: str | None
    changed_at: datetime

    @classmethod
    def of(cls, refund: ChargeRefund) -> ChargeRefundView:
        """The refund as it is shown."""
        return cls(
            id=refund.id, charge_id=refund.charge_id, amount_kopecks=refund.amount_kopecks, status=refund.status,
            reason=refund.reason, response_code=refund.response_code, rrn=refund.rrn, changed_at=refund.changed_at,
        )  # fmt: skip


def desk_of(vault: Vault) -> ChargeDesk:
    """The vault with its line to the acquirer. Raises: AcquirerUnreachable if no acquirer is set."""
    if vault.acquirer is None:
        raise AcquirerUnreachable("No acquirer is set: set KOPEYKA_VAULT_ACQUIRER_URL")
    return ChargeDesk(vault, vault.acquirer)


def routes(vault: Vault) -> list[BaseRoute]:
    """What may be asked about charges."""

    async def create(request: Request) -> Response:
        by, body, desk = _by(request), await read(request, ChargeBody), desk_of(vault)
        wanted = ChargeRequest(
            body.id, body.merchant_id, body.card_token, body.amount_kopecks, body.capture, body.initiator,
            body.keep_credential, body.first_charge_id, channel=body.channel or _channel(body.initiator),
        )  # fmt: skip
        return _told(desk, await charge_card(desk, wanted, by), 201)

    async def capture(request: Request) -> Response:
        by, body, desk = _by(request), await read(request, CaptureBody), desk_of(vault)
        charge_id = request.path_params["charge_id"]
        return _told(desk, await capture_charge(desk, charge_id, body.merchant_id, body.amount_kopecks, by))

    async def void(request: Request) -> Response:
        by, body, desk = _by(request), await read(request, VoidBody), desk_of(vault)
        return _told(desk, await void_charge(desk, request.path_params["charge_id"], body.merchant_id, by))

    async def refund(request: Request) -> Response:
        by, body, desk = _by(request), await read(request, ChargeRefundBody), desk_of(vault)
        charge_id = request.path_params["charge_id"]
        wanted = ChargeRefundRequest(body.id, charge_id, body.merchant_id, body.amount_kopecks)
        return answer(ChargeRefundView.of(await refund_charge(desk, wanted, by)), 201)

    async def read_one(request: Request) -> Response:
        _by(request)
        desk, merchant_id = desk_of(vault), request.query_params.get("merchant_id", "")
        async with vault.transactions() as session:
            charge = await rows.load_charge(session, request.path_params["charge_id"], merchant_id)
        return _told(desk, charge)

    async def read_refund(request: Request) -> Response:
        _by(request)
        charge_id, merchant_id = request.path_params["charge_id"], request.query_params.get("merchant_id", "")
        async with vault.transactions() as session:
            await rows.load_charge(session, charge_id, merchant_id)
            found = await rows.load_refund(session, request.path_params["refund_id"], charge_id)
        return answer(ChargeRefundView.of(found))

    return [
        Route("/v1/charges", create, methods=["POST"]),
        Route("/v1/charges/{charge_id}", read_one, methods=["GET"]),
        Route("/v1/charges/{charge_id}/capture", capture, methods=["POST"]),
        Route("/v1/charges/{charge_id}/void", void, methods=["POST"]),
        Route("/v1/charges/{charge_id}/refunds", refund, methods=["POST"]),
        Route("/v1/charges/{charge_id}/refunds/{refund_id}", read_refund, methods=["GET"]),
    ]


def _by(request: Request) -> ActedBy:
    peer = peer_of(request)
    return ActedBy(peer.actor, peer.origin)


def _channel(initiator: Initiator) -> str:
    return "recurring" if initiator is Initiator.MERCHANT else "online"


def _told(desk: ChargeDesk, charge: Charge, status: int = 200) -> Response:
    return answer(ChargeView.of(charge, desk.link.acceptor.acquirer_id), status)
