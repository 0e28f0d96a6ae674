"""A certification as PDF/A4 pages. Needs the extra ``pdf``; the font is Roboto, as ``font-roboto`` ships it."""

from __future__ import annotations

import hashlib
import io
import json
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

from api.certification.scenario import Certification, Outcome, Verdict
from api.data_dir import StartRefused

INK, GREY, GREEN, RED, LINE = "#16181d", "#5d6472", "#1a7f37", "#b42318", "#d9dde4"
MARGIN_MM = 18
WORDS = {Outcome.PASSED: "пройден", Outcome.FAILED: "НЕ ПРОЙДЕН", Outcome.NOT_APPLICABLE: "не применим"}
TITLE = "Протокол аттестации кассы"


def json_bytes(certification: Certification) -> bytes:
    """The run for machines, always the same bytes: the PDF names their SHA-256."""
    return json.dumps(certification.as_json(), ensure_ascii=False, indent=2, sort_keys=True).encode() + b"\n"


def render_pdf(certification: Certification) -> bytes:
    """The pages. Raises: StartRefused where the extra is not installed."""
    try:
        from reportlab.lib.pagesizes import A4
        from reportlab.lib.units import mm
        from reportlab.platypus import SimpleDocTemplate
    except ImportError:
        raise StartRefused("A PDF needs the extra: pip install kopeyka[pdf]") from None
    _register_fonts()
    out, margin = io.BytesIO(), MARGIN_MM * mm
    pages = SimpleDocTemplate(
        out, pagesize=A4, leftMargin=margin, rightMargin=margin, topMargin=margin, bottomMargin=margin, title=TITLE,
        subject=certification.terminal_id, lang="ru", invariant=1,
    )  # fmt: skip
    pages.build(_story(certification, pages.width))
    return out.getvalue()


def _story(certification: Certification, width: float) -> list[Any]:
    from reportlab.platypus import CondPageBreak, Paragraph, Spacer

    styles = _styles()
    result = "пройдена" if certification.is_passed else "НЕ ПРОЙДЕНА"
    colour = GREEN if certification.is_passed else RED
    story: list[Any] = [Paragraph(TITLE, styles["title"])]
    story += [Paragraph(escape(f"{name}: {value}"), styles["text"]) for name, value in _facts(certification)]
    story += [Paragraph(f'<font color="{colour}">Аттестация {result}</font>', styles["heading"])]
    story += [_summary(certification, width), Spacer(1, 8)]
    for verdict in certification.verdicts:
        story += [CondPageBreak(60), *_verdict(verdict)]
    return story


def _facts(certification: Certification) -> list[tuple[str, str]]:
    moments = [at.isoformat(timespec="seconds") for at in (certification.begun_at, certification.ended_at)]
    return [
        ("Касса", certification.terminal_id),
        ("Продавец", certification.merchant_id),
        ("Программа кассы", certification.till),
        ("Начало и конец", " — ".join(moments)),
        ("SHA-256 протокола JSON", hashlib.sha256(json_bytes(certification)).hexdigest()),
    ]


def _summary(certification: Certification, width: float) -> Any:
    from reportlab.lib.colors import HexColor
    from reportlab.platypus import Paragraph, Table

    styles = _styles()
    rows = [[Paragraph(word, styles["grey"]) for word in ("Сценарий", "Обязателен", "Итог", "Секунд")]]
    for verdict in certification.verdicts:
        cells = (verdict.title, "да" if verdict.is_mandatory else "нет", WORDS[verdict.outcome],
                 f"{verdict.seconds:.1f}")  # fmt: skip
        rows.append([Paragraph(escape(cell), styles["cell"]) for cell in cells])
    parts = (0.52, 0.16, 0.18, 0.14)
    style = [("LINEBELOW", (0, 0), (-1, -1), 0.5, HexColor(LINE)), ("VALIGN", (0, 0), (-1, -1), "TOP")]
    return Table(rows, colWidths=[width * part for part in parts], repeatRows=1, style=style)


def _verdict(verdict: Verdict) -> list[Any]:
    from reportlab.platypus import Paragraph

    styles = _styles()
    lines: list[Any] = [Paragraph(escape(f"{verdict.title} ({verdict.code})"), styles["heading"])]
    for each in verdict.statements:
        mark = f'<font color="{GREEN if each.is_true else RED}">{"да" if each.is_true else "НЕТ"}</font>'
        lines.append(Paragraph(f"{mark} — {escape(each.text)}", styles["cell"]))
    lines += [Paragraph(escape(call), styles["grey"]) for call in verdict.calls]
    return lines


@cache
def _styles() -> dict[str, Any]:
    from reportlab.lib.colors import HexColor
    from reportlab.lib.styles import ParagraphStyle

    text = ParagraphStyle(
        "text", fontName="Roboto", fontSize=9.5, leading=13, textColor=HexColor(INK), splitLongWords=1
    )
    bold = {"fontName": "Roboto-Bold", "keepWithNext": 1}
    return {
        "text": text,
        "title": ParagraphStyle("title", text, fontSize=17, leading=24, **bold),
        "heading": ParagraphStyle("heading", text, fontSize=11, leading=15, spaceBefore=8, spaceAfter=3, **bold),
        "cell": ParagraphStyle("cell", text, fontSize=9, leading=12),
        "grey": ParagraphStyle("grey", text, fontSize=8, leading=11, textColor=HexColor(GREY)),
    }


@cache
def _register_fonts() -> None:
    try:
        from font_roboto import font_files
        from reportlab.pdfbase import pdfmetrics
        from reportlab.pdfbase.ttfonts import TTFont
    except ImportError:
        raise StartRefused("A PDF needs the extra: pip install kopeyka[pdf]") from None
    pdfmetrics.registerFont(TTFont("Roboto", font_files["Roboto"]))
    pdfmetrics.registerFont(TTFont("Roboto-Bold", font_files["RobotoBold"]))
