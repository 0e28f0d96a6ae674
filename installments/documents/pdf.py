"""A document as PDF/A4 pages: numbered, with its number and date on each. Needs the extra ``pdf``.

The font is Roboto (Apache-2.0), as the package ``font-roboto`` ships it: it has Cyrillic, № and ₽, and is the same on
every machine, so the same document is the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

from installments.documents.document import DocumentSection, DocumentTable, PlanDocument
from installments.documents.wording import day, label
from installments.errors import PlanDocumentFormatMissing

INK, GREY, LINE, SHADE = "#16181d", "#5d6472", "#d9dde4", "#f6f7f9"
MARGIN = 20
"""Millimetres on each side."""
PADDING = 6
"""Points that reportlab leaves free inside a frame."""


def render_pdf(document: PlanDocument, number: int, issued_on: date) -> bytes:
    """The pages. Raises: PlanDocumentFormatMissing where the extra is not installed."""
    try:
        from reportlab.lib.pagesizes import A4
        from reportlab.lib.units import mm
        from reportlab.platypus import SimpleDocTemplate
    except ImportError:
        raise PlanDocumentFormatMissing(format="pdf") from None
    _register_fonts()
    out = io.BytesIO()
    language = document.language
    issue = f"{label('number', language)} {number} {label('of', language)} {day(issued_on, language)}"
    pages = SimpleDocTemplate(
        out, pagesize=A4, leftMargin=MARGIN * mm, rightMargin=MARGIN * mm, topMargin=18 * mm, bottomMargin=20 * mm,
        title=f"{document.title} {issue}", author=_operator(document), subject=document.plan_id, lang=language.value,
        invariant=1,
    )  # fmt: skip
    foot = f"{document.title} {issue} · {document.plan_id}"
    pages.build(
        _story(document, issue, pages.width - 2 * PADDING), canvasmaker=_numbering(foot, label("page", language))
    )
    return out.getvalue()


def _operator(document: PlanDocument) -> str:
    named = dict(document.facts)
    return named.get(label("operator", document.language), "")


def _story(document: PlanDocument, issue: str, width: Any) -> list[Any]:
    from reportlab.platypus import CondPageBreak, Paragraph, Spacer

    styles = _styles()
    story: list[Any] = [
        Paragraph(escape(document.title), styles["title"]),
        Paragraph(escape(issue), styles["issue"]),
        _facts(document.facts, width),
        Spacer(1, 6),
    ]
    for section in document.sections:
        story += [CondPageBreak(70), Paragraph(escape(section.title), styles["heading"]), *_body(section, width)]
    return story


def _body(section: DocumentSection, width: Any) -> list[Any]:
    from reportlab.platypus import Paragraph

    parts: list[Any] = [Paragraph(escape(paragraph), _styles()["text"]) for paragraph in section.paragraphs]
    return [*parts, _table(section.table, width)] if section.table is not None else parts


def _facts(facts: Sequence[tuple[str, str]], width: Any) -> Any:
    from reportlab.platypus import Paragraph, Table

    styles = _styles()
    rows = [
        [Paragraph(escape(name), styles["grey"]), Paragraph(escape(value), styles["cell"])] for name, value in facts
    ]
    return Table(
        rows, colWidths=[width * 3 // 10, width * 7 // 10], hAlign="LEFT",
        style=[("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (0, -1), 0),
               ("TOPPADDING", (0, 0), (-1, -1), 1), ("BOTTOMPADDING", (0, 0), (-1, -1), 1)],
    )  # fmt: skip


def _table(table: DocumentTable, width: Any) -> Any:
    from reportlab.lib.colors import HexColor
    from reportlab.platypus import Paragraph, Table

    styles = _styles()
    rows = [[Paragraph(escape(cell), styles["grey" if n in _left(table) else "grey_sum"])
             for n, cell in enumerate(table.columns)]]  # fmt: skip
    for row in table.rows:
        rows.append([Paragraph(escape(c), styles["cell" if n in _left(table) else "sum"]) for n, c in enumerate(row)])
    style: list[tuple[Any, ...]] = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, -1), 0.5, HexColor(LINE)),
        ("LEFTPADDING", (0, 0), (-1, -1), 4),
        ("RIGHTPADDING", (0, 0), (-1, -1), 4),
        ("TOPPADDING", (0, 0), (-1, -1), 3),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
        ("BACKGROUND", (0, 0), (-1, 0), HexColor(SHADE)),
    ]
    if table.total is not None:
        bold = [styles["total"], *[styles["total_sum"]] * (len(table.total) - 1)]
        rows.append([Paragraph(escape(cell), of) for cell, of in zip(table.total, bold, strict=True)])
    return Table(rows, colWidths=_widths(table, width), repeatRows=1, style=style, spaceBefore=4, spaceAfter=4)


def _left(table: DocumentTable) -> set[int]:
    """The columns of text: the first, and the second of movements."""
    return {0, 1} if len(table.columns) == 6 else {0}


def _widths(table: DocumentTable, width: Any) -> list[Any]:
    """Of a hundred parts, by how many columns there are."""
    parts = {2: (64, 36), 3: (50, 22, 28), 5: (10, 21, 23, 23, 23), 6: (13, 27, 16, 16, 14, 14)}[len(table.columns)]
    if len(table.columns) == 3 and table.columns[0] in ("№", "No."):
        parts = (14, 43, 43)
    return [width * part // 100 for part in parts]


@cache
def _styles() -> dict[str, Any]:
    from reportlab.lib.colors import HexColor
    from reportlab.lib.enums import TA_RIGHT
    from reportlab.lib.styles import ParagraphStyle

    text = ParagraphStyle(
        "text", fontName="Roboto", fontSize=9.5, leading=13.5, textColor=HexColor(INK), spaceAfter=4,
        splitLongWords=1,
    )  # fmt: skip
    cell = ParagraphStyle("cell", text, fontSize=9, leading=12, spaceAfter=0)
    grey = ParagraphStyle("grey", cell, textColor=HexColor(GREY))
    total = ParagraphStyle("total", cell, fontName="Roboto-Bold")
    return {
        "title": ParagraphStyle("title", text, fontName="Roboto-Bold", fontSize=17, leading=22, spaceAfter=2),
        "issue": ParagraphStyle("issue", text, fontSize=10.5, textColor=HexColor(GREY), spaceAfter=10),
        "heading": ParagraphStyle(
            "heading",
            text,
            fontName="Roboto-Bold",
            fontSize=11,
            leading=15,
            spaceBefore=9,
            spaceAfter=3,
            keepWithNext=1,
        ),
        "text": text,
        "cell": cell,
        "sum": ParagraphStyle("sum", cell, alignment=TA_RIGHT),
        "grey": grey,
        "grey_sum": ParagraphStyle("grey_sum", grey, alignment=TA_RIGHT),
        "total": total,
        "total_sum": ParagraphStyle("total_sum", total, alignment=TA_RIGHT),
    }


@cache
def _register_fonts() -> None:
    try:
        from font_roboto import font_files
        from reportlab.pdfbase import pdfmetrics
        from reportlab.pdfbase.ttfonts import TTFont
    except ImportError:
        raise PlanDocumentFormatMissing(format="pdf") from None
    pdfmetrics.registerFont(TTFont("Roboto", font_files["Roboto"]))
    pdfmetrics.registerFont(TTFont("Roboto-Bold", font_files["RobotoBold"]))


def _numbering(foot: str, page_word: str) -> Any:
    """A canvas that knows how many pages there are before it draws their feet."""
    from reportlab.lib.colors import HexColor
    from reportlab.lib.units import mm
    from reportlab.pdfgen.canvas import Canvas

    class NumberedPages(Canvas):  # type: ignore[misc]  # reportlab has no types
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.kept: list[dict[str, Any]] = []

        def showPage(self) -> None:  # noqa: N802  # reportlab's name
            self.kept.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            for number, page in enumerate(self.kept, 1):
                self.__dict__.update(page)
                self.setFont("Roboto", 7.5)
                self.setFillColor(HexColor(GREY))
                self.drawString(MARGIN * mm + PADDING, 11 * mm, foot)
                right = self._pagesize[0] - MARGIN * mm - PADDING
                self.drawRightString(right, 11 * mm, f"{page_word} {number} / {len(self.kept)}")
                super().showPage()
            super().save()

    return NumberedPages
