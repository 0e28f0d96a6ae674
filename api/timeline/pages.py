"""The page of a timeline, rendered here: no script, one style of ours, forms to ourselves."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from api.timeline.moments import Moment, MomentKind, Timeline
from api.timeline.telling import by_day
from api.timeline.texts import Lang, say, title_of
from api.timeline.traces import posting_text
from ledger.ids import new_secret
from ledger.money import roubles

FOLDER = Path(__file__).parent
NOTHING: Mapping[str, Any] = {"timeline": None, "days": {}, "counts": {}, "only": "", "asked": "", "fault": ""}
"""What a page does without when it is not told."""


@cache
def environment() -> Environment:
    """Where templates are; every value is escaped, a missing one is a mistake."""
    return Environment(
        loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip


@cache
def style() -> str:
    """The page's own style, put into it."""
    return (FOLDER / "timeline.css").read_text("utf-8")


def page(lang: Lang, *, is_known: bool, status: int = 200, **values: Any) -> HTMLResponse:
    """A page. ``is_known``: the browser has a key, so that only an id is asked for."""
    nonce = new_secret("")
    told = {
        **NOTHING, **values, "lang": lang, "nonce": nonce, "style": style(), "is_known": is_known,
        "t": lambda name: say(lang, name), "title_of": lambda what: title_of(lang, what), "facts_of": facts_of,
        "posting_text": posting_text,
    }  # fmt: skip
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    headers = {"content-security-policy": policy, "referrer-policy": "same-origin", "cache-control": "no-store"}
    return HTMLResponse(environment().get_template("timeline.html").render(told), status, headers)


def timeline_page(lang: Lang, timeline: Timeline, asked: str, only: str) -> HTMLResponse:
    """The page of a story; ``only`` one kind of moments, when it is named."""
    counts = {kind.value: sum(one.kind is kind for one in timeline.moments) for kind in MomentKind}
    chosen = tuple(one for one in timeline.moments if only in ("", one.kind.value))
    return page(
        lang, is_known=True, timeline=timeline, days=by_day(chosen), asked=asked, only=only,
        counts={kind: count for kind, count in counts.items() if count},
    )  # fmt: skip


def facts_of(moment: Moment) -> list[tuple[str, str]]:
    """The facts of a moment as a page shows them: sums in roubles, those of nothing left out, postings apart."""
    return [
        (name.removesuffix("_kopecks"), f"{roubles(value)} ₽") if _is_money(name, value) else (name, str(value))
        for name, value in moment.facts.items()
        if name != "postings" and not (_is_money(name, value) and value == 0)
    ]


def _is_money(name: str, value: object) -> bool:
    return name.endswith("_kopecks") and isinstance(value, int)
