"""Texts of documents as dated versions, kept as data in ``texts.yaml``: a plan has the text of its contract's day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined

from installments.documents.document import DocumentLanguage, DocumentSection, PlanDocumentKind

FILE = Path(__file__).with_name("texts.yaml")
_PLAIN = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701  # plain text: HTML and PDF escape it later


@dataclass(frozen=True, slots=True)
class DocumentText:
    """One version of the text of one kind of document in one language."""

    version: int
    title: str
    sections: tuple[tuple[str, tuple[str, ...]], ...]
    """Headings and paragraphs, with places for what is of the plan."""

    def filled(self, facts: Mapping[str, Any]) -> tuple[DocumentSection, ...]:
        """The sections for one plan. Raises: jinja2.UndefinedError if the text asks for what nobody says."""
        return tuple(
            DocumentSection(title, tuple(filter(None, (_fill(paragraph, facts) for paragraph in paragraphs))))
            for title, paragraphs in self.sections
        )


def text_on(kind: PlanDocumentKind, language: DocumentLanguage, on: date) -> DocumentText:
    """The text in force on a day; before the first one, the first."""
    versions = _texts()[kind, language]
    return next((text for since, text in reversed(versions) if since <= on), versions[0][1])


@cache
def _texts() -> dict[tuple[PlanDocumentKind, DocumentLanguage], list[tuple[date, DocumentText]]]:
    found: dict[tuple[PlanDocumentKind, DocumentLanguage], list[tuple[date, DocumentText]]] = {}
    for said in yaml.safe_load(FILE.read_text("utf-8")):
        for language in DocumentLanguage:
            text = DocumentText(
                said["version"], said[language]["title"],
                tuple((part["title"], tuple(part["paragraphs"])) for part in said[language]["sections"]),
            )  # fmt: skip
            found.setdefault((PlanDocumentKind(said["kind"]), language), []).append((said["effective_on"], text))
    return {which: sorted(versions, key=lambda dated: dated[0]) for which, versions in found.items()}


@cache
def _template(source: str) -> Any:
    return _PLAIN.from_string(source)


def _fill(source: str, facts: Mapping[str, Any]) -> str:
    filled = str(_template(source).render(facts)).strip()
    return filled.replace("№ ", "№\u00a0").replace("No. ", "No.\u00a0")
