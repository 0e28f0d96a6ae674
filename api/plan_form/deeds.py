"""What a buyer does on the form: each a POST of one of our pages, after which the plan's page of then is shown.

Safe to repeat by state: a form sent twice does what it did once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from starlette.responses import Response

from api import plan_acts
from api.plan_form import card_change, card_step, plan_page
from api.plan_form.fields import code_of, details_of, phone_of, read_details
from api.plan_form.steps import CONSENTS, pack_of, show_code, show_details, show_terms
from api.plan_form.visit import Visit
from installments.accepting import Acceptance
from installments.buyer_errors import BirthDateFixed, CodesTooOften, MessagesUnavailable
from installments.buyers import find_or_add_buyer, tell_of_buyer
from installments.cancelling import CancelReason
from installments.codes import CodeEntry, CodePurpose, CodeVerdict
from installments.consents import give_consent
from installments.documents.issuing import IssuedDocument, list_documents
from installments.plan import PlanStatus
from ledger.clock import moscow_day
from ledger.database import Session, in_transaction, transaction
from pci.secret import Secret

Form = Mapping[str, str]


async def tell_details(visit: Visit, form: Form) -> Response:
    """Who the buyer is. Kept in the cookie until the phone is proven."""
    if visit.plan.status is not PlanStatus.NEW:
        return visit.goes_on()
    typed = read_details(form, visit.lang, on=moscow_day(visit.now))
    if typed.faults:
        return show_details(visit, typed.values, typed.faults)
    return visit.with_session(typed=typed.values | {"is_read": "yes"}, code_sent_at=None).goes_on()


async def agree(visit: Visit, form: Form) -> Response:
    """Consent to the terms as shown; a code is sent, and entering it is the signature."""
    if visit.plan.status is not PlanStatus.NEW or "phone" not in visit.session.typed:
        return visit.goes_on()
    if any(form.get(name) != "yes" for name in CONSENTS):
        return await show_terms(visit, {"consents": visit.says("fault_consents")})
    async with transaction(visit.door.engine) as session:
        pack = await pack_of(session, visit)
        if form.get("pack") == pack.sha256:
            phone = phone_of(visit.session.typed["phone"])
            assert phone is not None, "it was typed without a fault"
            buyer = await find_or_add_buyer(session, phone.expose(), now=visit.now)
    if form.get("pack") != pack.sha256:
        return await show_terms(visit, {"consents": visit.says("fault_pack")})
    agreed = visit.with_session(candidate_id=buyer.id, pack_sha256=pack.sha256)
    return await _send(agreed, buyer.id, CodePurpose.CONSENT)


async def send_again(visit: Visit, _form: Form) -> Response:
    """Another code: to sign, or to open a plan that is somebody's."""
    if visit.plan.status is PlanStatus.NEW:
        if visit.session.candidate_id is None:
            return visit.goes_on()
        return await _send(visit, visit.session.candidate_id, CodePurpose.CONSENT)
    if visit.plan.buyer_id is None or visit.is_known:
        return visit.goes_on()
    return await _send(visit, visit.plan.buyer_id, CodePurpose.SIGN_IN)


async def enter_code(visit: Visit, form: Form) -> Response:
    """The code from the message."""
    code = code_of(form.get("code", ""))
    if visit.session.code_sent_at is None:
        return visit.goes_on()
    if code is None:
        return await show_code(visit, visit.says("code_form"), status=422)
    if visit.plan.status is PlanStatus.NEW:
        return await _sign(visit, code)
    return await _sign_in(visit, code)


async def give_up(visit: Visit, _form: Form) -> Response:
    """The buyer wants no plan after all."""
    may = visit.is_known or visit.plan.status is PlanStatus.NEW
    if may and visit.plan.committed_at is None:

        async def cancel(session: Session) -> None:
            await plan_acts.cancel(session, visit.plan.id, CancelReason.BUYER, visit.by, now=visit.now)

        await in_transaction(visit.door.engine, cancel)
        await visit.door.wiring.plans.carry_on(visit.plan.id, visit.by.actor)
    return visit.goes_on()


async def enter_card(visit: Visit, _form: Form) -> Response:
    """The vault's form has taken a card."""
    is_waiting = visit.is_known and visit.plan.status is PlanStatus.APPROVED and visit.plan.first_payment_id is None
    return await card_step.try_card(visit) if is_waiting else visit.goes_on()


async def other_card(visit: Visit, _form: Form) -> Response:
    """Another card after a refusal."""
    is_waiting = visit.is_known and visit.plan.status is PlanStatus.APPROVED and visit.plan.first_payment_id is None
    return await card_step.show_form(visit) if is_waiting else visit.goes_on()


async def pay(visit: Visit, form: Form) -> Response:
    """Pay early."""
    is_open = visit.is_known and visit.plan.committed_at is not None and visit.session.charge_id is None
    return await plan_page.pay(visit, form) if is_open else visit.goes_on("?view=plan")


async def show_new_card(visit: Visit, _form: Form) -> Response:
    """A card in place of the plan's."""
    return await card_change.show_form(visit) if _may_change_card(visit) else visit.goes_on("?view=plan")


async def enter_new_card(visit: Visit, _form: Form) -> Response:
    """The vault's form has taken that card."""
    return await card_change.try_card(visit) if _may_change_card(visit) else visit.goes_on("?view=plan")


