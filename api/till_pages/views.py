"""What the three panels show: the till, the phone and the diagram, each from the session alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup

from api.plan_form.pages import origin_of
from api.plan_form.texts import Lang, money
from api.till_pages.at_till import awaited, is_live, live_attempt, price_of, shown_qr
from api.till_pages.deeds import TTL_MINUTES
from api.till_pages.goods import SHELF, basket_of
from api.till_pages.sessions import SaidMessage, TillSession
from api.till_pages.texts import TEXTS, say
from checkout.barcode import ShownBarcode
from checkout.barcode_drawing import BarcodeKind, draw_barcode
from checkout.baskets import Measure
from checkout.offers import NEVER_DEARER
from checkout.premises import RAILS

ENDS = ("phone", "till", "kopeyka", "nspk", "vault")
_ID = re.compile(r"([a-z]{3}_)[0-9A-Za-z]{18,}([0-9A-Za-z]{4})")


@dataclass(frozen=True, slots=True)
class PageOf:
    """Whose page, in which language."""

    kept: TillSession
    lang: Lang
    now: datetime

    @property
    def path(self) -> str:
        """Where the session's pages are."""
        return f"/till/{self.kept.link_code}"


def till_values(of: PageOf) -> dict[str, Any]:
    """The till's panel."""
    state = of.kept.state
    order, attempt, qr = state.order, live_attempt(state.order), shown_qr(state.order)
    form = awaited(state, "card")
    return {
        "path": of.path, "seen": _seen(of, form), "state": state, "shelf": _shelf(of.lang),
        "lines": _lines(of) if order is None else _order_lines(order), "sums": _sums(of), "order": order,
        "attempt": attempt, "is_live": is_live(order), "rails": _rails(of), "tenders": (order or {}).get("tenders"),
        "qr": None if qr is None else Markup(draw_barcode(qr["payload"], BarcodeKind.QR_CODE, "")),  # noqa: S704  # our own drawing
        "qr_seconds": _seconds_left(attempt, of.now), "money": money, "refund": _refund(state.refund),
        "form": form, "form_origin": "" if form is None else origin_of(form["form_url"]),
        "device": awaited(state, "koshelek_pay"), "price_of": price_of,
    }  # fmt: skip


def _seen(of: PageOf, form: Mapping[str, Any] | None) -> str:
    """By what a panel is known again. One with a card's form stays as it is while somebody types into it."""
    notice = of.kept.state.notice
    return str(of.kept.version) if form is None else f"{form['id']}{'' if notice is None else notice['code']}"


def _shelf(lang: Lang) -> list[dict[str, Any]]:
    return [
        {
            "article": goods.article, "name": goods.name(lang), "price": money(int(goods.price)),
            "grams": goods.portion if goods.measure is Measure.GRAM else None,
        }
        for goods in SHELF.values()
    ]  # fmt: skip


def _lines(of: PageOf) -> list[dict[str, Any]]:
    lines = basket_of(of.kept.state.goods, of.lang).lines
    return [
        {
            "article": line.article, "name": line.name, "quantity": line.quantity,
            "grams": line.measure is Measure.GRAM, "amount": money(int(line.amount)), "line": None,
        }
        for line in lines
    ]  # fmt: skip


def _order_lines(order: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "article": line["article"], "name": line["name"], "quantity": line["quantity"],
            "grams": line["measure"] == "gram", "amount": money(line["gross_kopecks"] - line["discount_kopecks"]),
            "line": line["line"],
        }
        for line in (order.get("tenders") or {}).get("lines", ())
    ]  # fmt: skip


def _sums(of: PageOf) -> list[tuple[str, str, str]]:
    """Name of a text, what it is about, the sum."""
    state = of.kept.state
    if state.order is None:
        return [("total", "", money(int(basket_of(state.goods).subtotal)))] if state.goods else []
    told = state.order.get("tenders") or {}
    rows = [("gross", "", told.get("gross_kopecks", 0))]
    rows += [(name, "", -told[field]) for name, field in (("discount", "discount_kopecks"), ("promo", "promo_kopecks"))
             if told.get(field)]  # fmt: skip
    if told.get("points"):
        rows.append(("points_paid", str(told["points"]), -told["points_kopecks"]))
    if told.get("offer_kopecks"):
        rows.append(("offer", str(told["offer_rail"]), -told["offer_kopecks"]))
    name = "total" if state.order["status"] == "paid" else "to_pay"
    rows.append((name, "", told.get("amount_kopecks", state.order["amount_kopecks"])))
    return [(name, about, money(amount)) for name, about, amount in rows]


