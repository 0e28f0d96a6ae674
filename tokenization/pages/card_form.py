"""The card form as a browser gets it: one page, one script, one style, each with its hash, and headers to match.

Source: PCI DSS 6.4.3: every script of the page is in ``scripts.yaml`` with its reason; 11.6.1: ``baseline.json``.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

from tokenization.card_sessions import CardSession, CardSessionStatus

FOLDER = Path(__file__).parent
ASSETS = {
    "card_form.js": "text/javascript; charset=utf-8",
    "card_form.css": "text/css; charset=utf-8",
    "people.js": "text/javascript; charset=utf-8",
    "people.css": "text/css; charset=utf-8",
}
"""Everything that pages load, and as what."""
LOADED = ("card_form.css", "card_form.js")
"""What the card form loads, and nothing else."""
OVER_TEXTS = {
    "used": "Карта уже введена. Вернитесь в магазин.",
    "blocked": "Слишком много попыток. Вернитесь в магазин и начните снова.",
    "open": "Время ввода истекло. Вернитесь в магазин и начните снова.",
    "unknown": "Форма не найдена. Вернитесь в магазин и начните снова.",
}
NOBODY = "'none'"
"""Who may show a form that is not there."""


@dataclass(frozen=True, slots=True)
class FormPage:
    """A page and the headers that guard it."""

    html: str
    headers: dict[str, str]


@cache
def asset(name: str) -> bytes:
    """The bytes of a script or a style."""
    assert name in ASSETS
    return (FOLDER / name).read_bytes()


@cache
def integrity(name: str) -> str:
    """By which the browser knows the bytes again. Source: W3C Subresource Integrity."""
    return "sha384-" + base64.b64encode(hashlib.sha384(asset(name)).digest()).decode()


@cache
def _template() -> str:
    return (FOLDER / "card_form.html").read_text("utf-8")


def form_page(form: CardSession, *, is_over: bool, nonce: str) -> FormPage:
    """The page of one form: to be filled in, or told that it is over."""
    over = OVER_TEXTS[str(form.status)] if is_over or form.status is not CardSessionStatus.OPEN else ""
    values = {"session_id": form.id, "origin": form.origin, "over_text": over}
    return _page(values, ancestors=form.origin, wants_cvc=form.wants_cvc, nonce=nonce)


def unknown_page(nonce: str) -> FormPage:
    """The page of a form that is not there: nobody may show it in theirs."""
    values = {"session_id": "", "origin": "", "over_text": OVER_TEXTS["unknown"]}
    return _page(values, ancestors=NOBODY, wants_cvc=False, nonce=nonce)


def _page(values: dict[str, str], *, ancestors: str, wants_cvc: bool, nonce: str) -> FormPage:
    is_over = bool(values["over_text"])
    filled = {name: escape(value, quote=True) for name, value in values.items()} | {
        "nonce": nonce,
        "css_integrity": integrity("card_form.css"),
        "js_integrity": integrity("card_form.js"),
        "state": "over" if is_over else "open",
        "cvc_hidden": "" if wants_cvc else " hidden",
        "over_hidden": "" if is_over else " hidden",
    }
    html = _template()
    for name, value in filled.items():
        html = html.replace("{" + name + "}", value)
    return FormPage(html, {"content-security-policy": policy(ancestors, nonce)})


def policy(ancestors: str, nonce: str) -> str:
    """What the page may do: its own script and style by nonce, calls to its own origin; and one page may show it."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'nonce-{nonce}'",
            f"style-src 'nonce-{nonce}'",
            "connect-src 'self'",
            "form-action 'none'",
            "base-uri 'none'",
            f"frame-ancestors {ancestors}",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
            "report-uri /csp-reports",
        )
    )
