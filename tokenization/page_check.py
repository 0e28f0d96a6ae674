"""Whether the card form still reaches browsers as we made it: its headers, its page, its script and style.

Source: PCI DSS 11.6.1: changes to security-impacting headers and to scripts of payment pages, as received by the
consumer's browser, are noticed at least weekly. What differs from form to form (nonce, id, origin, time) is put aside.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tokenization.card_sessions import CardSession, CardSessionStatus
from tokenization.outermost import PUBLIC_HEADERS
from tokenization.pages.card_form import FOLDER, LOADED, asset, form_page

BASELINE: dict[str, Any] = json.loads((FOLDER / "baseline.json").read_text("utf-8"))
"""What was authorised, committed beside the page: changing one without the other fails a test."""
PASSING = frozenset({"date", "request-id", "content-length", "connection", "keep-alive", "transfer-encoding"})
"""Headers of one answer or one connection: they change nothing about the page."""
_THEN = datetime(2026, 1, 1, tzinfo=UTC)
_NONCE = re.compile(r"(nonce[-=]\"?)[A-Za-z0-9_-]{22}")


@dataclass(frozen=True, slots=True)
class ReceivedPage:
    """A form's page and all that it loads, as a browser got them."""

    headers: Mapping[str, str]
    html: str
    files: Mapping[str, bytes]
    """By their paths."""
    origin: str
    """Of the page that may show the form."""
    session_id: str


def seen_of(received: ReceivedPage) -> dict[str, Any]:
    """A page in the form it is compared in."""

    def plain(text: str) -> str:
        text = _NONCE.sub(r"\1NONCE", text)
        return text.replace(received.session_id, "SESSION").replace(received.origin, "ORIGIN")

    headers = {name.lower(): value for name, value in received.headers.items()}
    return {
        "headers": {name: plain(value) for name, value in sorted(headers.items()) if name not in PASSING},
        "page": hashlib.sha384(plain(received.html).encode()).hexdigest(),
        "files": {path: hashlib.sha384(content).hexdigest() for path, content in sorted(received.files.items())},
    }


def authorised() -> dict[str, Any]:
    """The page as this code makes it: what a new ``baseline.json`` holds."""
    form = CardSession(
        "cse_0", "mer_0", None, "https://shop.example", True, {}, CardSessionStatus.OPEN, 0, None, _THEN, _THEN
    )
    page = form_page(form, is_over=False, nonce="N" * 22)
    headers = {name.decode(): value.decode() for name, value in PUBLIC_HEADERS} | page.headers
    headers["content-type"] = "text/html; charset=utf-8"
    files = {f"/assets/{name}": asset(name) for name in LOADED}
    return seen_of(ReceivedPage(headers, page.html, files, form.origin, form.id))


def differences(seen: Mapping[str, Any], baseline: Mapping[str, Any]) -> list[str]:
    """What is not as it was authorised, in words; nothing when all is."""
    found = ["page"] if seen["page"] != baseline["page"] else []
    for kind, word in (("headers", "header"), ("files", "file")):
        for name in sorted(seen[kind].keys() | baseline[kind].keys()):
            if seen[kind].get(name) != baseline[kind].get(name):
                found.append(f"{word} {name}" if name in seen[kind] else f"{word} {name} is missing")
    return found
