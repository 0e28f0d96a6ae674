"""One visit of a browser to a plan's link: the plan, what we remember of the visitor, and how it is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.buyer_key import buyers_key, required_key
from api.door import Door
from api.plan_form import cookie
from api.plan_form.cookie import FormSession
from api.plan_form.pages import page
from api.plan_form.return_urls import ReturnUrls
from api.plan_form.texts import LANGS, Lang, day, money, say
from api.plan_views import FORM_PATH, InstallmentStatus, status_of
from api.settings import Mode, Settings
from installments.baskets import basket_total
from installments.plan import Plan
from installments.state import InstallmentState
from installments.telling import PlanActor
from ledger.clock import moscow_day
from ledger.ids import new_secret
from ledger.money import Kopecks
from pci.secret import Secret

LANG_COOKIE = "plan_lang"
ITEMS_SHOWN_MAX = 50
NOTES = {
    InstallmentStatus.PAID: ("is-paid", "paid"),
    InstallmentStatus.HELD: ("is-paid", "held"),
    InstallmentStatus.OVERDUE: ("is-late", "late"),
}


@dataclass(frozen=True, slots=True)
class Visit:
    """What a page is made of."""

    door: Door
    request: Request
    plan: Plan
    session: FormSession
    lang: Lang
    now: datetime
    merchant_name: str
    operator_name: str
    urls: ReturnUrls
    parts: tuple[InstallmentState, ...]

    @property
    def path(self) -> str:
        """Where this plan's pages are."""
        return FORM_PATH + self.plan.link_code

    @property
    def is_known(self) -> bool:
        """Whether the visitor has proven to hold the phone of the plan's buyer."""
        return self.session.buyer_id is not None and self.session.buyer_id == self.plan.buyer_id

    @property
    def by(self) -> PlanActor:
        """Who acts, for the log."""
        return PlanActor(f"buyer:{self.session.buyer_id or 'unknown'}", self.request.scope["kopeyka.request_id"])

    def says(self, name: str, **facts: object) -> str:
        """A text in the visitor's language."""
        return say(self.lang, name, **facts)

    def with_session(self, **changes: object) -> Visit:
        """The visit with other facts remembered."""
        return replace(self, session=self.session.changed(**changes))

    def shows(self, template: str, *, status: int = 200, form_url: str = "", **values: Any) -> Response:
        """A page of this plan, and the cookie anew."""
        told = {**self._order(), "path": self.path, "csrf": self.session.csrf, **values}
        return self._remembered(page(template, self.lang, told, nonce=new_secret(""), status=status, form_url=form_url))

    def ends(self, tone: str, name: str, *, status: int = 200, **values: Any) -> Response:
        """A page that says how it stands, without a step to take."""
        lines = values.pop("lines", None)
        told = {"tone": tone, "heading": self.says(name), **values}
        told["lines"] = [self.says(f"{name}_lead")] if lines is None else lines
        return self.shows("outcome.html", status=status, **told)

    def goes_on(self, query: str = "") -> Response:
        """After a step: the page of the plan as it is now."""
        return self._remembered(RedirectResponse(self.path + query, 303))

    def leaves(self) -> Response:
        """The visitor is forgotten."""
        response = RedirectResponse(self.path, 303)
        response.headers.append("set-cookie", cookie.forgetting(self.path, is_secure=is_secure(self.door.settings)))
        return response

    def _remembered(self, response: Response) -> Response:
        value = cookie.seal(self.session, key_of(self.door.settings), self.now)
        secure = is_secure(self.door.settings)
        response.headers.append("set-cookie", cookie.setting(value, self.path, is_secure=secure))
        if self.request.query_params.get("lang") in LANGS:
            attributes = f"Path={FORM_PATH}; Max-Age=31536000; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}"
            response.headers.append("set-cookie", f"{LANG_COOKIE}={self.lang}; {attributes}")
        return response

    def _order(self) -> Mapping[str, Any]:
        plan = self.plan
        return {
            "merchant_name": self.merchant_name, "operator_name": self.operator_name, "order_number": plan.order_number,
            "is_sandbox": self.door.settings.mode is Mode.SANDBOX, "aside": True, "price": money(plan.total),
            "total": money(plan.total), "prepaid": money(plan.prepaid) if plan.prepaid else None,
            "schedule": [self._part(part) for part in self.parts],
            "items": [
                {"name": item.name, "quantity": item.quantity, "price": money(basket_total([item]))}
                for item in plan.items[:ITEMS_SHOWN_MAX]
            ],
        }  # fmt: skip

    def _part(self, part: InstallmentState) -> dict[str, str]:
        today = moscow_day(self.now)
        state, note = NOTES.get(status_of(self.plan, part, on=today), ("later", ""))
        shown = {"day": day(self.lang, part.due_on), "amount": money(part.amount), "state": state.removeprefix("is-")}
        if note:
            return shown | {"note": self.says(note)}
        if 0 < part.paid < part.amount:
            return shown | {"note": self.says("partly", amount=money(part.unpaid))}
        is_today = part.due_on == today
        return shown | {"state": "now" if is_today else "later", "note": self.says("today") if is_today else ""}

    @property
    def first_amount(self) -> Kopecks:
        """What is paid at the till."""
        return self.parts[0].amount


def key_of(settings: Settings) -> Secret:
    """What cookies are sealed with. Raises: CodesNotConfigured."""
    return required_key(buyers_key(settings))


def is_secure(settings: Settings) -> bool:
    """Whether browsers reach us over TLS."""
    return settings.mode is Mode.PRODUCTION or settings.public_url.startswith("https://")


def lang_of(request: Request) -> Lang:
    """The visitor's language: as chosen, now or before; Russian first."""
    for given in (request.query_params.get("lang"), request.cookies.get(LANG_COOKIE)):
        for lang in LANGS:
            if given == lang:
                return lang
    return "ru"
