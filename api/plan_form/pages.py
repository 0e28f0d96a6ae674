"""A page of the form as a browser gets it: rendered here, with headers that let it do little more than be read.

Source: PCI DSS 6.4.3: the one script is ours, known by its hash; cards are typed into the vault's frame.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from api.plan_form.texts import Lang, say

FOLDER = Path(__file__).parent
ASSETS = {"plan_form.css": "text/css; charset=utf-8", "plan_form.js": "text/javascript; charset=utf-8"}
"""Everything that pages load, and as what."""
ASSET_SECONDS = 300
NOTHING: Mapping[str, Any] = {
    "aside": False, "steps": False, "step": 0, "fault": "", "faults": {}, "refresh_seconds": 0, "merchant_name": "",
    "operator_name": "", "is_sandbox": False, "return_url": None, "plan_link": False, "again": "", "again_text": "",
    "reasons": (), "lines": (), "typed": {}, "csrf": "", "path": "",
}  # fmt: skip
"""What a page does without when it is not told."""


@cache
def environment() -> Environment:
    """Where templates are; every value is escaped, a missing one is a mistake."""
    return Environment(
        loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip


@cache
def asset(name: str) -> bytes:
    """The bytes of the script or the style."""
    assert name in ASSETS
    return (FOLDER / name).read_bytes()


@cache
def integrity(name: str) -> str:
    """By which the browser knows the bytes again. Source: W3C Subresource Integrity."""
    return "sha384-" + base64.b64encode(hashlib.sha384(asset(name)).digest()).decode()


def asset_answer(name: str) -> Response:
    """The script or the style on its way out."""
    headers = {"cache-control": f"public, max-age={ASSET_SECONDS}", "cross-origin-resource-policy": "same-origin"}
    return Response(asset(name), 200, headers, ASSETS[name])


def page(
    template: str, lang: Lang, values: Mapping[str, Any], *, nonce: str, status: int = 200, form_url: str = ""
) -> HTMLResponse:
    """A page. ``form_url``: the vault's card form, which this page shows.

    Browsers tell our own pages where a form is from, and nobody else; with no referrer at all they would tell nobody.
    Source: Fetch, "append a request Origin header".
    """

    def said(name: str, **facts: object) -> str:
        return say(lang, name, **facts)

    told = {**NOTHING, "form_url": form_url, "lang": lang, "t": said, "nonce": nonce, "integrity": integrity, **values}
    html = environment().get_template(template).render(told)
    headers = {"content-security-policy": policy(nonce, form_url), "referrer-policy": "same-origin"}
    return HTMLResponse(html, status, headers)


def origin_of(url: str) -> str:
    """Scheme, host and port of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def policy(nonce: str, form_url: str = "") -> str:
    """What a page may do: its own style and script, forms to its own origin, one frame of ours and one of the vault."""
    frames = "'self'" + (f" {origin_of(form_url)}" if form_url else "")
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'nonce-{nonce}'",
            f"style-src 'nonce-{nonce}'",
            "img-src data:",
            f"frame-src {frames}",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def paper_policy() -> str:
    """What a document may do when it is shown inside our page: nothing, but for its own style."""
    return "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'self'"
