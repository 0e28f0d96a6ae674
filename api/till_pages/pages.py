"""A page of the till or the phone as a browser gets it, and the parts of it that htmx asks for.

The script is htmx, kept here with its licence, and one of ours that counts seconds; the policy lets nothing else run.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from api.plan_form.texts import Lang
from api.till_pages.texts import say

FOLDER = Path(__file__).parent
ASSETS = {
    "till_pages.css": "text/css; charset=utf-8",
    "till_pages.js": "text/javascript; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "htmx-LICENSE.txt": "text/plain; charset=utf-8",
}
"""Everything that pages load, and as what."""
ASSET_SECONDS = 300


@cache
def environment() -> Environment:
    """Where templates are; every value is escaped, a missing one is a mistake."""
    return Environment(
        loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip


def asset_answer(name: str) -> Response:
    """A script or the style on its way out."""
    headers = {"cache-control": f"public, max-age={ASSET_SECONDS}", "cross-origin-resource-policy": "same-origin"}
    return Response((FOLDER / name).read_bytes(), 200, headers, ASSETS[name])


def fragment(template: str, lang: Lang, values: Mapping[str, Any]) -> Markup:
    """One panel, to stand in a page or to be sent alone."""

    def said(name: str, **facts: object) -> str:
        return say(lang, name, **facts)

    html = environment().get_template(template).render({"lang": lang, "t": said, **values})
    return Markup(html)  # noqa: S704  # rendered with every value escaped


def page(
    template: str, lang: Lang, values: Mapping[str, Any], *, status: int = 200, form_origin: str = ""
) -> HTMLResponse:
    """A page, or a part of one. ``form_origin``: the vault's, whose card form the page shows."""
    html = str(fragment(template, lang, values))
    headers = {
        "content-security-policy": policy(form_origin), "referrer-policy": "same-origin", "cache-control": "no-store",
    }  # fmt: skip
    return HTMLResponse(html, status, headers)


def policy(form_origin: str = "") -> str:
    """What a page may do: our scripts and style, calls home, and a frame of the vault's while a card is typed."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "img-src data:",
            *([f"frame-src {form_origin}"] if form_origin else ()),
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )
