"""Service routes of Кошелёк Pay. Found by token or device, never by card number."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pci.audit_log.event import AuditEvent, AuditOutcome
from pci.audit_log.staging import stage
from pci.secret import Secret
from tokenization import cards
from tokenization.charges import repository as charge_rows
from tokenization.ids import is_id
from tokenization.koshelek_pay import calls, key_records, lifecycle, provisioning, repository, requestors
from tokenization.koshelek_pay import views as wire
from tokenization.koshelek_pay.authorising import Presentment
from tokenization.koshelek_pay.calls import DeviceDesk
from tokenization.koshelek_pay.charging import AcquirerDeviceCharger
from tokenization.koshelek_pay.codes import CodeSender, checked_phone
from tokenization.koshelek_pay.de55 import read_de55
from tokenization.koshelek_pay.device_token import DeviceDoing, DeviceToken
from tokenization.koshelek_pay.errors import DevicePaymentNotFound, DevicePayRejected, SmsBoxAbsent
from tokenization.koshelek_pay.key_records import DevicePayment
from tokenization.koshelek_pay.provisioning import DeviceIn, ProvisioningRequest
from tokenization.koshelek_pay.sms import SmsBox, sender_of
from tokenization.koshelek_pay.token_ranges import is_token_number
from tokenization.routes.charges import desk_of as charge_desk_of
from tokenization.vault import Vault
from tokenization.wire import View, answer, peer_of, read

Endpoint = Callable[[Request], Awaitable[Response]]


class SmsView(View):
    """The newest text to a phone, in a sandbox."""

    text: str | None


def routes(vault: Vault) -> list[BaseRoute]:
    """What the api may ask about device tokens."""
    sender = sender_of(vault.settings.sms_url, is_production=vault.settings.is_production)
    made = [
        *_requestor_routes(vault),
        *_provisioning_routes(vault, sender),
        *_lifecycle_routes(vault),
        *_payment_routes(vault, sender),
        *_sandbox_routes(sender),
    ]
    return [Route(route.path, _noted(vault, route.endpoint), methods=list(route.methods or ())) for route in made]


def _noted(vault: Vault, endpoint: Endpoint) -> Endpoint:
    """A denied attempt is a line of the log, also where nothing of it was kept. Source: PCI DSS 10.2.1.4."""

    async def noting(request: Request) -> Response:
        try:
            return await endpoint(request)
        except DevicePayRejected as refusal:
            if not refusal.is_logged:
                async with vault.transactions() as session:
                    await stage(session, [_refusal_line(request, _doing(request, vault), refusal)])
            raise

    return noting


def _refusal_line(request: Request, doing: DeviceDoing, refusal: DevicePayRejected) -> AuditEvent:
    named = next((text for text in request.path_params.values() if is_id(text[:3], text)), "unknown")
    return AuditEvent(
        "device_token.refused", doing.actor, doing.origin, f"device_token:{named}", doing.now, AuditOutcome.REFUSED,
        facts={"code": refusal.code, "asked": request.scope["route"].path},
    )  # fmt: skip


def _doing(request: Request, vault: Vault) -> DeviceDoing:
    peer = peer_of(request)
    return DeviceDoing(peer.actor, peer.origin, vault.now())


def _merchant(request: Request) -> str:
    return request.query_params.get("merchant_id", "")


def _told(token: DeviceToken, status: int = 200) -> Response:
    return answer(wire.DeviceTokenView.of(token), status)


def _told_all(tokens: list[DeviceToken]) -> Response:
    return answer(wire.DeviceTokenListView(items=[wire.DeviceTokenView.of(token) for token in tokens]))


def desk_of(vault: Vault, sender: CodeSender) -> DeviceDesk:
    """What calls of device tokens work with. Raises: AcquirerUnreachable if no acquirer is set."""
    return DeviceDesk(vault.transactions, vault.ring, sender, AcquirerDeviceCharger(charge_desk_of(vault)))


def _requestor_routes(vault: Vault) -> list[Route]:
    async def register(request: Request) -> Response:
        doing, body = _doing(request, vault), await read(request, wire.RequestorBody)
        terms = requestors.RequestorTerms(
            body.merchant_id, body.name, frozenset(body.channels), body.amount_kopecks_max, body.tokens_max,
            body.public_jwk,
        )  # fmt: skip
        async with vault.transactions() as session:
            made = await requestors.register(session, terms, doing)
        return answer(wire.RequestorView.of(made), 201)

    async def list_all(request: Request) -> Response:
        peer_of(request)
        async with vault.transactions() as session:
            found = await repository.list_requestors(session, _merchant(request))
        return answer(wire.RequestorListView(items=[wire.RequestorView.of(one) for one in found]))

    return [
        Route("/v1/token-requestors", register, methods=["POST"]),
        Route("/v1/token-requestors", list_all, methods=["GET"]),
    ]


def _provisioning_routes(vault: Vault, sender: CodeSender) -> list[Route]:
    desk = DeviceDesk(vault.transactions, vault.ring, sender, charger=None)

    async def look_up(request: Request) -> Response:
        doing, body = _doing(request, vault), await read(request, wire.EligibilityBody)
        async with vault.transactions() as session:
            requestor = await repository.load_requestor(session, body.trid, body.merchant_id)
            card = await cards.find_card(session, body.card_token, body.merchant_id)
            found = await provisioning.eligible_range(session, requestor, card, doing.now)
        return answer(wire.EligibilityView(scheme=found.scheme, range_id=found.id))

    async def provision(request: Request) -> Response:
        doing, body = _doing(request, vault), await read(request, wire.DeviceTokenBody)
        made = await calls.provision(desk, _asked(body), doing)
        view = wire.DeviceTokenView.of(made.token, is_new=made.is_new)
        return answer(view, 201 if made.is_new else 200)

    async def enter_code(request: Request) -> Response:
        doing, body = _doing(request, vault), await read(request, wire.CodeBody)
        token_id = request.path_params["device_token_id"]
        return _told(await calls.enter_code(desk, token_id, body.merchant_id, Secret(body.code), doing))

    async def resend_code(request: Request) -> Response:
        doing, body = _doing(request, vault), await read(request, wire.CodeResendBody)
        token_id = request.path_params["device_token_id"]
        return _told(await calls.resend_code(desk, token_id, body.merchant_id, checked_phone(body.phone), doing))

    async def deliver_keys(request: Request) -> Response:
        doing, body = _doing(request, vault), await read(request, wire.DeviceKeysBody)
        token_id = request.path_params["device_token_id"]
        token, jwe = await calls.deliver_keys(desk, token_id, body.merchant_id, body.request, doing)
        return answer(wire.DeviceKeysView(device_token=wire.DeviceTokenView.of(token), jwe=jwe))

    return [
        Route("/v1/device-tokens/eligibility", look_up, methods=["POST"]),
        Route("/v1/device-tokens", provision, methods=["POST"]),
        Route("/v1/device-tokens/{device_token_id}/code", enter_code, methods=["POST"]),
        Route("/v1/device-tokens/{device_token_id}/code/resend", resend_code, methods=["POST"]),
        Route("/v1/device-tokens/{device_token_id}/keys", deliver_keys, methods=["POST"]),
    ]


def _asked(body: wire.DeviceTokenBody) -> ProvisioningRequest:
    given = body.device
    return ProvisioningRequest(
        trid=body.trid,
        merchant_id=body.merchant_id,
        card_token=body.card_token,
        device=DeviceIn(given.installation_id, given.public_jwk, tuple(given.attestation), given.verdict),
        channels=frozenset(body.channels),
        phone=None if body.phone is None else checked_phone(body.phone),
        mccs=None if body.mccs is None else frozenset(body.mccs),
        amount_kopecks_max=body.amount_kopecks_max,
        wallet_score=body.wallet_score,
    )


def _lifecycle_routes(vault: Vault) -> list[Route]:
    async def look(request: Request) -> Response:
        peer_of(request)
        async with vault.transactions() as session:
            found = await repository.find_token(session, request.path_params["device_token_id"], _merchant(request))
        return _told(found)

    async def suspend(request: Request) -> Response:
        doing, body = _doing(request, vault), await read(request, wire.SuspensionBody)
        token_id = request.path_params["device_token_id"]
        async with vault.transactions() as session:
            token = await lifecycle.suspend(session, token_id, body.merchant_id, body.suspender, body.reason, doing)
        return _told(token)

    async def resume(request: Request) -> Response:
        doing, body = _doing(request, vault), await read(request, wire.ResumptionBody)
        token_id = request.path_params["device_token_id"]
        async with vault.transactions() as session:
            token = await lifecycle.resume(session, token_id, body.merchant_id, body.suspender, doing)
        return _told(token)

    async def delete(request: Request) -> Response:
        doing, body = _doing(request, vault), await read(request, wire.MerchantBody)
        token_id = request.path_params["device_token_id"]
        async with vault.transactions() as session:
            token = await lifecycle.delete(session, token_id, body.merchant_id, doing)
        return _told(token)

    async def change_card(request: Request) -> Response:
        doing, body = _doing(request, vault), await read(request, wire.CardChangeBody)
        async with vault.transactions() as session:
            card = await cards.find_card(session, body.new_card_token, body.merchant_id)
            changed = await lifecycle.card_was_issued_again(
                session, body.merchant_id, body.card_token, card, doing, is_issuers=body.is_issuers
            )
        return _told_all(changed)

    return [
        Route("/v1/device-tokens/replace-card", change_card, methods=["POST"]),
        Route("/v1/device-tokens/{device_token_id}", look, methods=["GET"]),
        Route("/v1/device-tokens/{device_token_id}/suspend", suspend, methods=["POST"]),
        Route("/v1/device-tokens/{device_token_id}/resume", resume, methods=["POST"]),
        Route("/v1/device-tokens/{device_token_id}/delete", delete, methods=["POST"]),
        *_device_routes(vault),
    ]


def _device_routes(vault: Vault) -> list[Route]:
    async def tokens(request: Request) -> Response:
        peer_of(request)
        async with vault.transactions() as session:
            device_id = request.path_params["device_id"]
            return _told_all(await repository.tokens_of_device(session, device_id, _merchant(request)))

    async def lose(request: Request) -> Response:
        doing, body = _doing(request, vault), await read(request, wire.MerchantBody)
        async with vault.transactions() as session:
            held = await lifecycle.lose_device(session, request.path_params["device_id"], body.merchant_id, doing)
        return _told_all(held)

    async def find(request: Request) -> Response:
        doing, body = _doing(request, vault), await read(request, wire.MerchantBody)
        async with vault.transactions() as session:
            device_id = request.path_params["device_id"]
            await lifecycle.find_device(session, device_id, body.merchant_id, doing)
            return _told_all(await repository.tokens_of_device(session, device_id, body.merchant_id))

    async def wipe(request: Request) -> Response:
        doing, body = _doing(request, vault), await read(request, wire.MerchantBody)
        async with vault.transactions() as session:
            ended = await lifecycle.wipe_device(session, request.path_params["device_id"], body.merchant_id, doing)
        return _told_all(ended)

    return [
        Route("/v1/token-devices/{device_id}/tokens", tokens, methods=["GET"]),
        Route("/v1/token-devices/{device_id}/lose", lose, methods=["POST"]),
        Route("/v1/token-devices/{device_id}/find", find, methods=["POST"]),
        Route("/v1/token-devices/{device_id}/wipe", wipe, methods=["POST"]),
    ]


def _payment_routes(vault: Vault, sender: CodeSender) -> list[Route]:
    async def told(payment: DevicePayment, status: int = 200) -> Response:
        async with vault.transactions() as session:
            charge = await charge_rows.find_charge(session, payment.id)
        acquirer_id = None if vault.acquirer is None else vault.acquirer.acceptor.acquirer_id
        return answer(wire.DevicePaymentView.of(payment, charge, acquirer_id), status)

    async def token_id_of(said: str, merchant_id: str) -> str:
        if not is_token_number(said):
            return said
        async with vault.transactions() as session:
            return (await repository.find_token_by_number(session, said, merchant_id)).id

    async def pay(request: Request) -> Response:
        doing, body = _doing(request, vault), await read(request, wire.DevicePaymentBody)
        token_id = await token_id_of(body.device_token, body.merchant_id)
        presentment = Presentment(
            id=body.id, device_token_id=token_id, trid=body.trid, merchant_id=body.merchant_id, mcc=body.mcc,
            channel=body.channel, amount_kopecks=body.amount_kopecks, chip=read_de55(body.de55),
        )  # fmt: skip
        return await told(await calls.pay(desk_of(vault, sender), presentment, doing), 201)

    async def find_out(request: Request) -> Response:
        doing, body = _doing(request, vault), await read(request, wire.MerchantBody)
        payment_id, desk = request.path_params["payment_id"], desk_of(vault, sender)
        return await told(await calls.find_out(desk, payment_id, body.merchant_id, doing))

    async def look(request: Request) -> Response:
        peer_of(request)
        async with vault.transactions() as session:
            found = await key_records.find_payment(session, request.path_params["payment_id"])
        if found is None or found.merchant_id != _merchant(request):
            raise DevicePaymentNotFound()
        return await told(found)

    return [
        Route("/v1/device-payments", pay, methods=["POST"]),
        Route("/v1/device-payments/{payment_id}", look, methods=["GET"]),
        Route("/v1/device-payments/{payment_id}/find-out", find_out, methods=["POST"]),
    ]


def _sandbox_routes(sender: CodeSender) -> list[Route]:
    """Whoever plays the buyer reads their texts. There is no box in production."""

    async def look(request: Request) -> Response:
        peer_of(request)
        if not isinstance(sender, SmsBox):
            raise SmsBoxAbsent()
        found = sender.last_to(Secret(request.query_params.get("phone", "")))
        return answer(SmsView(text=None if found is None else found.expose()))

    return [Route("/v1/sandbox/sms", look, methods=["GET"])]
