"""A document as a page of its own: nothing is loaded from anywhere, and it prints well."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from installments.documents.document import PlanDocument
from installments.documents.wording import day, label


def render_html(document: PlanDocument, number: int, issued_on: date) -> bytes:
    """The page, as the bytes that are shown and hashed."""
    language = document.language
    page = _template().render(
        document=document, language=language.value, number=number, issued_on=day(issued_on, language),
        number_label=label("number", language), of=label("of", language),
    )  # fmt: skip
    return page.encode()


@cache
def _template() -> Template:
    folder = FileSystemLoader(Path(__file__).parent)
    pages = Environment(
        loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )  # fmt: skip
    return pages.get_template("page.html.j2")
