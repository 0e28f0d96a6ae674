"""The phone's pages as HTML: no script of others, no asset from elsewhere, every text escaped."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape

from ledger.clock import MOSCOW
from ledger.money import Kopecks, roubles
from sbp_gateway.banks import Bank
from sbp_gateway.qr_images import qr_svg
from sbp_gateway.simulator.phone_style import REFRESH, STYLE
from sbp_gateway.simulator.phone_texts import said
from sbp_gateway.simulator.scanned import PAYABLE, ScannedLink, ScannedLinkState

QUICK_BANKS = 6
"""Banks one tap away; the others are in a list."""
ICONS = {
    ScannedLinkState.ACCEPTED: "✓",
    ScannedLinkState.LATE: "…",
    ScannedLinkState.EXPIRED: "⌛",
    ScannedLinkState.REJECTED: "✕",
    ScannedLinkState.BOUND: "✓",
    ScannedLinkState.NOT_ARMED: "…",
}


NO_AMOUNT = {"sticker": "any_amount", "plate": "no_amount", "binding": "bind"}
"""What stands in place of a sum."""


def list_page(links: Iterable[ScannedLink], plates: Sequence[ScannedLink], language: str, *, fault: str = "") -> str:
    """Every link that waits, and a place to paste one."""
    cards = "".join(_card(link, language) for link in links)
    cards = cards or f'<p class="empty">{_t("nothing", language)}</p>'
    shown = f'<h2>{_t("plates", language)}</h2><div class="cards">{"".join(_card(p, language) for p in plates)}</div>'
    return _page(
        f"""{_scan_form(language, fault)}
        <div id="live"><h2>{_t("waiting", language)}</h2><div class="cards">{cards}</div>
        {shown if plates else ""}</div>""",
        language,
        "/phone",
    )


def link_page(
    link: ScannedLink, banks: Sequence[Bank], language: str, *, script: str = "", fault: str = "", now: datetime
) -> str:
    """One link: what is to be paid, to whom, from which bank, and what has come of it."""
    told = f'<p class="fault" role="alert">{_t(fault, language)}</p>' if fault else ""
    ordered = f'<p class="script">{_t("script", language)}: <code>{escape(script)}</code></p>' if script else ""
    return _page(
        f"""<p class="back"><a href="/phone?lang={language}">← {_t("all", language)}</a></p>
        <div class="pay"><section class="sheet" data-state="{link.state}">{told}{_amount(link, language, now)}
        {_outcome(link, language)}{_decide(link, banks, language)}</section>
        <aside class="aside">{_picture(link)}{_facts(link, language)}{ordered}</aside></div>""",
        language,
        f"/phone/{link.qrc_id}",
    )


def _page(body: str, language: str, path: str) -> str:
    other = "en" if language == "ru" else "ru"
    return f"""<!doctype html><html lang="{language}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{_t("title", language)}</title>
<noscript><meta http-equiv="refresh" content="5"></noscript><style>{STYLE}</style></head><body>
<header><div><h1>{_t("title", language)}</h1><p>{_t("sandbox", language)}</p></div>
<a class="language" hreflang="{other}" href="{path}?lang={other}">{_t("other_language", language)}</a></header>
<main>{body}</main><script>{REFRESH}</script></body></html>"""


def _scan_form(language: str, fault: str) -> str:
    told = f'<p class="fault" role="alert">{_t(fault, language)}</p>' if fault else ""
    return f"""<form class="scan" method="post" action="/phone/scan?lang={language}">
<label for="payload">{_t("scan_label", language)}</label><div class="line">
<input id="payload" name="payload" required autocomplete="off" placeholder="{_t("scan_hint", language)}">
<button class="primary">{_t("scan", language)}</button></div>{told}</form>"""


def _card(link: ScannedLink, language: str) -> str:
    amount = money(link.amount) if link.amount is not None else _t(
        NO_AMOUNT[link.kind], language
    )  # fmt: skip
    title = link.purpose or _t(link.kind, language)
    return f"""<a class="card" href="/phone/{link.qrc_id}?lang={language}"><span class="sum">{amount}</span>
