"""The page of the vault's people: one script, one style, each with its hash; nothing of the vault is in it."""

from __future__ import annotations

from functools import cache

from tokenization.pages.card_form import FOLDER, NOBODY, FormPage, integrity, policy


@cache
def _template() -> str:
    html = (FOLDER / "people.html").read_text("utf-8")
    for name, asset in (("css_integrity", "people.css"), ("js_integrity", "people.js")):
        html = html.replace("{" + name + "}", integrity(asset))
    return html


def people_page(nonce: str) -> FormPage:
    """The page, which nobody may show in theirs. Its one picture, of a second factor, comes as data."""
    csp = f"{policy(NOBODY, nonce)}; img-src data:"
    headers = {"content-security-policy": csp, "cache-control": "no-store", "x-frame-options": "DENY"}
    return FormPage(_template().replace("{nonce}", nonce), headers)
