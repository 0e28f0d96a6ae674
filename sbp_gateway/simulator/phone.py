"""A buyer's phone in the browser: scan or choose a link, choose a bank, pay, refuse or pay too late.

The forms do what ``POST /simulator/payers/pay`` does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from sbp_gateway.bank_list import bundled_banks
from sbp_gateway.banks import Bank
from sbp_gateway.errors import InvalidPayload
from sbp_gateway.payload import parse_leniently
from sbp_gateway.simulator.bindings import BindingSimulator
from sbp_gateway.simulator.cash_link_routes import CashLinkSimulator
from sbp_gateway.simulator.links import PayRefused
from sbp_gateway.simulator.payers import BuyerPhones, BuyerWish
from sbp_gateway.simulator.phone_page import link_page, list_page
from sbp_gateway.simulator.phone_texts import LANGUAGES, TEXTS
from sbp_gateway.simulator.scanned import ScannedLink, scan, waiting_links
from sbp_gateway.simulator.scripts import NO_SCRIPT

LINKS_SHOWN_MAX = 60
FORM_BYTES_MAX = 8_192
AMOUNT_KOPECKS_MAX = 100_000_000
LANGUAGE = "phone_language"
_AMOUNT = re.compile(r"([0-9]{1,7})(?:[.,]([0-9]{1,2}))?")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class BuyerPhonePages:
    """The pages of every buyer's phone."""

    phones: BuyerPhones
    cash_links: CashLinkSimulator
    bindings: BindingSimulator

    def routes(self) -> list[Route]:
        """The paths of the pages."""
        return [
            Route("/phone", self.show_list, methods=["GET"]),
            Route("/phone/scan", self.take_scan, methods=["POST"]),
            Route("/phone/{qrc_id}", self.show_link, methods=["GET"]),
            Route("/phone/{qrc_id}", self.decide, methods=["POST"]),
        ]

    async def show_list(self, request: Request) -> Response:
        """Links that wait, newest first."""
        return self._list(request)

    def _list(self, request: Request, *, fault: str = "", status: int = 200) -> Response:
        now = self.phones.clock.now()
        waiting = islice(waiting_links(self.phones.links, now), LINKS_SHOWN_MAX)
        kept = [*self.bindings.by_id, *self.cash_links.cash_links.by_id]
        plates = [self._scan(qrc_id) for qrc_id in islice(reversed(kept), LINKS_SHOWN_MAX)]
        known = [plate for plate in plates if plate is not None]
        return _shown(request, list_page(waiting, known, _language(request), fault=fault), status)

    async def take_scan(self, request: Request) -> Response:
        """A link pasted from a QR code."""
        form = await _form(request)
        try:
            qrc_id = parse_leniently(form.get("payload", "").strip()).qrc_id
        except InvalidPayload:
            return self._list(request, fault="bad_link", status=422)
        if self._scan(qrc_id) is None:
            return self._list(request, fault="unknown_link", status=404)
        return RedirectResponse(f"/phone/{qrc_id}?lang={_language(request)}", status_code=303)

    async def show_link(self, request: Request) -> Response:
        """One link."""
        return self._link(request)

    def _link(self, request: Request, *, fault: str = "", status: int = 200) -> Response:
        link = self._scan(request.path_params["qrc_id"])
        if link is None:
            return self._list(request, fault="unknown_link", status=404)
        script = self.phones.scripts.of(link.qrc_id)
        changed = {name: value for name, value in script.told().items() if value != NO_SCRIPT.told()[name]}
        ordered = "; ".join(
            f"{name}: {', '.join(value) if isinstance(value, list) else value}" for name, value in changed.items()
        )
        page = link_page(
            link, banks(), _language(request), script=ordered, fault=fault, now=self.phones.clock.now()
        )  # fmt: skip
        return _shown(request, page, status)

    async def decide(self, request: Request) -> Response:
        """The buyer pressed a button."""
        link, form = self._scan(request.path_params["qrc_id"]), await _form(request)
        if link is None or form.get("wish") not in set(BuyerWish):
            return self._link(request, status=422)
        if link.kind == "binding":
            self.bindings.decide(link.qrc_id, is_ended=form["wish"] != BuyerWish.PAY)
            return self._seen(request, link)
        amount = link.amount if link.amount is not None else _kopecks(form.get("amount", ""))
        if amount is None:
            return self._link(request, fault="amount_missing", status=422)
        try:
            self._pay(link, BuyerWish(form["wish"]), form.get("other_bank") or form.get("bank", ""), amount)
        except PayRefused as refused:
            return self._link(request, fault=refused.reason if refused.reason in TEXTS else "not_armed", status=409)
        return self._seen(request, link)

    def _seen(self, request: Request, link: ScannedLink) -> Response:
        return RedirectResponse(f"/phone/{link.qrc_id}?lang={_language(request)}", status_code=303)

    def _pay(self, link: ScannedLink, wish: BuyerWish, bank_id: str, amount: int) -> None:
        if link.kind == "dynamic":
            self.phones.confirm(link.qrc_id, wish, payer_bank=_bank_name(bank_id))
            return
        outcome = "rejected" if wish is BuyerWish.REFUSE else "accepted"
        self.cash_links.pay({"qrc_id": link.qrc_id, "outcome": outcome, "amount": amount})

    def _scan(self, qrc_id: str) -> ScannedLink | None:
        return scan(self.phones.links, self.cash_links.cash_links, self.bindings, qrc_id, self.phones.clock.now())


@cache
def banks() -> tuple[Bank, ...]:
    """The banks whose applications a phone has, in NSPK's order."""
    return tuple(bundled_banks())


def _bank_name(bank_id: str) -> str | None:
    return next((bank.name for bank in banks() if bank.id == bank_id), None)


def _kopecks(written: str) -> int | None:
    found = _AMOUNT.fullmatch(written.replace("\u00a0", "").replace(" ", "").strip())
    if found is None or not written.isascii():
        return None
    kopecks = int(found[1]) * 100 + int((found[2] or "0").ljust(2, "0"))
    return kopecks if 1 <= kopecks <= AMOUNT_KOPECKS_MAX else None


async def _form(request: Request) -> Mapping[str, str]:
    """The fields of a form; an absurdly long one has none."""
    raw = await request.body()
    if len(raw) > FORM_BYTES_MAX:
        return {}
    return dict(parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True))


def _language(request: Request) -> str:
    asked = request.query_params.get("lang") or request.cookies.get(LANGUAGE)
    return asked if asked in LANGUAGES else LANGUAGES[0]


def _shown(request: Request, page: str, status: int) -> Response:
    answer = HTMLResponse(page, status_code=status, headers=HEADERS)
    answer.set_cookie(LANGUAGE, _language(request), httponly=True, samesite="strict")
    return answer