<span class="what">{escape(title)}</span><span class="id">{link.qrc_id}</span></a>"""


def _amount(link: ScannedLink, language: str, now: datetime) -> str:
    if link.amount is None:
        return ""
    left = ""
    if link.state in PAYABLE and link.expires_at is not None:
        seconds = max(0, int((link.expires_at - now).total_seconds()))
        clock = f"{seconds // 60}:{seconds % 60:02}"
        left = f'<p class="left">{_t("left", language)} <time data-left="{seconds}">{clock}</time></p>'
    purpose = f'<p class="purpose">{escape(link.purpose)}</p>' if link.purpose else ""
    return f'<p class="label">{_t("to_pay", language)}</p><p class="total">{money(link.amount)}</p>{purpose}{left}'


def _outcome(link: ScannedLink, language: str) -> str:
    if link.paid_before is not None:
        told = f"{_t('paid_before', language)}: {money(link.paid_before)}"
        return _told(ScannedLinkState.ACCEPTED, _t("accepted", language), told)
    if link.state is ScannedLinkState.WAITING:
        return ""
    hint = _t(f"{link.state}_hint", language)
    if link.state is ScannedLinkState.LATE and link.late_at is not None:
        hint += f" {link.late_at.astimezone(MOSCOW):%H:%M:%S}"
    return _told(link.state, _t(link.state, language), hint)


def _told(state: ScannedLinkState, what: str, hint: str) -> str:
    return f"""<div class="outcome {state}" role="status"><span aria-hidden="true">{ICONS[state]}</span>
<div><strong>{what}</strong><p>{hint}</p></div></div>"""


def _decide(link: ScannedLink, banks: Sequence[Bank], language: str) -> str:
    is_dynamic = link.kind == "dynamic"
    if link.kind == "binding":
        return _decide_binding(link, language)
    if link.state is ScannedLinkState.EXPIRED:
        buttons = _button("late", "pay_late", "primary", language)
    elif link.state in PAYABLE:
        late = f'{_button("late", "pay_late", "quiet", language)}<p class="hint">{_t("pay_late_hint", language)}</p>'
        buttons = _button("accepted", "pay", "primary", language) + _button("rejected", "refuse", "second", language)
        buttons += late if is_dynamic else ""
    else:
        return ""
    asked = (
        ""
        if link.amount is not None
        else f"""<label for="amount">{_t("amount", language)}</label>
<input id="amount" name="amount" inputmode="decimal" required placeholder="100,00">"""
    )
    return f"""<form method="post" action="/phone/{link.qrc_id}?lang={language}">{asked}{_bank_choice(banks, language)}
<div class="buttons">{buttons}</div></form>"""


def _decide_binding(link: ScannedLink, language: str) -> str:
    is_bound = link.state is ScannedLinkState.BOUND
    wish, word, kind = ("rejected", "unbind", "second") if is_bound else ("accepted", "bind", "primary")
    button = _button(wish, word, kind, language)
    title = "" if is_bound else f'<p class="total">{_t("binding", language)}</p>'
    return f"""{title}<form method="post" action="/phone/{link.qrc_id}?lang={language}">
<div class="buttons">{button}</div></form>"""


def _button(wish: str, word: str, kind: str, language: str) -> str:
    return f'<button class="{kind}" name="wish" value="{wish}">{_t(word, language)}</button>'


def _bank_choice(banks: Sequence[Bank], language: str) -> str:
    quick = "".join(
        f"""<label class="bank"><input type="radio" name="bank" value="{escape(bank.id)}"{" checked" * (place == 0)}>
<span>{escape(bank.name)}</span></label>"""
        for place, bank in enumerate(banks[:QUICK_BANKS])
    )
    others = "".join(f'<option value="{escape(bank.id)}">{escape(bank.name)}</option>' for bank in banks[QUICK_BANKS:])
    return f"""<fieldset><legend>{_t("your_bank", language)}</legend><div class="banks">{quick}</div>
<select name="other_bank" aria-label="{_t("other_bank", language)}">
<option value="">{_t("other_bank", language)}</option>{others}</select></fieldset>"""


def _picture(link: ScannedLink) -> str:
    picture = b64encode(qr_svg(link.payload)).decode()
    return f'<img class="qr" alt="QR" src="data:image/svg+xml;base64,{picture}">'


def _facts(link: ScannedLink, language: str) -> str:
    facts = {
        "payee": link.payee, "payee_bank": link.member_id, "your_bank": link.payer_bank,
        "link": link.payload, "operation": link.trx_id,
    }  # fmt: skip
    rows = "".join(f"<dt>{_t(word, language)}</dt><dd>{escape(fact)}</dd>" for word, fact in facts.items() if fact)
    return f"<dl>{rows}</dl>"


def money(kopecks: int) -> str:
    """``1 499,90 ₽``"""
    whole, rest = roubles(Kopecks(kopecks)).split(".")
    spaced = re.sub(r"(?<=\d)(?=(\d{3})+$)", "\u00a0", whole)
    return f"{spaced},{rest}\u00a0₽"


def _t(word: str, language: str) -> str:
    return escape(said(word, language))