def _rails(of: PageOf) -> list[dict[str, Any]]:
    """What the till may offer: the rails of the scan, or its own; with each one's price."""
    state = of.kept.state
    if state.order is None:
        return []
    scanned = (state.presentment or {}).get("rails") or RAILS
    offers = {offer["rail"]: offer for offer in (state.order.get("tenders") or {}).get("offers", ())}
    preferred = (state.presentment or {}).get("preferred_rail")
    found = [
        {
            "rail": rail, "amount": money(price_of(state.order, rail)), "note": _note(of.lang, rail, offers.get(rail)),
            "is_usual": rail == preferred, "is_off": rail == "koshelek_pay" and state.card_token is None,
        }
        for rail in RAILS
        if rail in scanned
    ]  # fmt: skip
    return sorted(found, key=lambda rail: not rail["is_usual"])


def _note(lang: Lang, rail: str, offer: Mapping[str, Any] | None) -> str:
    """What the buyer is told of a price; of installments that it is no higher, as the law asks."""
    if offer is None or not offer["discount_kopecks"]:
        return ""
    return say(lang, "same_price") if rail in NEVER_DEARER else str(offer["note"])


def _seconds_left(attempt: Mapping[str, Any] | None, now: datetime) -> int:
    if attempt is None:
        return 0
    begun = datetime.fromisoformat(attempt["created_at"].replace("Z", "+00:00"))
    return max(0, round((begun + timedelta(minutes=TTL_MINUTES) - now).total_seconds()))


def _refund(refund: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if refund is None:
        return None
    name = {"requested": "refund_requested", "refused": "refund_refused"}.get(refund["status"], "refund_done")
    return {"name": name, "amount": money(refund["amount_kopecks"]), "points": refund["points_back"]}


def phone_values(of: PageOf, shown: ShownBarcode, number: str, kind: BarcodeKind, points: int) -> dict[str, Any]:
    """The phone's panel."""
    state = of.kept.state
    attempt, qr = live_attempt(state.order), shown_qr(state.order)
    is_paid = state.order is not None and state.order["status"] == "paid"
    drawn = draw_barcode(shown.text, kind, " ".join(number[place : place + 4] for place in range(0, 12, 4)))
    return {
        "path": of.path, "seen": f"{of.kept.version}.{shown.step}.{points}", "kind": kind.value, "points": points,
        "barcode": shown.text, "drawn": Markup(drawn),  # noqa: S704  # our own drawing of digits
        "renews_seconds": max(1, round((shown.renews_at - of.now).total_seconds())), "qr": qr,
        "attempt": attempt, "is_paid": is_paid, "rails": list(RAILS), "rail": state.rail,
        "amount": money(attempt["amount_kopecks"]) if attempt is not None else "",
        "can_scan": state.presentment is None and state.order is None,
        "asks_device": state.order is not None and awaited(state, "koshelek_pay") is not None,
        "device_amount": money(price_of(state.order, "koshelek_pay")) if state.order is not None else "",
    }  # fmt: skip


def diagram_values(of: PageOf, messages: Sequence[SaidMessage]) -> dict[str, Any]:
    """The diagram's panel."""
    rows = []
    for message in messages:
        source, target = ENDS.index(message.source), ENDS.index(message.target)
        known = f"said_{message.said}"
        rows.append(
            {
                "said": TEXTS[known][0 if of.lang == "ru" else 1] if known in TEXTS else _shortened(message.said),
                "span": f"c{min(source, target)}{max(source, target)}", "way": "right" if source < target else "left",
                "status": message.status, "milliseconds": message.milliseconds, "told": message.told,
                "is_refused": message.status is not None and message.status >= 400, "number": message.number,
            }
        )  # fmt: skip
    return {"path": of.path, "seen": messages[-1].number if messages else 0, "rows": rows, "ends": ENDS}


def _shortened(said: str) -> str:
    """Ids cut to what tells them apart, and no query."""
    return _ID.sub(r"\1…\2", said).partition("?")[0]