def _may_change_card(visit: Visit) -> bool:
    return visit.is_known and visit.session.change_id is None and card_change.is_possible(visit)


async def leave(visit: Visit, _form: Form) -> Response:
    """Forget the visitor; before the consent, only the details are taken back to be changed."""
    if visit.plan.status is PlanStatus.NEW and visit.session.typed:
        typed = {name: value for name, value in visit.session.typed.items() if name != "is_read"}
        return visit.with_session(typed=typed, code_sent_at=None, candidate_id=None).goes_on()
    return visit.leaves()


async def _send(visit: Visit, buyer_id: str, purpose: CodePurpose) -> Response:
    """Send a code; one that was sent a moment ago still counts."""
    sent = visit.with_session(code_sent_at=int(visit.now.timestamp()))
    try:
        await visit.door.wiring.codes.send_code(buyer_id, purpose, visit.plan.id)
    except CodesTooOften as often:
        wait = _told_wait(visit, int(often.facts.get("retry_after_seconds", 60)))
        return await show_code(sent, visit.says("code_wait", wait=wait), status=429)
    except MessagesUnavailable:
        return await show_code(sent, visit.says("code_not_sent"), status=503)
    return sent.goes_on()


def _told_wait(visit: Visit, seconds: int) -> str:
    if seconds < timedelta(minutes=2).total_seconds():
        return visit.says("seconds", count=seconds)
    return visit.says("minutes", count=-(-seconds // 60))


async def _sign(visit: Visit, code: Secret) -> Response:
    """The right code signs: phone proven, details kept, consent given, and the plan decided about, at once."""
    buyer_id = visit.session.candidate_id
    if buyer_id is None or visit.session.pack_sha256 is None:
        return visit.goes_on()

    async def sign(session: Session) -> CodeEntry:
        entry = await visit.door.wiring.codes.try_code(
            session, buyer_id, CodePurpose.CONSENT, visit.plan.id, code.expose(), now=visit.now
        )
        if entry.verdict is CodeVerdict.RIGHT:
            await _conclude(session, visit, buyer_id, entry)
        return entry

    try:
        entry = await in_transaction(visit.door.engine, sign)
    except BirthDateFixed:
        typed = visit.session.typed
        return show_details(
            visit.with_session(code_sent_at=None), typed, {"born_on": visit.says("fault_born_on_known")}
        )
    if entry.verdict is not CodeVerdict.RIGHT:
        return await show_code(visit, _refusal(visit, entry), status=422)
    await visit.door.wiring.plans.carry_on(visit.plan.id, f"buyer:{buyer_id}")
    return visit.with_session(buyer_id=buyer_id, typed={}, code_sent_at=None, candidate_id=None).goes_on()


async def _conclude(session: Session, visit: Visit, buyer_id: str, entry: CodeEntry) -> None:
    pack = await _signed_pack(session, visit)
    assert entry.code_id is not None
    await tell_of_buyer(session, buyer_id, details_of(visit.session.typed), now=visit.now)
    client = visit.request.client
    consent = await give_consent(
        session, buyer_id, visit.plan.id, pack_digest=bytes.fromhex(pack.sha256), text_version=str(pack.text_version),
        code_id=entry.code_id, origin=None if client is None else client.host, now=visit.now,
    )  # fmt: skip
    acceptance = Acceptance(buyer_id, consent.id)
    await plan_acts.accept(session, visit.plan.id, acceptance, visit.by, now=visit.now)


async def _signed_pack(session: Session, visit: Visit) -> IssuedDocument:
    """The very document that was agreed to."""
    issued = await list_documents(session, visit.plan.id)
    return next(one for one in issued if one.sha256 == visit.session.pack_sha256)


async def _sign_in(visit: Visit, code: Secret) -> Response:
    """The right code opens the plan to its buyer."""
    buyer_id = visit.plan.buyer_id
    if buyer_id is None:
        return visit.goes_on()
    entry = await in_transaction(
        visit.door.engine,
        lambda session: visit.door.wiring.codes.try_code(
            session, buyer_id, CodePurpose.SIGN_IN, visit.plan.id, code.expose(), now=visit.now
        ),
    )
    if entry.verdict is not CodeVerdict.RIGHT:
        return await show_code(visit, _refusal(visit, entry), status=422)
    return visit.with_session(buyer_id=buyer_id, code_sent_at=None).goes_on()


def _refusal(visit: Visit, entry: CodeEntry) -> str:
    if entry.verdict is CodeVerdict.WRONG and entry.tries_left > 0:
        return visit.says("code_wrong", left=entry.tries_left)
    spent = entry.verdict in (CodeVerdict.WRONG, CodeVerdict.TRIES_SPENT)
    return visit.says("code_spent" if spent else "code_expired")


DEEDS: dict[str, Callable[[Visit, Form], Awaitable[Response]]] = {
    "details": tell_details,
    "acceptance": agree,
    "code": enter_code,
    "code-again": send_again,
    "refusal": give_up,
    "card": enter_card,
    "card-again": other_card,
    "payments": pay,
    "new-card": show_new_card,
    "new-card-entered": enter_new_card,
    "leave": leave,
}
"""By the last part of the address."""
